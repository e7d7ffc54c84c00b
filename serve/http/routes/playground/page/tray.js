// The list of items, each with its state or its error.

import { focusOn, h, redraw, spoken } from './dom.js'
import { tile } from './thumbnails.js'
import { bytesText } from './words.js'

const STATES = { waiting: 'waiting', asking: 'embedding' }

/** Draws the items. page: the elements. run: embeds what waits. */
export function drawTray(page, items, run) {
  page.tray.hidden = items.list.length === 0
  redraw(
    page['tray-lists'],
    ...[['Texts', items.texts], ['Pictures', items.images]]
      .filter(([, list]) => list.length > 0)
      .map(([title, list]) => part(title, list, items, page, run)),
  )
}

function part(title, list, items, page, run) {
  const failed = list.filter((item) => item.state === 'failed').length
  const count = failed > 0 ? `${list.length} \u00B7 ${failed} failed` : `${list.length}`
  return h(
    'div', { class: 'part' },
    h('h3', {}, title, h('span', { class: 'count' }, count)),
    h('ul', { class: 'items' }, failedFirst(list).map((item) => row(item, items, page, run))),
  )
}

/** Errors are seen without scrolling. */
function failedFirst(list) {
  return list.toSorted((a, b) => (b.state === 'failed') - (a.state === 'failed'))
}

function row(item, items, page, run) {
  const failed = item.state === 'failed'
  return h(
    'li', { class: `item ${item.state}`, 'data-key': item.key },
    failed ? h('div', { class: 'pick' }, ...inside(item)) : picker(item, items),
    failed && item.error.retryable && h('button', {
      type: 'button', class: 'quiet', 'data-focus': `retry ${item.key}`,
      onclick: () => { items.again([item]); run() },
    }, 'Retry', spoken(` ${item.name}`)),
    h('button', {
      type: 'button', class: 'remove', 'data-focus': `remove ${item.key}`, 'aria-label': `Remove ${item.name}`,
      onclick: () => remove(item, items, page),
    }, '\u00D7'),
  )
}

function picker(item, items) {
  return h('button', {
    type: 'button', class: 'pick', 'data-focus': `pick ${item.key}`,
    'aria-pressed': String(items.query === item), onclick: () => items.ask(item),
  }, spoken('Rank by '), ...inside(item))
}

function inside(item) {
  return [
    tile(item, 'tray'),
    h('span', { class: 'about' }, h('span', { class: 'name' }, item.name), ...state(item)),
  ]
}

function state(item) {
  if (item.state === 'failed') {
    return [h('code', { class: 'code' }, item.error.code), h('span', { class: 'message' }, item.error.message)]
  }
  const words = STATES[item.state] ?? details(item)
  return words ? [h('span', { class: 'hint' }, words)] : []
}

function details(item) {
  if (item.truncated) return 'cut to what the model reads'
  return item.kind === 'image' ? bytesText(item.file.size) : item.host
}

/** Removes an item; the focus goes to the next one, or to what is left. */
function remove(item, items, page) {
  const list = failedFirst(item.kind === 'text' ? items.texts : items.images)
  const place = list.indexOf(item)
  const next = list[place + 1] ?? list[place - 1]
  items.remove(item)
  // After the frame that draws the list without it.
  requestAnimationFrame(() => {
    if (next) focusOn(page.tray, `remove ${next.key}`)
    else if (items.list.length > 0) page.clear.focus()
    else page.example.focus()
  })
}

/** Returns a sentence about the items for the status line. */
export function summary(items) {
  const failed = items.list.filter((item) => item.state === 'failed').length
  const done = items.list.filter((item) => item.state === 'done').length
  return `${done} embedded` + (failed > 0 ? `, ${failed} failed` : '')
}
