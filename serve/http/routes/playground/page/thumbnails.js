// Small copies of pictures, and the tiles that show them. Nothing is fetched: a URL has a tile of words.

import { h } from './dom.js'

const LONG_SIDE_PX = 360
const tiles = new WeakMap()

/** Returns an object URL of a small copy of a file; undefined if this browser cannot read it. */
export async function shrunk(file) {
  try {
    const whole = await createImageBitmap(file)
    const scale = Math.min(1, LONG_SIDE_PX / Math.max(whole.width, whole.height))
    const canvas = h('canvas', {
      width: Math.max(1, Math.round(whole.width * scale)),
      height: Math.max(1, Math.round(whole.height * scale)),
    })
    canvas.getContext('2d').drawImage(whole, 0, 0, canvas.width, canvas.height)
    whole.close()
    return URL.createObjectURL(await new Promise((done) => canvas.toBlob(done)))
  } catch {
    return undefined
  }
}

/** Returns an item's tile. place: where it stands; each place keeps its own, so that none flickers. */
export function tile(item, place) {
  const kept = tiles.get(item) ?? {}
  tiles.set(item, kept)
  const id = `${place} ${item.picture ?? ''}`
  if (!kept[id]) kept[id] = made(item)
  return kept[id]
}

function made(item) {
  if (item.picture) return h('span', { class: 'tile' }, h('img', { src: item.picture, alt: '', decoding: 'async' }))
  const words = item.kind === 'url' ? [h('b', {}, item.host), item.name] : [item.kind === 'text' ? '\u201C' : item.name]
  return h('span', { class: `tile words ${item.kind}`, 'aria-hidden': 'true' }, h('span', {}, ...words))
}
