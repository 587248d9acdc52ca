import type { Clock } from '../clock.ts'
import { onAbort, untilDrained } from '../drain.ts'
import { InvalidOptionError } from '../errors.ts'
import { attemptsBefore } from '../items/chunk.ts'
import { NOTHING } from '../stages/stage.ts'
import { SLICE_MS, turn } from '../turn.ts'
import type { Engine, EngineRun, EngineRunOptions } from './engine.ts'
import { announceStop, createRecorder, cursorOf, prepare, type Slot, slotOf, stop, takeTail } from './flight-recorder.ts'
import { createJob, type JobRun } from './job.ts'
import { type LoadedRun, loadPacking } from './loaded-run.ts'
import { createPiece } from './piece.ts'
import { createPlaces } from './places.ts'
import type { PartMessage } from './protocol.ts'
import { inlineUntrueError } from './run-errors.ts'
import { runItems } from './run-items.ts'
import { settlePart } from './settle-part.ts'

/** Items that turn from short to 1 ms each still fit into a slice. A look at the clock costs as much as a trivial item. */
const MAX_STRIDE = 4

/**
 * A chunk does not begin so long after the event loop turned, in ms: with a slice of its own it would keep it waiting for longer
 * than 5.
 */
const BEGUN_MS = 0.5

/**
 * Runs chunks on the main thread, in slices between which the event loop turns. Items and results are cloned as if
 * they crossed threads, so that nothing depends on where a run took place.
 *
 * Each run has a place of its own: an item may wait for another run of the executor, which would wait for its place for ever.
 * They take turns by slice.
 */
export function createInline(clock: Clock): Engine {
  let numbered = 0
  let kept: { readonly shared: unknown } | undefined
  let turnedAt = Number.NEGATIVE_INFINITY
  let turning = Promise.resolve()
  /** Each slice has a turn of its own: those of several runs in one would keep the event loop waiting one after the other. */
  const breathe = () => {
    turning = turning.then(turn).then(() => {
      turnedAt = clock.now()
    })
    return turning
  }
  const sharedOf = ({ shared, keepsShared }: EngineRunOptions['setup']): unknown => {
    if (!keepsShared) return cloneShared(shared)
    kept ??= { shared: cloneShared(shared) }
    return kept.shared
  }
  const start = (options: EngineRunOptions): EngineRun => {
    const run: JobRun = { ...options, number: ++numbered, unexplained: 0, endedAt: undefined }
    let loading: Promise<LoadedRun> | undefined
    let loadingSince = 0
    let loaded: LoadedRun | undefined
    const prepareRun = async (): Promise<LoadedRun> => ({
      setup: { ...run.setup, shared: sharedOf(run.setup) },
      run: await run.load(),
      ...(await loadPacking(run.setup)),
    })
    return {
      places: createPlaces(1),
      dispatch: async (chunk, context) => {
        if (!loading) {
          loadingSince = clock.now()
          loading = prepareRun()
        }
        loaded ??= await untilDrained(context.draining, loading)
        if (!loaded) return NOTHING
        const atHand = loaded
        if (clock.now() - turnedAt > BEGUN_MS) await breathe()
        const { job, done } = createJob(chunk, run, context)
        const piece = createPiece(job, chunk)
        const slot = slotOf(createRecorder(1), 0)
        prepare(slot, chunk.items.length)
        const watch = watchDrain(slot, context.draining, run.drainTimeout)
        run.tally.chunks++
        let isCutOff = false
        const post = (part: PartMessage) => {
          if (isCutOff) return
          const fault = settlePart(piece, part, clock.today())
          if (fault !== undefined) return job.fail(inlineUntrueError(fault))
          run.observe({ items: part.to - part.from, taskTime: part.taskTime, sendTime: undefined })
        }
        const running = runItems({ ...chunk, id: piece.id, keys: chunk.keys, attempts: attemptsBefore(chunk) }, atHand, slot, {
          post: (part, transfer) => post(part.values ? { ...part, values: cloneColumn(part.values, transfer) } : part),
          partMs: SLICE_MS,
          maxStride: MAX_STRIDE,
          turn: async () => {
            await breathe()
            if (!run.mayStayInline()) takeTail(slot, cursorOf(slot) + 1)
          },
          clone: cloneItem,
        })
        await Promise.race([running, watch.isUp]).finally(watch.close)
        isCutOff = true
        job.interrupt(chunk.items.length - piece.settled)
        return done
      },
      loadingFor: () => (loading && !loaded ? clock.now() - loadingSince : 0),
      end: () => {},
    }
  }
  return {
    grow: () => {},
    up: async () => {},
    hasBegun: true,
    start: start as Engine['start'],
    close: async () => {},
  }
}

/**
 * When a drain starts, stops what runs in `slot` between two items; `isUp` resolves when an item took longer than `timeout` to
 * end after that.
 */
function watchDrain(slot: Slot, draining: AbortSignal, timeout: number) {
  let patience: NodeJS.Timeout | undefined
  let giveUp!: () => void
  const isUp = new Promise<void>((resolve) => {
    giveUp = resolve
  })
  const stopListening = onAbort(draining, () => {
    stop(slot)
    announceStop(slot)
    patience = setTimeout(giveUp, timeout)
  })
  const close = () => {
    stopListening()
    clearTimeout(patience)
  }
  return { isUp, close }
}

/** As a worker gets it: what tasks do to it stays among them. */
function cloneShared(shared: unknown): unknown {
  try {
    return structuredClone(shared)
  } catch (error) {
    throw new InvalidOptionError('shared', 'a value that can be cloned', (error as Error).message)
  }
}

function cloneItem(item: unknown): unknown {
  return (typeof item === 'object' && item !== null) || typeof item === 'function' || typeof item === 'symbol'
    ? structuredClone(item)
    : item
}

function cloneColumn(values: ArrayLike<unknown>, transfer: ArrayBuffer[]): ArrayLike<unknown> {
  return values instanceof Float64Array ? values : structuredClone(values, { transfer })
}
