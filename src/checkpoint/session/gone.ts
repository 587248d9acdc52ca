import { CheckpointWriteError, messageOf, plural } from '../../errors.ts'
import type { Store, StoredObject } from '../../store/store.ts'
import type { FulfilledBatch, Rejection } from '../../types.ts'
import { askForEach } from '../patience/at-once.ts'
import { loadIndex } from '../record/load.ts'
import { statusIn } from '../record/restored.ts'
import type { RunIndex } from '../record/run-index.ts'
import type { Opened } from './opened.ts'
import type { SessionOptions, Settled } from './session.ts'

/** Values that are encoded at once. */
const BATCH_ITEMS = 1000

/** A file that has to be there, as large as this at least. */
interface Expected extends StoredObject {
  /** Its first bytes; absent where it is not worth asking for them. */
  readonly head?: Uint8Array | undefined
}

/**
 * Keys of those of `files` that are not there any more: deleted by somebody, cut, moved away, or written over in place, which
 * their first bytes tell. One listing, and one short read for each that has a head; what the store does not answer counts as
 * there, since it said that all was durable.
 *
 * @param deleted keys of those that this session deleted, as it is when the store has answered.
 */
export async function findGone(
  store: Store,
  runId: string,
  files: readonly Expected[],
  deleted: ReadonlySet<string>,
): Promise<string[]> {
  const found = await store.list(`${runId}/`).catch(() => undefined)
  if (found === undefined) return []
  const sizes = new Map(found.map(({ key, size }) => [key, size]))
  const isAnother = await askForEach(files, (file) => beginsOtherwise(store, file))
  const isGone = ({ key, size }: Expected, at: number) => (sizes.get(key) ?? -1) < size || isAnother[at]
  return files.filter((file, at) => isGone(file, at) && !deleted.has(file.key)).map(({ key }) => key)
}

async function beginsOtherwise(store: Store, { key, head }: Expected): Promise<boolean> {
  if (head === undefined) return false
  const found = await store.get(key, { start: 0, length: head.byteLength }).catch(() => head)
  return found === undefined || Buffer.compare(found, head.subarray(0, found.byteLength)) !== 0
}

/** @throws CheckpointWriteError */
export async function readAnew(
  { store, runId }: Pick<SessionOptions, 'store' | 'runId'>,
  { manifest, index }: Pick<Opened, 'manifest' | 'index'>,
): Promise<RunIndex> {
  try {
    const options = { isKeyed: index.isKeyed, isChecked: true, count: manifest.identity.items.count }
    return await loadIndex(store, runId, manifest.fingerprint, options)
  } catch (cause) {
    const message = `Cannot tell what is on record of run '${runId}', whose files were deleted, cut or replaced while it was at work: expected the store to answer, got ${messageOf(cause)}. Run it again`
    throw new CheckpointWriteError(message, { cause })
  }
}

/** Outcomes that are not on record, and at hand; of how many others that were nothing is. */
export interface Unrecorded {
  readonly fulfilled: readonly FulfilledBatch[]
  readonly rejected: readonly Rejection[]
  readonly missing: number
}

/** What has settled and is not on record: what is at hand of that, and of how many items nothing is. */
export function findUnrecorded(index: RunIndex, settled: Settled): Unrecorded {
  const { results, attempts, failures, keys, complete, isMine } = settled
  const failed = new Set(failures.map((failure) => failure.index))
  const places: number[] = []
  let missing = 0
  for (let place = 0; place < (complete ?? results.length); place++) {
    const key = keys?.[place]
    // What failed in an earlier session and succeeded since is on record only as a success.
    if (failed.has(place) || !isMine(place, key) || statusIn(index, place, key) === 'fulfilled') continue
    if (place in results) places.push(place)
    else if (complete !== undefined) missing++
  }
  // Of an item without a result nobody knows whether it has settled: only of how many.
  if (complete === undefined) missing = Math.max(0, settled.succeeded - countSucceeded(index, settled) - places.length)
  const fulfilled: FulfilledBatch[] = []
  for (let from = 0; from < places.length; from += BATCH_ITEMS) {
    const indices = Uint32Array.from(places.slice(from, from + BATCH_ITEMS))
    const values = Array.from(indices, (place) => results[place])
    const starts = indices.map((place) => attempts.get(place) ?? 1)
    fulfilled.push({
      indices,
      values,
      attempts: starts,
      ...(keys ? { keys: Array.from(indices, (place) => keys[place] as string) } : {}),
    })
  }
  const isUnrecorded = ({ index: place }: Rejection) => statusIn(index, place, keys?.[place]) === undefined
  return { fulfilled, rejected: failures.filter(isUnrecorded), missing }
}

/** How many of this shard's items are on record as successes, as far as the run is known to have them. */
function countSucceeded({ fulfilled }: RunIndex, { keys = [], isMine }: Settled): number {
  let count = 0
  fulfilled.indices?.forEachRange((from, length) => {
    for (let place = from; place < from + length; place++) if (isMine(place, undefined)) count++
  })
  if (fulfilled.keys) keys.forEach((key, place) => (count += isMine(place, key) && fulfilled.has(place, key) ? 1 : 0))
  return count
}

/** The run cannot count as saved. `count`: items of which nothing is on record or at hand. */
export function notKept(runId: string, count: number): CheckpointWriteError {
  return new CheckpointWriteError(
    `Cannot keep what run '${runId}' recorded: expected its files to stay, got ${plural(count, 'item')} whose outcomes were in files that were deleted, cut or replaced while it was at work. Run it again: they run again`,
  )
}
