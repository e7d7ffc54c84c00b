// The matrix of cosines: pictures by texts, or pictures by pictures where there is no text.

import { h, redraw, spoken } from './dom.js'
import { tile } from './thumbnails.js'
import { cosine, share } from './vectors.js'
import { cosineText } from './words.js'

// More cannot be read; the contact sheet has them all.
const MOST_COLUMNS = 24
const MOST_ROWS = 100

/** Draws the matrix; hidden until two items can be compared. */
export function drawMatrix(section, items) {
  const embedded = (list) => list.filter((item) => item.embedding)
  const rows = embedded(items.images).slice(0, MOST_ROWS)
  const texts = embedded(items.texts)
  const all = texts.length > 0 ? texts : rows
  const columns = all.slice(0, MOST_COLUMNS)
  section.hidden = rows.length === 0 || (texts.length === 0 && rows.length < 2)
  if (section.hidden) return section.replaceChildren()
  const values = rows.map((row) => columns.map((column) => (row === column ? null : cosine(row.embedding, column.embedding))))
  const scroller = section.querySelector('.scroller')?.scrollLeft ?? 0
  redraw(
    section,
    h('h2', { id: 'matrix-title' }, 'All cosines'),
    h('div', { class: 'scroller', role: 'region', 'aria-labelledby': 'matrix-title', tabindex: '0', 'data-focus': 'matrix' },
      table(rows, columns, values, items)),
    legend(values, all.length - columns.length),
  )
  section.querySelector('.scroller').scrollLeft = scroller
}

function table(rows, columns, values, items) {
  const [least, most] = rangeOf(values)
  const best = columns.map((_, index) => Math.max(...values.map((row) => row[index] ?? -Infinity)))
  return h('table', { class: 'matrix' },
    h('caption', { class: 'spoken' }, 'Cosines of pictures (rows) with ', columns[0].kind === 'text' ? 'texts' : 'pictures', ' (columns)'),
    h('thead', {}, h('tr', {}, h('td', {}), columns.map((item) => header(item, 'col', items)))),
    h('tbody', {}, rows.map((row, at) => h('tr', {},
      header(row, 'row', items),
      values[at].map((value, index) => cell(value, value === best[index], share(value, least, most)))))))
}

function header(item, scope, items) {
  return h('th', { scope },
    h('button', {
      type: 'button', 'data-focus': `${scope} ${item.key}`, title: item.name,
      'aria-pressed': String(items.query === item), onclick: () => items.ask(item),
    }, spoken('Rank by '), item.kind !== 'text' && tile(item, scope), h('span', { class: 'name' }, item.name)))
}

function cell(value, isBest, full) {
  if (value === null) return h('td', { class: 'self' }, spoken('itself'))
  return h('td', { class: isBest ? 'best' : undefined, '--full': full.toFixed(3) },
    cosineText(value), isBest && spoken(', the closest'))
}

function legend(values, left) {
  const [least, most] = rangeOf(values).map(cosineText)
  return h('p', { class: 'legend hint' },
    h('span', {}, least), h('span', { class: 'ramp', 'aria-hidden': 'true' }), h('span', {}, most),
    h('span', { class: 'legend-best' }, 'underlined: the closest picture of a column'),
    left > 0 && h('span', {}, `${left} more columns are not shown`))
}

function rangeOf(values) {
  const flat = values.flat().filter((value) => value !== null)
  return [Math.min(...flat), Math.max(...flat)]
}
