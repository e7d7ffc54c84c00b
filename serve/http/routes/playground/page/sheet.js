// The contact sheet: all pictures, the closest to the query first.

import { h, redraw, spoken } from './dom.js'
import { tile } from './thumbnails.js'
import { cosine, ranked, share } from './vectors.js'
import { cosineText } from './words.js'

/** Draws the sheet for the query of `items`; pictures without numbers until there are embeddings. */
export function drawSheet(section, items) {
  section.hidden = items.list.length === 0
  const query = items.ranking
  const pictures = items.images.filter((item) => item.embedding)
  if (!query?.embedding || pictures.length === 0) return drawUnranked(section, items)
  const others = ranked(query, pictures.filter((item) => item !== query))
  const most = others[0]?.cosine ?? 1
  const least = Math.min(0, most, others.at(-1)?.cosine ?? 0)
  redraw(
    section,
    heading('Closest to ', query.kind === 'text' ? h('q', {}, query.name) : query.name),
    h('ol', { class: 'sheet' },
      pictures.includes(query) && card(query, itself(query), 0, 1, items),
      others.map((one, index) => card(one.item, one.cosine, index + 1, share(one.cosine, least, most), items))),
    hint(others.length > 0 ? 'Choose a picture to rank the others by it.' : 'Add a text or another picture to compare.'),
  )
}

function drawUnranked(section, items) {
  const pictures = items.images.filter((item) => item.state !== 'failed')
  redraw(
    section,
    heading('Not ranked yet'),
    h('ol', { class: 'sheet pending' }, pictures.map((item) => h('li', { class: 'card' },
      tile(item, 'sheet'), h('span', { class: 'caption' }, h('span', { class: 'name' }, item.name))))),
    hint(pictures.length > 0 ? 'The pictures wait for their embeddings.' : 'Add a picture to compare with.'),
  )
}

function heading(...words) {
  return h('h2', { id: 'sheet-title' }, ...words)
}

function hint(words) {
  return h('p', { class: 'hint' }, words)
}

function itself(item) {
  return cosine(item.embedding, item.embedding)
}

function card(item, value, rank, full, items) {
  const own = rank === 0
  return h('li', { class: own ? 'card own' : 'card' },
    h('button', {
      type: 'button', 'data-focus': `card ${item.key}`, 'aria-pressed': String(own),
      onclick: () => items.ask(item),
    },
    tile(item, 'sheet'),
    h('span', { class: 'caption' },
      h('span', { class: 'rank' }, own ? 'query' : String(rank)),
      h('span', { class: 'number' }, spoken('cosine '), cosineText(value)),
      h('span', { class: 'track', 'aria-hidden': 'true' }, h('span', { class: 'fill', '--full': full.toFixed(3) })),
      h('span', { class: 'name' }, item.name))))
}
