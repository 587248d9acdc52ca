import type { Clock } from '../../clock.ts'
import { messageOf, RunAbortedError } from '../../errors.ts'
import type { Store } from '../../store/store.ts'
import { eachCall } from './each-call.ts'
import type { Haste } from './haste.ts'

/**
 * How long opening a run, and reading what is on record of it, may go on once it is told to end, in ms: what is on record, if it
 * is there by then, is in the report.
 */
const PATIENCE = 1000

/** Raises RunAbortedError once it is too late to begin a run. */
export type Heed = () => void

/** Heeds that a run is told to end while it is opened: nothing was run, so nothing is lost by an end. */
export function createHeed(runId: string, clock: Clock, haste: Haste): Heed {
  return () => {
    const { toldAt, signal } = haste
    if (toldAt === undefined || clock.now() - toldAt < PATIENCE) return
    throw cannotBegin(runId, 'time to read what is on record of it', signal.reason)
  }
}

/** The error of a run that is told to end before it began, for `reason`. */
export function cannotBegin(runId: string, expected: string, reason: unknown): RunAbortedError {
  const message = `Cannot begin run '${runId}': expected ${expected}, got a request to stop (${messageOf(reason)}). Nothing was run: run it again`
  return new RunAbortedError(message, { cause: reason })
}

/** The store of a run that is opened, or whose record is read: asked nothing more once it is too late to begin. */
export function heeding(store: Store, heed: Heed): Store {
  return eachCall(store, async (call) => {
    heed()
    return call()
  })
}
