import type { Places } from '../engine/places.ts'
import { messageOf, PawlError, RunAbortedError } from '../errors.ts'
import type { Source } from '../items.ts'
import type { Dispatch, RunContext } from '../stages/stage.ts'
import type { Chunk } from '../types.ts'
import { inReport, type Mention, option, worded, wording } from '../wording.ts'

/** Where chunks wait and how many may; see `runLoop`. */
export interface Room {
  /** See `RunContext.rest`. `places` is where the chunk has its place. */
  rest<V>(places: Places, chunk: Chunk, wait: () => Promise<V>): Promise<V>
  /** See `RunContext.lend`. */
  lend<V>(places: Places, answer: Promise<V>): Promise<V>
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

/** With the next turn of the event loop. To be ready for that takes some microseconds. */
function inATurn(give: () => void): () => void {
  const giving = setImmediate(give)
  return () => clearImmediate(giving)
}

/** What the loop asks of its surroundings. */
export interface LoopOptions<T, R> {
  readonly source: Source<T>
  readonly context: Omit<RunContext<T, R>, 'rest' | 'lend'>
  readonly room: Room
  /** The places and the dispatch for the next chunk. */
  route(): { readonly places: Places; readonly dispatch: Dispatch<T, R> }
  chunkSize(): number
  /** A promise: too much waits to be recorded; go on when it resolves. */
  backlog(): Promise<void> | undefined
  /** Resolves when all that has settled is recorded: only then is one suspect told from the next. */
  saved(): Promise<void>
}

/**
 * Dispatches chunks while there are places for them, and resolves when every one has come back. Takes a chunk from the
 * source only when it has a place. A chunk that is alone has the run to itself.
 */
export async function runLoop<T, R>({
  source,
  context,
  room,
  route,
  chunkSize,
  backlog,
  saved,
}: LoopOptions<T, R>): Promise<void> {
  const inFlight = new Set<Promise<void>>()
  const { draining } = context
  const untilDrained = createPatience(draining)
  while (!draining.aborted) {
    const { places, dispatch } = route()
    const pause = room.ready(places) ?? backlog()
    if (pause) {
      await pause
      continue
    }
    if (!(await places.take(draining))) break
    const asked = untilDrained(source.next(chunkSize())).catch((error) => context.fail(sourceError(error)))
    // A source may give nothing for long, or wait for what comes of other runs.
    const chunk = await (source.total === undefined ? lendWhile(asked, places, draining, inATurn) : asked)
    if (!chunk) {
      places.give()
      break
    }
    if (chunk.alone) await room.rest(places, chunk, () => Promise.all(inFlight)) // One of them may need its place.
    const rest: RunContext<T, R>['rest'] = (resting, wait) => room.rest(places, resting, wait)
    const lend: RunContext<T, R>['lend'] = (answer) => room.lend(places, answer)
    const settled = dispatch(chunk, { ...context, rest, lend })
      .then((outcomes) => context.settle(outcomes))
      .catch((error) => context.fail(error))
      .finally(() => {
        places.give()
        inFlight.delete(settled)
      })
    inFlight.add(settled)
    if (chunk.alone) {
      await settled
      await saved().catch(() => {}) // A checkpoint that fails tells of it, and ends the run, by itself.
    }
  }
  await Promise.all(inFlight)
}

/**
 * What the items, or the `key` function, threw; `end` of the message. Errors of ours say all there is to say, but one that ended
 * another run, of which the items were made, has the report of that.
 */
export function sourceError(error: unknown, end: Mention | '' = inReport()): Error {
  if (error instanceof PawlError && (error as { readonly report?: unknown }).report === undefined) return error
  return worded(
    wording`Cannot read the next item: expected the items to go on or end, got what they, or ${option('key')}, threw: ${messageOf(error)}${end}`,
    (message) => new RunAbortedError(message, { cause: error }),
  )
}

/** Waits no longer than the run lasts, and listens once: then the answer is undefined. A source may never answer. */
function createPatience(draining: AbortSignal): <V>(answer: Promise<V>) => Promise<V | undefined> {
  let giveUp = () => {}
  draining.addEventListener('abort', () => giveUp(), { once: true })
  return (answer) =>
    new Promise((resolve, reject) => {
      giveUp = () => resolve(undefined)
      if (draining.aborted) giveUp()
      answer.then(resolve, reject)
    })
}
