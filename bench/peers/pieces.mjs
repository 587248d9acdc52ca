// @ts-check
/** How a user of a pool without chunks cuts the items: 'item' by item, in chunks of '64', or 'n4w', the number of items over four times the workers. */

/**
 * @param {(input: any) => PromiseLike<any>} run sends one item, or one list of items, to a worker
 * @param {string} variant
 * @param {any[] | AsyncIterable<any>} items
 * @param {number} workers
 */
export async function mapInPieces(run, variant, items, workers) {
  /** @type {PromiseLike<any>[]} */
  const runs = []
  if (variant === 'item') {
    if (Array.isArray(items)) for (const item of items) runs.push(run(item))
    else for await (const item of items) runs.push(run(item))
    return Promise.all(runs)
  }
  if (variant === '64' && !Array.isArray(items)) {
    let chunk = []
    for await (const item of items) {
      if (chunk.push(item) < 64) continue
      runs.push(run(chunk))
      chunk = []
    }
    if (chunk.length > 0) runs.push(run(chunk))
  } else {
    const all = await collect(items)
    const size = variant === '64' ? 64 : Math.max(1, Math.ceil(all.length / (4 * workers)))
    for (let from = 0; from < all.length; from += size) runs.push(run(all.slice(from, from + size)))
  }
  return (await Promise.all(runs)).flat()
}

/** @param {any[] | AsyncIterable<any>} items @returns {Promise<any[]>} */
export async function collect(items) {
  if (Array.isArray(items)) return items
  const all = []
  for await (const item of items) all.push(item)
  return all
}
