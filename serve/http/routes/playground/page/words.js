// Numbers and names as people read them.

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB']

/** Returns a cosine with three decimals and a true minus sign. */
export function cosineText(cosine) {
  return cosine.toFixed(3).replace('-', '\u2212')
}

/** Returns ms with as many digits as matter. */
export function msText(ms) {
  return ms < 10 ? `${ms.toFixed(1)} ms` : ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
}

/** Returns a size in bytes. */
export function bytesText(bytes) {
  const power = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), UNITS.length - 1)
  return `${+(bytes / 1024 ** power).toFixed(1)} ${UNITS[power]}`
}

/** Returns a count with its noun: 1 picture, 2 pictures. */
export function countText(count, noun) {
  return `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`
}

/** Returns the host and the file name of a URL, for a tile. */
export function urlParts(url) {
  if (/^data:/i.test(url)) return { host: 'data:', file: 'a picture in the URL' }
  try {
    const { host, pathname } = new URL(url)
    return { host, file: decoded(pathname.split('/').filter(Boolean).pop() ?? '/') }
  } catch {
    return { host: url.slice(0, 40), file: '' }
  }
}

function decoded(text) {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
