// What the page says of the service: the line at the top, and the banner of a refusal.

import { h } from './dom.js'
import { drawTimings } from './timings.js'
import { summary } from './tray.js'

const TITLES = {
  loading: 'The model is loading.',
  busy: 'The service is busy.',
  offline: 'The service cannot be reached.',
  'too-large': 'The request is too large.',
  refused: 'The service refused the request.',
}
const PILLS = { loading: 'Loading', busy: 'Busy', offline: 'Not reached', 'too-large': 'Too large', refused: 'Refused' }
const TICK_MS = 250

/** page: the elements. on: `again()` for a refused request, `other()` for other models. */
export class Screen {
  #wake = null

  constructor(page, items, on) {
    Object.assign(this, { page, items, on })
    page.again.addEventListener('click', () => (this.#wake ? this.#wake() : on.again()))
  }

  busy(count, left) {
    this.#hide()
    this.#say('working', `Embedding ${count}` + (left > 0 ? `, ${left} wait` : ''))
  }

  answered(times) {
    this.#hide()
    drawTimings(this.page.timings, times)
  }

  rested() {
    this.#hide()
    this.#say('ready', this.items.list.length > 0 ? summary(this.items) : 'Ready')
  }

  /** Follows the items while nothing else is to be said. */
  counted() {
    if (this.page.pill.dataset.state === 'ready') this.rested()
  }

  otherModel() {
    this.on.other()
  }

  /** A refusal for good: the button tries again. */
  refused(refusal) {
    this.#show(refusal, false)
  }

  /** Waits for a refusal's time, or until the button is pressed. */
  async pause(refusal) {
    this.#show(refusal, true)
    const end = performance.now() + refusal.retryMs
    await new Promise((done) => {
      this.#wake = done
      const tick = () => {
        const left = end - performance.now()
        if (left <= 0) return done()
        if (refusal.kind !== 'loading') this.page.countdown.textContent = `Tries again in ${Math.ceil(left / 1000)} s`
        setTimeout(tick, Math.min(TICK_MS, left))
      }
      tick()
    })
    this.#wake = null
    this.page.countdown.textContent = ''
  }

  #show({ kind, code, message }, waits) {
    const { banner, again, countdown } = this.page
    banner.dataset.kind = kind
    banner.hidden = false
    again.hidden = kind === 'loading'
    countdown.textContent = ''
    this.#tell(kind, code, message)
    this.#say(waits && kind !== 'offline' ? 'working' : 'trouble', PILLS[kind])
  }

  /** Changes the words of the alert only if they differ, so that they are read out once. */
  #tell(kind, code, message) {
    const words = this.page['banner-words']
    if (words.dataset.said === `${kind} ${message}`) return
    words.dataset.said = `${kind} ${message}`
    const cause = kind === 'loading' ? ['The page goes on when it is ready.'] : [sentence(message), ' ', h('code', {}, code)]
    words.replaceChildren(h('strong', {}, TITLES[kind]), ' ', ...cause)
  }

  #hide() {
    this.page.banner.hidden = true
    this.page['banner-words'].dataset.said = ''
    this.page['banner-words'].replaceChildren()
  }

  #say(state, words) {
    this.page.pill.dataset.state = state
    if (this.page.pill.textContent !== words) this.page.pill.textContent = words
  }
}

function sentence(message) {
  return message.charAt(0).toUpperCase() + message.slice(1)
}
