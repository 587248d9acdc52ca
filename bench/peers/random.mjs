// @ts-check
/** Numbers in [0, 1) that depend on `seed` alone (mulberry32). @param {number} seed */
export function createRandom(seed) {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A copy of `list` in a random order. @template T @param {readonly T[]} list @param {() => number} random */
export function shuffle(list, random) {
  const shuffled = [...list]
  for (let last = shuffled.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1))
    const moved = /** @type {T} */ (shuffled[last])
    shuffled[last] = /** @type {T} */ (shuffled[other])
    shuffled[other] = moved
  }
  return shuffled
}
