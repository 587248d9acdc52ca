import { CheckpointWriteError, messageOf, PawlError } from '../errors.ts'
import type { Store } from '../store/store.ts'
import { describeLoss, findStoodFor, isAllSettled, isToSpare } from './damage.ts'
import { findEnded, findUnclaimed } from './ends.ts'
import { acquireLease, type Lease } from './lease.ts'
import { loadIndex, type RunIndex } from './load.ts'
import { findDamaged, needsMending } from './mend.ts'
import { checkBefore, openManifest } from './open-manifest.ts'
import { adviseOn } from './patient-writes.ts'
import { restore } from './restored.ts'
import { newWriter, writerOf } from './run-file.ts'
import type { Session, SessionOptions } from './session.ts'
import { startSession } from './start-session.ts'
import { loadCodec } from './values/codec.ts'

export { answering } from './answering.ts'

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
    const message = `Cannot open the checkpoint of run '${options.runId}': expected the store to answer, got ${messageOf(error)}. Nothing was run: ${adviseOn(error)}`
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
    // Neither the start nor an item waits for files that nobody needs to read.
    const looking = warnOfStoodFor(options, fingerprint, index)
    const isToMend = needsMending(index, damaged) ? looking.then(() => true) : looking
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
    const isSpared = index.files.every((file) => !cut.has(file.name) || isToSpare(file, index))
    const isLost = !isSpared && !isAllSettled(index, identity.items.count)
    const loss = isLost ? 'What only they held runs again' : 'Nothing is lost'
    const message = `Files of run '${runId}' lack their end: ${[...cut].join(', ')}. ${loss}`
    emit('warning', { code: 'CHECKPOINT_DAMAGED', message })
  }
  const message = describeLoss(runId, index, identity.items.count)
  if (message !== undefined) emit('warning', { code: 'CHECKPOINT_DAMAGED', message })
}

/** Looks for damage in files that a snapshot stands for. True when there is some; false, too, when the store does not answer. */
async function warnOfStoodFor(
  { store, runId, emit }: SessionOptions,
  fingerprint: string,
  { covered }: RunIndex,
): Promise<boolean> {
  const damaged = await findStoodFor(store, fingerprint, covered).catch(() => [])
  if (damaged.length === 0) return false
  const names = damaged.map(({ name }) => name).join(', ')
  const message = `Files of run '${runId}' are damaged that a snapshot stands for: ${names}. Nothing is lost`
  emit('warning', { code: 'CHECKPOINT_DAMAGED', message })
  return true
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
