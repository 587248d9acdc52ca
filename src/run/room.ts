import type { Places } from '../engine/places.ts'
import { inATurn } from '../turn.ts'
import type { Chunk } from '../types.ts'

/** Where chunks wait and how many may; see `runLoop`. */
export interface Room {
  /** See `RunContext.rest`. `places` is where the chunk has its place. */
  rest<V>(places: Places, chunk: Chunk, wait: () => Promise<V>): Promise<V>
  /** See `RunContext.lend`. */
  lend<V>(places: Places, answer: Promise<V>): Promise<V>
  /** What `answer` gives; from the next turn of the event loop on others have the place meanwhile. */
  lendInATurn<V>(places: Places, answer: Promise<V>): Promise<V>
  /** Resolves when another chunk may be taken from the source; undefined when it may be at once. */
  ready(places: Places): Promise<void> | undefined
}

/** Chunks that may wait at once (for a backoff, for the breaker), per place; and the items they may hold if that is more. */
const RESTING_CHUNKS_PER_PLACE = 2
const RESTING_ITEMS = 10_000

/**
 * So long a chunk waits for its store before others have its place, in ms: most stores take a few at most, and to take a place
 * again is to wait for it.
 */
const LEND_MS = 1000

/** Bounds what waits outside the engine, so that a source is not read into memory while everything backs off. */
export function createRoom(draining: AbortSignal): Room {
  let chunks = 0
  let items = 0
  let lent = 0
  let wake: (() => void) | undefined
  return {
    rest: async (places, chunk, wait) => {
      chunks++
      items += chunk.items.length
      places.give()
      try {
        return await wait()
      } finally {
        chunks--
        items -= chunk.items.length
        wake?.()
        await takeAgain(places, draining)
      }
    },
    lend: (places, answer) =>
      lendWhile(answer, places, draining, (give) => {
        const lending = setTimeout(() => {
          lent++
          give()
        }, LEND_MS)
        return (isLent) => {
          clearTimeout(lending)
          if (isLent) lent--
          wake?.()
        }
      }),
    lendInATurn: (places, answer) => lendWhile(answer, places, draining, inATurn),
    ready: (places) => {
      const isFull = chunks >= RESTING_CHUNKS_PER_PLACE * Math.max(2, places.count) && items >= RESTING_ITEMS
      if (!isFull && lent === 0) return undefined
      return new Promise((resolve) => {
        const go = () => {
          wake = undefined
          draining.removeEventListener('abort', go)
          resolve()
        }
        wake = go
        draining.addEventListener('abort', go, { once: true })
      })
    },
  }
}

/**
 * Takes a place again that was given away. Given one or not: when a drain was first, whoever asks finds out by itself, and the
 * place it gives back later is taken now.
 */
async function takeAgain(places: Places, draining: AbortSignal): Promise<void> {
  if (!(await places.take(draining))) places.borrow()
}

/** What `answer` gives. Others have the place meanwhile, from when `later` gives it, unless what it returned was called before. */
async function lendWhile<V>(
  answer: Promise<V>,
  places: Places,
  draining: AbortSignal,
  later: (give: () => void) => (isLent: boolean) => void,
): Promise<V> {
  let isLent = false
  const stop = later(() => {
    isLent = true
    places.give()
  })
  try {
    return await answer
  } finally {
    stop(isLent)
    if (isLent) await takeAgain(places, draining)
  }
}
