// What the service says of its models: sizes, identity and the sweet spot on its measured curve.

import { h, redraw, svg } from './dom.js'
import { countText } from './words.js'

const WIDTH = 320
const HEIGHT = 96
const EDGE = { left: 6, right: 6, top: 22, bottom: 18 }

/** Draws the facts of one of the models. choose(name): called when the user picks another. */
export function drawFacts(section, models, chosen, choose) {
  const model = models.find((one) => one.name === chosen) ?? models[0]
  section.hidden = false
  redraw(
    section,
    h('h2', { id: 'facts-title' }, 'Model'),
    models.length > 1 && picker(models, model, choose),
    h('dl', { class: 'facts-list' },
      fact('Name', model.name), fact('Dimension', String(model.dimension)), fact('Precision', model.precision),
      fact('Back end', `${model.backend} on ${model.device}`),
      fact('Pictures', `${model.image_size} \u00D7 ${model.image_size} px`),
      fact('Fingerprint', h('code', {}, model.fingerprint))),
    h('h3', {}, 'Sweet spot'),
    h('p', { class: 'spot-words' }, h('b', {}, countText(model.batch_size, 'picture')), ' or ',
      h('b', {}, countText(model.text_batch_size, 'text')), ' a batch'),
    model.curve.length > 2 && chart(model),
  )
}

function fact(name, value) {
  return h('div', {}, h('dt', {}, name), h('dd', {}, value))
}

function picker(models, model, choose) {
  return h('label', { class: 'model-picker' }, 'Embed with ',
    h('select', { 'data-focus': 'model', onchange: (event) => choose(event.target.value) },
      models.map(({ name }) => h('option', { value: name, selected: name === model.name }, name))))
}

/** Pictures per second by batch size, on a logarithmic axis, with the chosen size marked. */
function chart({ curve, batch_size: chosen }) {
  const most = Math.max(...curve.map(([, rate]) => rate))
  const last = Math.log2(curve.at(-1)[0])
  const x = (n) => EDGE.left + ((WIDTH - EDGE.left - EDGE.right) * Math.log2(n)) / last
  const y = (rate) => HEIGHT - EDGE.bottom - ((HEIGHT - EDGE.top - EDGE.bottom) * rate) / most
  const spot = curve.find(([n]) => n === chosen)
  const words = curve.map(([n, rate]) => `${n}: ${Math.round(rate)}`).join(', ')
  return h('figure', { class: 'curve' },
    svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': `Pictures per second by batch size. ${words}` },
      svg('line', { class: 'axis', x1: EDGE.left, x2: WIDTH - EDGE.right, y1: y(0), y2: y(0) }),
      svg('polyline', { class: 'line', points: curve.map(([n, rate]) => `${x(n)},${y(rate)}`).join(' ') }),
      curve.map(([n, rate]) => svg('circle', { class: 'dot', cx: x(n), cy: y(rate), r: 2.5 })),
      ends(curve).map(([n, anchor]) => svg('text', { x: x(n), y: HEIGHT - 4, 'text-anchor': anchor }, String(n))),
      spot && mark(x(spot[0]), y(spot[1]), `${Math.round(spot[1]).toLocaleString('en')}/s in batches of ${chosen}`)),
    h('figcaption', { class: 'hint' }, 'pictures per second by batch size, measured at the start'))
}

function ends(curve) {
  return [[curve[0][0], 'start'], [curve.at(-1)[0], 'end']]
}

function mark(x, y, words) {
  const anchor = x < WIDTH / 3 ? 'start' : x > (2 * WIDTH) / 3 ? 'end' : 'middle'
  return svg('g', { class: 'mark' },
    svg('circle', { cx: x, cy: y, r: 6 }),
    svg('text', { x, y: EDGE.top / 2, 'text-anchor': anchor }, words))
}
