// Requests to the service of this page, and its refusals.

import { countText } from './words.js'

const REQUEST_MS = 120_000
const BUSY = new Set([429, 502, 503, 504])
// How long to wait where nothing says it, and how often to try again.
const RETRY_MS = { loading: 1000, busy: 2000, offline: 3000 }
const TRIES = { loading: 600, busy: 10, offline: 10 }
const MOST_RETRY_MS = 60_000

/** A request without results. kind: loading, busy, offline, too-large or refused. */
export class Refusal extends Error {
  constructor(kind, code, message, retryMs = RETRY_MS[kind]) {
    super(message)
    Object.assign(this, { kind, code, retryMs })
  }
}

/** Returns the facts of the models and the limits. Throws Refusal. */
export function getFacts() {
  return asked('playground/facts')
}

/** Returns the answer of `/invocations`. Throws Refusal. */
export function invoke(body) {
  return asked('invocations', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
    body: JSON.stringify(body),
  })
}

/**
 * Tries until the service answers, or does not within the tries of its kind of refusal.
 * pause(refusal): waits, or returns earlier if the user says so. Throws the last Refusal.
 */
export async function patiently(request, pause) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await request()
    } catch (refusal) {
      if (!(refusal instanceof Refusal) || !(tries < TRIES[refusal.kind])) throw refusal
      await pause(refusal)
    }
  }
}

async function asked(path, options = {}) {
  let response
  try {
    response = await fetch(path, { ...options, cache: 'no-store', signal: AbortSignal.timeout(REQUEST_MS) })
    if (response.ok) return await response.json()
  } catch (problem) {
    const late = problem.name === 'TimeoutError'
    throw new Refusal('offline', 'unreachable', late ? `No answer within ${countText(REQUEST_MS / 1000, 'second')}.` : 'The connection failed.')
  }
  throw refusalOf(response, await errorOf(response))
}

/** Returns the error object of the service; a proxy's answer has none. */
async function errorOf(response) {
  try {
    return (await response.json()).error ?? {}
  } catch {
    return {}
  }
}

function refusalOf({ status, statusText, headers }, error) {
  const code = error.code ?? `http_${status}`
  const message = error.message ?? `${status} ${statusText}`.trim()
  const kind = code === 'not_ready' ? 'loading' : BUSY.has(status) ? 'busy' : status === 413 ? 'too-large' : 'refused'
  const seconds = Number(headers.get('Retry-After') ?? NaN)
  const told = error.retry_after_ms ?? (seconds >= 0 ? 1000 * seconds : undefined)
  return new Refusal(kind, code, message, told === undefined ? undefined : Math.min(told, MOST_RETRY_MS))
}
