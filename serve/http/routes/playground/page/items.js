// The items of the page: pictures, URLs of pictures, texts; what is known of each; the query.

import { shrunk } from './thumbnails.js'
import { urlParts } from './words.js'

// Of all kinds together. A page with more is slow to read, not to compute.
const MOST_ITEMS = 100
const NAME_CHARS = 300

/** Fires `change` after each change. An item's state: waiting, asking, done or failed. */
export class Items extends EventTarget {
  list = []
  // What the user ranks by, and what is ranked by until that has an embedding.
  query = null
  ranking = null
  most = MOST_ITEMS
  #made = 0

  get images() {
    return this.list.filter((item) => item.kind !== 'text')
  }

  get texts() {
    return this.list.filter((item) => item.kind === 'text')
  }

  /** Adds files, URLs ({url}) or texts ({text}). Returns how many found no room. */
  add(given) {
    let refused = 0
    for (const one of given) {
      const item = made(one)
      const known = this.list.find((other) => other.same === item.same)
      if (known !== undefined) this.#choose(known)
      else if (this.list.length >= this.most) refused += 1
      else this.#append(item)
    }
    this.changed()
    return refused
  }

  remove(item) {
    this.list = this.list.filter((other) => other !== item)
    forget(item)
    if (this.query === item) this.query = null
    this.changed()
  }

  clear() {
    this.list.forEach(forget)
    this.list = []
    this.query = null
    this.changed()
  }

  /** Ranks by this item. */
  ask(item) {
    this.query = item
    this.changed()
  }

  /** Makes items wait to be embedded again, by default all. */
  again(items = this.list) {
    for (const item of items) Object.assign(item, { state: 'waiting', embedding: undefined, error: undefined })
    this.changed()
  }

  /** Tells that items have changed. A query that has no embedding gives way to one that has. */
  changed() {
    const usable = (item) => item !== null && item.state !== 'failed'
    if (!usable(this.query)) this.query = [...this.texts, ...this.images].find(usable) ?? null
    if (this.query?.embedding || !this.list.includes(this.ranking) || !this.ranking.embedding) this.ranking = this.query
    this.dispatchEvent(new Event('change'))
  }

  #choose(item) {
    if (item.state === 'failed') Object.assign(item, { state: 'waiting', error: undefined })
    this.query = item
  }

  #append(item) {
    this.#made += 1
    item.key = this.#made
    this.list.push(item)
    // A text that was just typed is what the user wants to see ranked.
    if (item.kind === 'text') this.query = item
    if (item.file) shrunk(item.file).then((url) => this.#picture(item, url))
  }

  #picture(item, url) {
    if (this.list.includes(item)) item.picture = url
    else if (url) URL.revokeObjectURL(url)
    this.changed()
  }
}

function made(one) {
  const fresh = { state: 'waiting' }
  if (one instanceof File) {
    const name = one.name || 'pasted picture'
    return { ...fresh, kind: 'image', file: one, name, same: `${name} ${one.size} ${one.lastModified}` }
  }
  if (one.url) {
    const { host, file } = urlParts(one.url)
    const picture = /^data:image\//i.test(one.url) ? one.url : undefined
    return { ...fresh, kind: 'url', url: one.url, name: file || host, host, picture, same: one.url }
  }
  return { ...fresh, kind: 'text', text: one.text, name: one.text.slice(0, NAME_CHARS), same: one.text }
}

function forget(item) {
  if (item.kind === 'image' && item.picture) URL.revokeObjectURL(item.picture)
}
