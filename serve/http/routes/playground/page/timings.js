// Where the time of the last requests went, as bars.

import { h, redraw } from './dom.js'
import { countText, msText } from './words.js'

const STAGES = [
  ['Fetch', 'fetch_ms'], ['Decode', 'decode_ms'], ['Queue', 'queue_ms'], ['Encode', 'encode_ms'],
  ['Service, in all', 'total_ms'], ['Seen by this page', 'seen_ms'],
]

/** Draws the stages. times: ms of each stage, added over the requests of one run. */
export function drawTimings(section, times) {
  section.hidden = false
  const most = Math.max(...STAGES.map(([, stage]) => times[stage] ?? 0), 1e-9)
  redraw(
    section,
    h('h2', { id: 'timings-title' }, 'Stage times'),
    h('p', { class: 'hint' }, `${countText(times.items, 'item')} in ${countText(times.requests, 'request')}. `,
      'Stages overlap, so they add up to more than the total.'),
    h('dl', { class: 'bars' }, STAGES.map(([name, stage]) => bar(name, stage, times[stage] ?? 0, most))),
  )
}

function bar(name, stage, ms, most) {
  return h('div', { class: `bar ${stage}` },
    h('dt', {}, name),
    h('dd', {},
      h('span', { class: 'track', 'aria-hidden': 'true' }, h('span', { class: 'fill', '--full': (ms / most).toFixed(4) })),
      h('span', { class: 'number' }, ms > 0 ? msText(ms) : '\u2013')))
}
