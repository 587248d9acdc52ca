import { CheckpointWriteError, PawlError } from '../errors.ts'
import { BLOCK_ITEMS } from '../items.ts'
import type { Store } from '../store/store.ts'
import type { Chunk, FulfilledBatch, Rejection } from '../types.ts'
import { createCompaction } from './compaction.ts'
import { describeLoss, isAllSettled } from './damage.ts'
import { findEnded, findUnclaimed, noteEnds } from './ends.ts'
import { createEncoder, type Entry } from './entries.ts'
import { recordError } from './error-record.ts'
import { type Head, MAX_BODY_BYTES, toRuns } from './frame.ts'
import { hashKey } from './hash-key.ts'
import { writeItemList } from './item-list.ts'
import { countAmong, countSettled, isAsRecorded } from './item-places.ts'
import { acquireLease, type Lease } from './lease.ts'
import { loadIndex, type RunIndex } from './load.ts'
import { openLog } from './log.ts'
import type { Manifest } from './manifest.ts'
import { findDamaged, mend, needsMending } from './mend.ts'
import { otherEnd, otherSource, tooShort } from './mismatch.ts'
import { checkBefore, discardIfEmpty, openManifest, putAgain } from './open-manifest.ts'
import { adviseOn } from './patient-writes.ts'
import { newWriter, writerOf } from './read-file.ts'
import { type Restored, restore } from './restored.ts'
import type { Session, SessionOptions } from './session.ts'
import { type Codec, loadCodec } from './values/codec.ts'
import { isFailed } from './verdict.ts'

/**
 * Opens a run for work: takes the lease, makes or checks the manifest, and loads what earlier sessions recorded.
 *
 * @throws RunLockedError, RunAbortedError, CheckpointMismatchError, CheckpointVersionError, CheckpointCorruptError, RunNotFoundError (for
 * `resume: 'require'`), and CheckpointWriteError, with the store's own error as its cause, when the store does not answer.
 */
export async function openSession(options: SessionOptions): Promise<Session> {
  try {
    return await claimAndLoad(options)
  } catch (error) {
    if (error instanceof PawlError) throw error
    const reason = error instanceof Error ? error.message : String(error)
    const message = `Cannot open the checkpoint of run '${options.runId}': expected the store to answer, got ${reason}. Nothing was run: ${adviseOn(error)}`
    throw new CheckpointWriteError(message, { cause: error })
  }
}

async function claimAndLoad(options: SessionOptions): Promise<Session> {
  const { store, runId, clock } = options
  const loading = loadCodec(options.format)
  loading.catch(() => {}) // Told where it is awaited.
  await checkBefore(options)
  const writer = newWriter(clock.today())
  const { isLeaseIgnored: isIgnored, place, shard, draining, emit } = options
  const lease = await acquireLease({ store, runId, writer, shard, clock, draining, emit, isIgnored, place })
  try {
    if (options.resume === 'fresh') await lease.refuseOthers()
    const manifest = await openManifest(options, writer)
    const { fingerprint, identity } = manifest
    const isKeyed = identity.key !== 'index'
    const index = await loadIndex(store, runId, fingerprint, { isKeyed, isChecked: true, count: identity.items.count })
    if (!index.files.some(({ kind }) => kind === 'segment')) await refuseFile(store, `${runId}/seg`)
    // One of another shard may have begun, and written, since the claims were listed.
    if (findUnclaimed(index, lease).length > 0) await lease.lookAgain()
    const { files: damaged, cut } = findDamaged(index, new Set([...lease.others, ...lease.dead]))
    warnOfDamage(options, index, cut)
    await syncFound(options, index, lease)
    const restored = await restore(store, runId, fingerprint, index, new Set([...lease.others, ...findEnded(index, lease)]))
    const isToMend = needsMending(index, damaged)
    return startSession(options, { writer, lease, manifest, index, restored, isToMend, codec: await loading })
  } catch (error) {
    await lease.release()
    throw error
  }
}

/** What is to be recorded would find no place, of which else a word would come only once all was run and the store given up. */
async function refuseFile(store: Store, folder: string): Promise<void> {
  if ((await store.get(folder, { start: 0, length: 0 })) === undefined) return
  throw new Error(`a file where the folder '${folder}' has to be`)
}

/** `cut`: the files that lack their end. */
function warnOfDamage({ runId, identity, emit }: SessionOptions, index: RunIndex, cut: ReadonlySet<string>): void {
  if (cut.size > 0) {
    const loss = isAllSettled(index, identity.items.count) ? 'Nothing is lost' : 'What they lack runs again'
    const message = `Files of run '${runId}' lack their end: ${[...cut].join(', ')}. ${loss}`
    emit('warning', { code: 'CHECKPOINT_DAMAGED', message })
  }
  const message = describeLoss(runId, index, identity.items.count)
  if (message !== undefined) emit('warning', { code: 'CHECKPOINT_DAMAGED', message })
}

/**
 * Makes durable what earlier sessions left: they may have been killed between writing and syncing, even as they ended, and from
 * now on it counts as recorded. Whoever found a session dead, and said so, has done it for that one; unless there is a claim of
 * it again: it was only stopped, and may have written since. So with `durability: 'none'` too, those that are found dead now.
 */
async function syncFound(
  { store, durability }: SessionOptions,
  { files, sessions }: RunIndex,
  { dead, others }: Lease,
): Promise<void> {
  const isSure = new Set(sessions.filter(({ isKnownDead }) => isKnownDead).map(({ writer }) => writer))
  for (const writer of [...dead, ...others]) isSure.delete(writer)
  const isToSync = durability === 'fsync' ? (writer: string) => !isSure.has(writer) : (writer: string) => dead.includes(writer)
  for (const { stem, key } of files) if (isToSync(writerOf(stem))) await store.sync?.(key)
}

/** What a session starts from: its claim, and what was recorded before. */
interface Opened {
  readonly writer: string
  readonly lease: Lease
  readonly manifest: Manifest
  readonly index: RunIndex
  readonly restored: Restored
  readonly isToMend: boolean
  readonly codec: Codec
}

function startSession(options: SessionOptions, opened: Opened): Session {
  const { store, clock, runId, emit } = options
  const { writer, lease, manifest, index, restored, isToMend, codec } = opened
  const { isKeyed, failures } = index
  const encoder = createEncoder(options.format, options.compress, manifest.fingerprint, () => clock.today())
  const recorded = countSettled(index).done
  let recordedBytes = 0
  const snapshots = {
    ...{ store, runId, index, fingerprint: manifest.fingerprint, count: manifest.identity.items.count },
    isCompressed: options.compress === 'gzip',
    today: () => clock.today(),
  }
  const compaction = createCompaction({
    ...snapshots,
    ...{ writer, format: options.format, keep: options.keep },
    recordedBytes: () => recordedBytes,
    live: new Set(lease.others),
    dead: new Set(lease.dead),
  })
  let mendedBytes = 0
  const onClosed = (key: string, size: number) => {
    compaction.add(key, size)
    compaction.startIfDue()
  }
  const onGone = () => putAgain(store, manifest).catch(() => {}) // It goes on without: it still says what the files belong to.
  const log = openLog({ ...options, writer, encoder, lease, recorded, onClosed, onGone })
  compaction.startIfDue()
  const buried = noteEnds(index, lease, log)
  const sources = new Map<number, string>()
  let isUnheldTold = false

  const countFresh = (indices: Uint32Array, keys: readonly string[] | undefined) => {
    if (failures.size === 0) return indices.length
    return indices.reduce((sum, place, at) => sum + (restored.statusOf(place, keys?.[at]) === undefined ? 1 : 0), 0)
  }
  const toEntries = (batch: FulfilledBatch): Entry[] => {
    const { indices, attempts } = batch
    if (indices.length === 0) return []
    const { record } = batch
    if (record === undefined) return toEntries(encodeBatch(batch))
    const keys = isKeyed ? keysOf(batch) : undefined
    if (record.byteLength > MAX_BODY_BYTES && indices.length > 1) return halve(batch, codec).flatMap(toEntries)
    const hasRetries = attempts?.some((count) => count !== 1)
    const head = {
      kind: 'outcomes' as const,
      runs: toRuns(indices),
      columns: [indices.length, record.byteLength],
      ...(keys ? { keys } : {}),
      ...(attempts && hasRetries ? { attempts: Array.from(attempts) } : {}),
    }
    const bytes = record.byteLength + 64 * (keys?.length ?? 1)
    recordedBytes += record.byteLength
    const whole = { head, body: [record], items: indices.length, fresh: countFresh(indices, keys), bytes }
    const toHalves = () => {
      recordedBytes -= record.byteLength // Counted again, in parts.
      return halve(batch, codec).flatMap(toEntries)
    }
    return [indices.length > 1 ? { ...whole, halve: toHalves } : whole]
  }
  const encodeBatch = (batch: FulfilledBatch): FulfilledBatch => {
    const { values = [], indices } = batch
    const { bytes, refused } = codec.encode(values, (at) => `item ${indices[at]}`)
    if (refused.length === 0) return { ...batch, record: bytes }
    if (!isUnheldTold) emit('warning', { code: 'CHECKPOINT_UNHELD', message: refused[0]?.error.message ?? '' })
    isUnheldTold = true
    const gone = new Set(refused.map(({ at }) => at))
    return { ...selectFrom(batch, (at) => !gone.has(at)), record: bytes }
  }

  const checkCount = (count: number, hasEnded: boolean) => {
    if (isKeyed) return
    const { total, atLeast } = restored
    if (total !== undefined && (count > total || (hasEnded && count < total))) throw otherEnd(runId, total, count, hasEnded)
    if (hasEnded && count < atLeast) throw tooShort(runId, atLeast, count)
  }

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
      return log.note({ head: toRunning(chunk, isKeyed), body: [], items: 0, fresh: 0, bytes: 0 })
    },
    record({ fulfilled, rejected }) {
      log.add([...fulfilled.flatMap(toEntries), ...rejected.map((rejection) => toFailure(rejection, isKeyed, codec, restored))])
    },
    recordSource(block, count, digest) {
      checkCount(block * BLOCK_ITEMS + count, count < BLOCK_ITEMS)
      const known = restored.sourceDigest(block) ?? sources.get(block)
      if (known !== undefined && known !== digest) throw otherSource(runId, block, count, known, digest)
      if (known !== undefined) return
      sources.set(block, digest)
      log.add([{ head: { kind: 'source', block, count, digest }, body: [], items: 0, fresh: 0, bytes: 64 }])
    },
    recordItems(keys) {
      if (index.list === undefined && isAsRecorded(index, keys)) return
      const heads = writeItemList(keys, index.list, clock.today())
      if (heads.length === 0) return
      // What the run has no more does not count as recorded any more, and what came back does again.
      const fresh = countAmong(keys, index).done - recorded
      log.add(heads.map((head, at) => ({ head, body: [], items: 0, fresh: at === 0 ? fresh : 0, bytes: sizeOf(head.keys) })))
      log.flush().catch(() => {}) // Before any outcome. That it fails, the log tells by itself.
    },
    checkCount,
    recordEnd(count) {
      checkCount(count, true)
      if (restored.total !== count) log.add([{ head: { kind: 'total', count }, body: [], items: 0, fresh: 0, bytes: 16 }])
    },
    flush: () => log.flush(),
    async close(hasFailed = false) {
      const shard = options.shard === undefined ? {} : { shard: options.shard }
      const close = { kind: 'close' as const, at: clock.today(), ...(hasFailed ? { hasFailed } : {}), ...shard }
      const last: Entry = {
        // As it is written: segments may be left until then.
        get head() {
          return log.sizes.length > 0 ? { ...close, sizes: [...log.sizes] } : close
        },
        ...{ body: [], items: 0, fresh: 0, bytes: 0 },
      }
      // A session that recorded nothing leaves no segment, unless it is news how it ended.
      const isNews = hasFailed !== isFailed(index)
      let hasEnd = false
      try {
        hasEnd = await log.close(last, isNews)
      } finally {
        await compaction.finish()
        await buried
        // A store that fails, or files that another process mended first: nothing depends on it.
        if (hasEnd && isToMend) mendedBytes = await mend(snapshots).catch(() => 0)
        await (hasEnd ? lease.release() : lease.leave())
      }
    },
    discardIfEmpty: () => discardIfEmpty(store, runId, writer),
  }
}

/** About what keys weigh in memory. */
function sizeOf(keys: readonly string[]): number {
  return keys.reduce((sum, key) => sum + key.length + 16, 64)
}

function toRunning({ indices, keys, alone }: Pick<Chunk, 'indices' | 'keys' | 'alone'>, isKeyed: boolean): Head {
  const hashes = isKeyed ? (keys ?? Array.from(indices, String)).map(hashKey) : undefined
  const [index] = indices
  const [hash] = hashes ?? []
  if (alone && index !== undefined) return { kind: 'alone', index, ...(hash === undefined ? {} : { hash }) }
  return { kind: 'running', runs: toRuns(indices), ...(hashes ? { hashes } : {}) }
}

function keysOf({ keys, indices }: FulfilledBatch): readonly string[] {
  return keys ?? Array.from(indices, String)
}

function selectFrom(batch: FulfilledBatch, isChosen: (at: number) => boolean): FulfilledBatch {
  const places = Array.from(batch.indices, (_, at) => at).filter(isChosen)
  return {
    indices: Uint32Array.from(places, (at) => batch.indices[at] as number),
    ...(batch.keys ? { keys: places.map((at) => batch.keys?.[at] as string) } : {}),
    ...(batch.attempts ? { attempts: Uint32Array.from(places, (at) => batch.attempts?.[at] as number) } : {}),
    ...(batch.values ? { values: places.map((at) => batch.values?.[at]) } : {}),
  }
}

/** Two batches of a batch whose record is too large for a frame. */
function halve(batch: FulfilledBatch, codec: Codec): FulfilledBatch[] {
  const whole = { ...batch, values: codec.decode(batch.record as Uint8Array, true) }
  const middle = batch.indices.length >>> 1
  const parts = [selectFrom(whole, (at) => at < middle), selectFrom(whole, (at) => at >= middle)]
  return parts.map((part) => ({ ...part, record: codec.encode(part.values ?? []).bytes }))
}

function toFailure(rejection: Rejection, isKeyed: boolean, codec: Codec, restored: Restored): Entry {
  const { index, item, reason, kind: failure, attempts, crashes, firstFailedAt, lastFailedAt } = rejection
  const key = isKeyed ? (rejection.key ?? String(index)) : undefined
  const error = recordError(reason, codec)
  let { bytes, refused } = codec.encode([error, item])
  if (refused.length > 0 || bytes.byteLength > MAX_BODY_BYTES) ({ bytes, refused } = codec.encode([error]))
  const head = {
    kind: 'failure' as const,
    index,
    failure,
    attempts,
    crashes,
    firstFailedAt,
    lastFailedAt,
    ...(key === undefined ? {} : { key }),
  }
  const fresh = restored.statusOf(index, key) === undefined ? 1 : 0
  return { head, body: [bytes], items: 1, fresh, bytes: bytes.byteLength + 256 }
}
