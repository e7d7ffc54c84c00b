// Makes elements. Text goes into text nodes only, so nothing a user gives becomes markup.

const SVG = 'http://www.w3.org/2000/svg'

/** Returns an element. given: attributes; `on…` are listeners, `--…` CSS variables. */
export function h(name, given = {}, ...children) {
  return filled(document.createElement(name), given, children)
}

/** As `h`, for SVG. */
export function svg(name, given = {}, ...children) {
  return filled(document.createElementNS(SVG, name), given, children)
}

/** Returns text for screen readers alone. */
export function spoken(text) {
  return h('span', { class: 'spoken' }, text)
}

/** Replaces children; the focus stays on the element with the same `data-focus`. */
export function redraw(parent, ...children) {
  const active = document.activeElement
  const key = parent.contains(active) ? active.dataset.focus : undefined
  parent.replaceChildren(...children.filter(Boolean))
  if (key !== undefined) focusOn(parent, key)
}

/** Focuses the element with this `data-focus`; returns whether there is one. */
export function focusOn(parent, key) {
  const found = parent.querySelector(`[data-focus="${CSS.escape(key)}"]`)
  found?.focus({ preventScroll: true })
  return found !== null
}

function filled(element, given, children) {
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined || value === false) continue
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value)
    else if (key.startsWith('--')) element.style.setProperty(key, value)
    else element.setAttribute(key, value === true ? '' : value)
  }
  element.append(...children.flat().filter((child) => child !== undefined && child !== false))
  return element
}
