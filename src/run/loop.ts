import type { Places } from '../engine/places.ts'
import { messageOf, PawlError, RunAbortedError } from '../errors.ts'
import type { Source } from '../items/items.ts'
import type { Dispatch, RunContext } from '../stages/stage.ts'
import { inReport, type Mention, option, worded, wording } from '../wording.ts'
import { createRoom } from './room.ts'

/** What the loop asks of its surroundings. */
export interface LoopOptions<T, R> {
  readonly source: Source<T>
  readonly context: Omit<RunContext<T, R>, 'rest' | 'lend'>
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
export async function runLoop<T, R>({ source, context, route, chunkSize, backlog, saved }: LoopOptions<T, R>): Promise<void> {
  const inFlight = new Set<Promise<void>>()
  const { draining } = context
  const room = createRoom(draining)
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
    const chunk = await (source.total === undefined ? room.lendInATurn(places, asked) : asked)
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

/**
 * As `untilDrained` of drain.ts, for one answer at a time: listens once for all of them. A source may never answer.
 */
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
