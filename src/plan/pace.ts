import type { Knowledge } from './knowledge.ts'

/** How long a pace is measured, in ms and in items: long against a chunk, short against a run. */
const PACE_MS = 5
const PACE_ITEMS = 1000

/**
 * A task is cheap when threads take so many times as long as one alone would: the main thread has its own costs, and its code is
 * still cold. Set by bench/peers, 'trivial'.
 */
const CHEAP = 2

/** Times in ms. */
export interface Pace {
  /** So many items came back. */
  count(items: number, now: number): void
  /** What comes back now is not counted, so the time it took is not, either. */
  interrupt(): void
}

/** Watches whether threads get items done faster than one thread would alone, and notes it in `known`. */
export function createPace(known: Pick<Knowledge, 'itemTime' | 'pace' | 'isCheap'>): Pace {
  let since: number | undefined
  let counted = 0
  let slower = 0
  return {
    count: (items, now) => {
      counted += items
      if (since === undefined) {
        since = now
        counted = 0
      }
      if (now - since < PACE_MS || counted < PACE_ITEMS) return
      known.pace = (now - since) / counted
      slower = known.pace > known.itemTime * CHEAP ? slower + 1 : 0
      if (slower >= 2) known.isCheap = true // One slow stretch may be a hiccup of the machine; two are a reason.
      since = now
      counted = 0
    },
    interrupt: () => {
      since = undefined
    },
  }
}
