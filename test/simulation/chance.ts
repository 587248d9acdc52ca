/** Chance that a seed decides, so that whatever it brought about can be had again. */
export interface Chance {
  /** A number in [0, 1). */
  next(): number
  /** An integer in [from, to]. */
  int(from: number, to: number): number
  /** True `share` of the time. */
  is(share: number): boolean
  pick<V>(choices: readonly V[]): V
  /** About `mean` on average: mostly less, now and then many times as much. */
  wait(mean: number): number
  shuffle<V>(values: readonly V[]): V[]
}

/** mulberry32: 32 bits of state, which is enough for what one history asks of it. */
export function createChance(seed: number): Chance {
  let state = Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const int = (from: number, to: number) => from + Math.floor(next() * (to - from + 1))
  return {
    next,
    int,
    is: (share) => next() < share,
    pick: (choices) => choices[int(0, choices.length - 1)] as (typeof choices)[number],
    wait: (mean) => -Math.log(1 - next()) * mean,
    shuffle: (values) => {
      const mixed = [...values]
      for (let at = mixed.length - 1; at > 0; at--) {
        const other = int(0, at)
        const [a, b] = [mixed[at], mixed[other]] as [(typeof mixed)[number], (typeof mixed)[number]]
        mixed[at] = b
        mixed[other] = a
      }
      return mixed
    },
  }
}
