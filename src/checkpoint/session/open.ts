import { CheckpointWriteError, messageOf, PawlError } from '../../errors.ts'
import { codeOf } from '../../store/errno.ts'
import { loadCodec } from '../../values/codec.ts'
import { worded, wording } from '../../wording.ts'
import { acquireLease } from '../claims/lease.ts'
import { newWriter } from '../format/run-file.ts'
import { checkBefore, openManifest } from '../identity/open-manifest.ts'
import { eachCall } from '../patience/each-call.ts'
import { createHeed, heeding } from '../patience/heed.ts'
import { adviseOn } from '../patience/patient-writes.ts'
import { createPatiently } from '../patience/patiently.ts'
import { findEnded } from '../record/ends.ts'
import { type Restored, restore } from '../record/restored.ts'
import { loadEarlier, nothingEarlier, warnOfStoodFor } from './load-earlier.ts'
import type { Session, SessionOptions } from './session.ts'
import { startSession } from './start-session.ts'

export { answering } from '../patience/answering.ts'
export { atLeisure, createHaste } from '../patience/haste.ts'

/**
 * Opens a run for work: takes the lease, makes or checks the manifest, and loads what earlier sessions recorded.
 *
 * @throws RunLockedError, RunAbortedError, CheckpointMismatchError, CheckpointVersionError, CheckpointCorruptError,
 * RunNotFoundError (for `resume: 'require'`), and CheckpointWriteError, with the store's own error as its cause, when the store
 * does not answer; of that also when the outcomes that are on record are read.
 */
export async function openSession(options: SessionOptions): Promise<Session> {
  try {
    return await claimAndLoad(options)
  } catch (error) {
    throw explain(options.runId, error)
  }
}

/** The error of a run that cannot begin, as its store rejects with `error`. */
function explain(runId: string, error: unknown): PawlError {
  if (error instanceof PawlError) return error
  const way = CLOSED.has(codeOf(error)) ? ({ about: 'place', says: adviseOn(error) } as const) : adviseOn(error)
  return worded(
    wording`Cannot open the checkpoint of run '${runId}': expected the store to answer, got ${messageOf(error)}. Nothing was run: ${way}`,
    (message) => new CheckpointWriteError(message, { cause: error }),
  )
}

/** What the system says where this user, or nobody, may write. */
const CLOSED = new Set(['EACCES', 'EPERM', 'EROFS'])

/** `restored`, whose outcomes are read as a part of opening the run. */
function explaining(runId: string, restored: Restored): Restored {
  return {
    ...restored,
    async *read(how) {
      try {
        yield* restored.read(how)
      } catch (error) {
        throw explain(runId, error)
      }
    },
  }
}

async function claimAndLoad(options: SessionOptions): Promise<Session> {
  const { store, runId, clock } = options
  const loading = loadCodec(options.format)
  loading.catch(() => {}) // Told where it is awaited.
  const heed = createHeed(runId, clock, options.haste)
  const patiently = createPatiently(clock, options.haste)
  const opening = { ...options, store: eachCall(heeding(store, heed), patiently) }
  const { wasThere, stems } = await checkBefore(opening)
  heed()
  const writer = newWriter(clock.today(), stems)
  const { isLeaseIgnored: isIgnored, place, shard, draining, emit } = options
  const lease = await acquireLease({ store, runId, writer, shard, clock, draining, heed, patiently, emit, isIgnored, place })
  try {
    heed()
    if (options.resume === 'fresh') await lease.refuseOthers()
    const { manifest, isNew } = await openManifest(opening, writer, wasThere)
    const { fingerprint } = manifest
    const { index, damaged, hasDamage } = isNew ? nothingEarlier(manifest) : await loadEarlier(opening, lease, manifest)
    // Who died of what `resume: 'fresh'` discarded is none of the new run's.
    const known = isNew ? { ...lease, dead: [], ended: [] } : lease
    const spared = new Set([...lease.others, ...findEnded(index, known)])
    const restored = explaining(runId, await restore(opening.store, runId, fingerprint, index, spared, damaged))
    // Neither the start nor an item waits for files that nobody needs to read.
    const looking = warnOfStoodFor({ ...options, store: options.leisurely }, fingerprint, index)
    const isToMend = hasDamage ? looking.then(() => true) : looking
    return startSession(options, { writer, lease: known, manifest, index, restored, isToMend, codec: await loading })
  } catch (error) {
    await lease.release()
    throw error
  }
}
