// Embeds the items that wait, in requests that the service accepts.

import { invoke, patiently, Refusal } from './service.js'
import { decodeEmbedding } from './vectors.js'
import { bytesText } from './words.js'

// Small requests, so that the first results are seen early.
const TEXTS_A_REQUEST = 64
const IMAGES_A_REQUEST = 16
const BODY_BYTES = 8 * 2 ** 20
// JSON around the data of one item, and around all items.
const AROUND_BYTES = 256
const STAGES = ['fetch_ms', 'decode_ms', 'queue_ms', 'encode_ms', 'total_ms']

/** One run at a time. screen: told of progress, times, other models and refusals. */
export class Embedding {
  #running = false

  constructor(items, screen) {
    Object.assign(this, { items, screen, limits: null, model: null, fingerprint: null })
  }

  /** Embeds until no item waits or a request is refused for good. */
  async run() {
    if (this.#running || this.limits === null) return
    this.#running = true
    const times = { requests: 0, items: 0, seen_ms: 0 }
    try {
      for (let group = this.#next(); group.length > 0; group = this.#next()) await this.#embed(group, times)
      this.screen.rested()
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal
      this.screen.refused(refusal)
    } finally {
      this.#running = false
    }
  }

  /** Returns the items of the next request: texts first, since they take one short request. */
  #next() {
    for (const item of this.#waiting()) this.#refuseLarge(item)
    const waiting = this.#waiting()
    const texts = waiting.filter((item) => item.kind === 'text')
    const most = Math.min(this.limits.max_items, texts.length > 0 ? TEXTS_A_REQUEST : IMAGES_A_REQUEST)
    const group = []
    let left = Math.min(this.limits.max_body_bytes, BODY_BYTES) - AROUND_BYTES
    for (const item of texts.length > 0 ? texts : waiting) {
      left -= weight(item)
      if (group.length > 0 && (left < 0 || group.length >= most)) break
      group.push(item)
    }
    return group
  }

  #waiting() {
    return this.items.list.filter((item) => item.state === 'waiting')
  }

  #refuseLarge(item) {
    const { max_image_bytes: image, max_body_bytes: body } = this.limits
    const over = item.file && item.file.size > image ? image : weight(item) + AROUND_BYTES > body ? body : 0
    if (over > 0) {
      const size = bytesText(item.file?.size ?? weight(item))
      fail(item, 'payload_too_large', `${size}; the service takes ${bytesText(over)}`)
      this.items.changed()
    }
  }

  async #embed(group, times) {
    group.forEach((item) => (item.state = 'asking'))
    this.items.changed()
    this.screen.busy(group.length, this.#waiting().length)
    try {
      const inputs = await Promise.all(group.map(inputOf))
      const start = performance.now()
      const answer = await patiently(() => invoke(this.#body(inputs)), (refusal) => this.screen.pause(refusal))
      add(times, answer.timings ?? {}, group.length, performance.now() - start)
      this.#take(group, answer)
      this.screen.answered(times)
    } catch (refusal) {
      this.#giveBack(group, refusal)
      throw refusal
    }
  }

  #body(inputs) {
    const body = { inputs, parameters: { timings: true, encoding: 'base64' } }
    return this.model === null ? body : { ...body, model: this.model }
  }

  #take(group, answer) {
    if (this.fingerprint !== null && this.fingerprint !== answer.fingerprint) {
      this.items.again()
      this.screen.otherModel()
    }
    this.fingerprint = answer.fingerprint
    answer.results.forEach(({ embedding, error, truncated }, index) => {
      if (embedding) Object.assign(group[index], { state: 'done', embedding: decodeEmbedding(embedding), truncated })
      else fail(group[index], error.code, error.message, error.retryable)
    })
    this.items.changed()
  }

  /** A request that may succeed later leaves its items waiting; any other fails them. */
  #giveBack(group, refusal) {
    for (const item of group) {
      if (refusal.retryMs !== undefined) item.state = 'waiting'
      else fail(item, refusal.code ?? 'internal', refusal.message, true)
    }
    this.items.changed()
  }
}

function fail(item, code, message, retryable = false) {
  Object.assign(item, { state: 'failed', embedding: undefined, error: { code, message, retryable } })
}

/** Returns the bytes that an item takes in the body, at most. */
function weight(item) {
  if (item.file) return Math.ceil(item.file.size / 3) * 4 + AROUND_BYTES
  return new TextEncoder().encode(JSON.stringify(item.url ?? item.text)).length + AROUND_BYTES
}

async function inputOf(item) {
  if (item.kind === 'text') return { text: item.text }
  return item.kind === 'url' ? { url: item.url } : { image: await base64(item.file) }
}

/** Returns a file in base64; nothing if it is gone, which fails its item. */
function base64(file) {
  return new Promise((done) => {
    const reader = new FileReader()
    reader.onload = () => done(reader.result.slice(reader.result.indexOf(',') + 1))
    reader.onerror = () => done('')
    reader.readAsDataURL(file)
  })
}

function add(times, timings, items, seenMs) {
  times.requests += 1
  times.items += items
  times.seen_ms += seenMs
  for (const stage of STAGES) times[stage] = (times[stage] ?? 0) + (timings[stage] ?? 0)
}
