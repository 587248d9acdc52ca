import type { Store, StoredObject } from '../../store/store.ts'
import type { Lease } from '../claims/lease.ts'
import { entryOf } from '../format/entries.ts'
import { discardIfEmpty } from '../identity/discard.ts'
import { putAgain } from '../identity/open-manifest.ts'
import type { RunLog } from '../log/log.ts'
import { eachCall } from '../patience/each-call.ts'
import { createPatiently } from '../patience/patiently.ts'
import { findEnded } from '../record/ends.ts'
import { findLeft } from '../record/left.ts'
import type { RunIndex } from '../record/run-index.ts'
import { createCompaction } from '../snapshots/compaction.ts'
import { mend } from '../snapshots/mend.ts'
import type { Opened } from './opened.ts'
import type { SessionOptions } from './session.ts'

/**
 * What a session does for the files of its run besides recording: compacts, mends, lets go of dead claims. Failures are left for
 * the next session, since nothing depends on it; and so is, but for the manifest, what is to be done once the run is told to end.
 */
export interface Upkeep {
  readonly bytesWritten: number
  /** As in Compaction. */
  readonly made: readonly StoredObject[]
  readonly deleted: ReadonlySet<string>
  /** Takes note of a segment that will not grow any more. */
  add(key: string, size: number): void
  /** As `noteEnds`. */
  noteEnds(log: RunLog): Promise<void>
  /** Puts the manifest again. Behind it the run goes on without: its files still say what they belong to. */
  putManifest(): void
  /** Does what is due as the session closes; resolves when nothing is going on any more. */
  finish(how: Finish): Promise<void>
}

interface Finish {
  /** The session's end is on record. */
  readonly hasEnd: boolean
  /** Files were found to be gone. */
  readonly isGone: boolean
  /** As in Session. */
  readonly isVoid: boolean
}

/** Begins to compact if it is due. `recordedBytes`: of the values this session has recorded. */
export function startUpkeep(options: SessionOptions, opened: Opened, recordedBytes: () => number): Upkeep {
  const { writer, lease, manifest, index, isToMend } = opened
  let bytesWritten = 0
  // To merge is to ask for many files: of a store that fails one call in a hundred hardly ever all of them would come.
  const leisurely = eachCall(options.leisurely, createPatiently(options.clock, options.haste))
  // Counted as they are put: a snapshot that is left behind before it was read back has been written all the same.
  const store = countPuts(leisurely, (bytes) => {
    bytesWritten += bytes
  })
  const snapshots = { ...snapshotsOf(options, opened), store }
  const compaction = createCompaction({ ...snapshots, recordedBytes })
  let buried = Promise.resolve()
  let isNamed = Promise.resolve()
  compaction.startIfDue()

  return {
    get bytesWritten() {
      return bytesWritten
    },
    ...{ made: compaction.made, deleted: compaction.deleted },
    add(key, size) {
      compaction.add(key, size)
      compaction.startIfDue()
    },
    noteEnds(log) {
      buried = noteEnds(index, lease, log, leisurely)
      return buried
    },
    putManifest() {
      isNamed = putAgain(options.store, manifest).catch(() => {})
    },
    async finish({ hasEnd, isGone, isVoid }) {
      await compaction.finish()
      await buried
      await isNamed
      // Files that were found to be gone may only have been cut.
      const isDamaged = (await isToMend) || isGone
      if (isDamaged && hasEnd) await mend(snapshots).catch(() => {})
      // Under the lease: whoever begins now is refused, and finds afterwards that there is no such run.
      const isToGo = isVoid && hasEnd && options.resume !== 'require'
      if (isToGo) await discardIfEmpty(leisurely, options.runId, writer).catch(() => {})
    },
  }
}

/** What snapshots are put with, and what is known of who else is at work. */
function snapshotsOf({ runId, format, keep, compress, clock }: SessionOptions, { writer, lease, index, manifest }: Opened) {
  return {
    ...{ runId, writer, format, keep, index },
    ...{ fingerprint: manifest.fingerprint, count: manifest.identity.items.count },
    ...{ live: new Set(lease.others), dead: new Set(lease.dead) },
    isCompressed: compress === 'gzip',
    today: () => clock.today(),
  }
}

function countPuts(store: Store, count: (bytes: number) => void): Store {
  const put: Store['put'] = async (key, bytes, how) => {
    await store.put(key, bytes, how)
    count(bytes.byteLength)
  }
  return eachCall(store, (call) => call(), { put, delete: (key) => store.delete(key) })
}

/**
 * Says once which sessions were found dead, or at an end without a word of it, and what they left, and only then lets go of their
 * claims: a segment that ends without a word, of a session that left no claim and that nobody found dead, is told as damage. Of
 * one without a claim nobody knows that it is dead: somebody may have deleted the claim, and it writes on.
 *
 * @param store the claims are deleted through it.
 */
async function noteEnds(index: RunIndex, lease: Lease, log: RunLog, store: Store): Promise<void> {
  const ended = findEnded(index, lease)
  const withLeft = (writers: readonly string[]) => {
    const left = findLeft(index, writers)
    return left.length > 0 ? { writers, left } : { writers }
  }
  if (lease.dead.length > 0) log.add([entryOf({ kind: 'died', ...withLeft(lease.dead) })])
  if (ended.length > 0) log.add([entryOf({ kind: 'died', ...withLeft(ended), hasEnded: true })])
  if (lease.dead.length === 0) return
  try {
    await log.flush()
    // With `onError: 'warn'` a flush that was given up is no error, and no word of them is on record.
    if (log.acknowledged !== undefined) await lease.bury(store)
  } catch {
    // The next session finds them again.
  }
}
