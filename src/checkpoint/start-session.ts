import { createCompaction } from './compaction.ts'
import { noteEnds } from './ends.ts'
import { createEncoder, type Entry } from './entries.ts'
import { findGone, findUnrecorded, notKept, readAnew } from './gone.ts'
import { writeItemList } from './item-list.ts'
import { countAmong, countSettled, isAsRecorded } from './item-places.ts'
import type { Lease } from './lease.ts'
import type { RunIndex } from './load.ts'
import { RunLog } from './log.ts'
import type { Manifest } from './manifest.ts'
import { mend } from './mend.ts'
import { discardIfEmpty, manifestKey, putAgain } from './open-manifest.ts'
import { createOutcomeEntries } from './outcome-entries.ts'
import { type Restored, statusIn } from './restored.ts'
import type { Session, SessionOptions } from './session.ts'
import { createSourceWatch } from './source-watch.ts'
import type { Codec } from './values/codec.ts'
import { isFailed } from './verdict.ts'

/** What a session starts from: its claim, and what was recorded before. */
export interface Opened {
  readonly writer: string
  readonly lease: Lease
  readonly manifest: Manifest
  readonly index: RunIndex
  readonly restored: Restored
  /** Whether there is something to mend, once that is known. Never rejects. */
  readonly isToMend: Promise<boolean>
  readonly codec: Codec
}

/** A session at work on a run that was opened. */
export function startSession(options: SessionOptions, opened: Opened): Session {
  const { store, clock, runId, emit } = options
  const { writer, lease, manifest, index, restored, isToMend, codec } = opened
  const { isKeyed } = index
  const encoder = createEncoder(options.format, options.compress, manifest.fingerprint, () => clock.today())
  /** What is on record, less what this session recorded; read anew once something of that was found to be gone. */
  let known = index
  const entries = createOutcomeEntries({
    ...{ isKeyed, codec, hasFailures: index.failures.size > 0, statusOf: (at, key) => statusIn(known, at, key) },
    onUnheld: (message) => emit('warning', { code: 'CHECKPOINT_UNHELD', message }),
  })
  const recorded = countSettled(index).done
  const snapshots = {
    ...{ store, runId, index, fingerprint: manifest.fingerprint, count: manifest.identity.items.count },
    isCompressed: options.compress === 'gzip',
    today: () => clock.today(),
  }
  const compaction = createCompaction({
    ...snapshots,
    ...{ writer, format: options.format, keep: options.keep },
    recordedBytes: () => entries.recordedBytes,
    live: new Set(lease.others),
    dead: new Set(lease.dead),
  })
  let mendedBytes = 0
  let settledItems = 0
  const onClosed = (key: string, size: number) => {
    compaction.add(key, size)
    compaction.startIfDue()
  }
  let isNamed = Promise.resolve()
  const onGone = () => {
    isNamed = putAgain(store, manifest).catch(() => {}) // It goes on without: it still says what the files belong to.
  }
  const log = new RunLog({ ...options, writer, encoder, lease, recorded, onClosed, onGone })
  compaction.startIfDue()
  const buried = noteEnds(index, lease, log)
  const { checkCount, recordSource, recordLost } = createSourceWatch(runId, index, restored, log)
  const filesAtStake = () => [...index.files, ...(log.acknowledged ?? []), ...compaction.made]
  /** How many writes had failed when it was last looked whether files are gone. */
  let failuresAtLook: number | undefined
  const lastEntry = (hasFailed: boolean): Entry => {
    const shard = options.shard === undefined ? {} : { shard: options.shard }
    const settled = settledItems > 0 ? { settled: settledItems } : {}
    const close = { kind: 'close' as const, at: clock.today(), ...(hasFailed ? { hasFailed } : {}), ...shard, ...settled }
    return {
      // As it is written: segments may be left until then.
      get head() {
        return log.sizes.length > 0 ? { ...close, sizes: [...log.sizes] } : close
      },
      ...{ body: [], items: 0, fresh: 0, bytes: 0 },
    }
  }
  // A session that recorded nothing leaves no segment, unless it is news how it ended.
  const isNews = (hasFailed: boolean) => hasFailed !== isFailed(index)

  return {
    writer,
    manifest,
    restored,
    get stats() {
      return { checkpoints: log.stats.checkpoints, bytesWritten: log.stats.bytesWritten + compaction.bytesWritten + mendedBytes }
    },
    get backlog() {
      return log.backlog
    },
    begin(chunk) {
      return log.note(entries.ofBegun(chunk))
    },
    record({ fulfilled, rejected }) {
      const settled = [...fulfilled.flatMap(entries.ofFulfilled), ...rejected.map(entries.ofRejected)]
      for (const { items } of settled) settledItems += items
      log.add(settled)
    },
    recordSource,
    recordItems(keys) {
      if (known.list === undefined && isAsRecorded(known, keys)) return
      const heads = writeItemList(keys, known.list, clock.today())
      if (heads.length === 0) return
      // What the run has no more does not count as recorded any more, and what came back does again.
      const fresh = countAmong(keys, known).done - countSettled(known).done
      log.add(heads.map((head, at) => ({ head, body: [], items: 0, fresh: at === 0 ? fresh : 0, bytes: sizeOf(head.keys) })))
      log.flush().catch(() => {}) // Before any outcome. That it fails, the log tells by itself.
    },
    checkCount,
    recordEnd(count) {
      checkCount(count, true)
      if (known.total !== count) log.add([{ head: { kind: 'total', count }, body: [], items: 0, fresh: 0, bytes: 16 }])
    },
    async confirm(settled, hasFailed = false) {
      // A write looks after its own file: where there is no other, only one that failed is a reason to look.
      if (filesAtStake().length === 0) failuresAtLook ??= 0
      // Before the look, since it may be tried for long. That it fails, the log tells by itself.
      await log.end(lastEntry(hasFailed), isNews(hasFailed)).catch(() => {})
      if (log.acknowledged === undefined || log.failures === failuresAtLook) return false
      failuresAtLook = log.failures
      const counted = filesAtStake()
      if (!log.isGoneTold) {
        const name = manifestKey(manifest)
        const gone = await findGone(store, runId, [...counted, { key: name, size: 1 }], compaction.deleted)
        if (gone.includes(name)) log.tellGone() // Which puts it again.
        if (gone.every((key) => key === name)) return false
      }
      const found = await readAnew({ ...snapshots, isKeyed })
      const { fulfilled, rejected, missing } = findUnrecorded(found, settled)
      if (fulfilled.length + rejected.length + missing === 0) return false
      known = found
      log.tellGone()
      log.recount(countSettled(found).done)
      await noteEnds(index, lease, log)
      recordLost(found)
      for (const batch of fulfilled) {
        log.add(entries.ofFulfilled(batch))
        await log.backlog
      }
      log.add(rejected.map(entries.ofRejected))
      if (missing > 0 && settled.complete !== undefined && options.onError === 'fail') throw notKept(runId, missing)
      return true
    },
    flush: () => log.flush(),
    async close(hasFailed = false, isVoid = false) {
      let hasEnd = false
      try {
        hasEnd = await log.close(lastEntry(hasFailed), isNews(hasFailed))
      } finally {
        await compaction.finish()
        await buried
        await isNamed
        // A store that fails, or files that another process mended first: nothing depends on it.
        // Files that were found to be gone may only have been cut.
        const isDamaged = (await isToMend) || log.isGoneTold
        if (isDamaged && hasEnd) mendedBytes = await mend(snapshots, writer).catch(() => 0)
        // Under the lease: whoever begins now is refused, and finds afterwards that there is no such run.
        if (isVoid && hasEnd && options.resume !== 'require') await discardIfEmpty(store, runId, writer).catch(() => {})
        await (hasEnd ? lease.release() : lease.leave())
      }
    },
  }
}

/** About what keys weigh in memory. */
function sizeOf(keys: readonly string[]): number {
  return keys.reduce((sum, key) => sum + key.length + 16, 64)
}
