import type { Clock } from '../clock.ts'
import { RunAbortedError } from '../errors.ts'
import type { Store } from '../store/store.ts'
import type { Haste } from './patient-writes.ts'

/** How long opening a run may go on once it is told to end, in ms: what is on record, if it is there by then, is in the report. */
const PATIENCE = 1000

/** Raises RunAbortedError once it is too late to begin a run. */
export type Heed = () => void

/** Heeds that a run is told to end while it is opened: nothing was run, so nothing is lost by an end. */
export function createHeed(runId: string, clock: Clock, haste: Haste | undefined): Heed {
  let toldAt = haste?.signal.aborted ? clock.now() : undefined
  const note = () => {
    toldAt = clock.now()
  }
  haste?.signal.addEventListener('abort', note, { once: true })
  return () => {
    if (toldAt === undefined || clock.now() - toldAt < PATIENCE) return
    throw cannotBegin(runId, 'time to read what is on record of it', haste?.signal.reason)
  }
}

/** The error of a run that is told to end before it began, for `reason`. */
export function cannotBegin(runId: string, expected: string, reason: unknown): RunAbortedError {
  const why = reason instanceof Error ? reason.message : String(reason)
  const message = `Cannot begin run '${runId}': expected ${expected}, got a request to stop (${why}). Nothing was run: run it again`
  return new RunAbortedError(message, { cause: reason })
}

/** The store of a run that is opened: asked nothing more once it is too late to begin. */
export function heeding(store: Store, heed: Heed): Store {
  const unlessLate = async <V>(call: () => Promise<V>): Promise<V> => {
    heed()
    return call()
  }
  const { sync, modifiedAt } = store
  return {
    get: (key, range) => unlessLate(() => store.get(key, range)),
    put: (key, bytes, how) => unlessLate(() => store.put(key, bytes, how)),
    list: (prefix) => unlessLate(() => store.list(prefix)),
    delete: (key) => unlessLate(() => store.delete(key)),
    ...(sync ? { sync: (key) => unlessLate(() => sync.call(store, key)) } : {}),
    ...(modifiedAt ? { modifiedAt: (key) => unlessLate(() => modifiedAt.call(store, key)) } : {}),
  }
}
