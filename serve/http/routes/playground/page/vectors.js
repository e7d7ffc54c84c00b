// Embeddings and cosines. Pure.

/** Decodes an embedding: little-endian float32 in base64. Returns a Float32Array [D]. */
export function decodeEmbedding(base64) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
  const view = new DataView(bytes.buffer)
  return Float32Array.from({ length: bytes.length / 4 }, (_, index) => view.getFloat32(4 * index, true))
}

/** Returns the cosine of two embeddings of unit norm: their dot product. */
export function cosine(a, b) {
  let sum = 0
  for (let index = 0; index < a.length; index += 1) sum += a[index] * b[index]
  return sum
}

/** Returns [{item, cosine}], the closest first. */
export function ranked(query, items) {
  return items
    .map((item) => ({ item, cosine: cosine(query.embedding, item.embedding) }))
    .sort((a, b) => b.cosine - a.cosine)
}

/** Returns where a value is between the least and the most, 0 to 1; 1 if they are equal. */
export function share(value, least, most) {
  return most > least ? (value - least) / (most - least) : 1
}
