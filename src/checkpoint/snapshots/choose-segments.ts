import type { Format } from '../../values/contract.ts'
import { byStem, type RunFile } from '../format/run-file.ts'
import type { LoadedFile } from '../record/run-index.ts'
import { MAX_SNAPSHOT_BYTES } from './snapshot.ts'

/** Fewer small segments are not worth a snapshot. */
const MIN_SEGMENTS = 16

/** All that is written over a run, for its values as JSON. The promise is 2.3; frames of the last flush come on top. */
const MAX_COST = 2.2

/**
 * What may be copied whatever it costs: a run of many short sessions with little to say is worth few files more than few bytes.
 */
const FREE_BYTES = 2 ** 20

/** A segment of this size or more stays as it is. */
const SMALL_BYTES = 2 ** 24

/** A segment, and, if it was read as the run was opened, what that came to. */
export type Candidate = RunFile & Partial<Pick<LoadedFile, 'kept' | 'report'>>

/** What there is to choose from, of either format. */
interface Stock {
  /** Small segments that will not grow any more. */
  readonly waiting: readonly Candidate[]
  /** Intact ones. */
  readonly snapshots: readonly LoadedFile[]
  /** Damaged snapshots. */
  readonly broken: readonly LoadedFile[]
  /** Bytes of the values recorded as JSON, and of all that was written for them. */
  readonly json: { readonly values: number; readonly bytes: number }
}

/** Whether a segment of so many bytes is worth a copy. */
export function isSmall(size: number): boolean {
  return size < SMALL_BYTES
}

/**
 * The segments of `format` that a snapshot should stand for, the oldest first; none while they are too few.
 *
 * Each byte of a segment is copied at most once: snapshots are never merged again, and segments of SMALL_BYTES or more, for
 * which nothing is gained, not at all. So with a copy of everything a run writes at most twice what its segments hold. For
 * 100,000 records of four fields, flushed ten at a time, a segment is 1.18 (JSON) or 0.57 (msgpack) of the results as JSON,
 * copied once 2.07 and 0.97 in all. Where objects cannot grow, each flush of ten is an object with a header, and JSON would
 * come to 2.6: so of JSON, whose values are as large as the results, no more is copied than leaves the whole under MAX_COST. To
 * bound the number of files instead, what waits for a snapshot grows with the number of snapshots: of n segments there are about
 * 2 * sqrt(n) files left.
 */
export function chooseSegments(format: Format, { waiting, snapshots, broken, json }: Stock): Candidate[] {
  const ours = waiting.filter((file) => file.format === format).sort(byStem)
  const needed = Math.max(MIN_SEGMENTS, 2 * snapshots.filter((file) => file.format === format).length)
  // What a damaged snapshot stands for is worth one again, however few.
  const isBroken = broken.some((file) => file.format === format && isReplaced(file, ours))
  if (ours.length < needed && !isBroken) return []
  const copied = snapshots.reduce((sum, { size }) => sum + size, 0)
  const left = Math.max(MAX_COST * json.values - json.bytes, FREE_BYTES - copied)
  const affordable = format === 'json' && !isBroken ? left : Number.POSITIVE_INFINITY
  let bytes = 0
  const chosen = ours.filter((file) => {
    const fits = bytes < MAX_SNAPSHOT_BYTES && bytes + file.size <= affordable
    if (fits) bytes += file.size
    return fits
  })
  return chosen.length < needed && !isBroken ? [] : chosen
}

/**
 * Whether all that a damaged snapshot stands for is among `files`, so that it says nothing they do not: one that was cut since may
 * have less of itself than the snapshot has of it.
 */
export function isReplaced({ covers, kept }: LoadedFile, files: readonly Candidate[]): boolean {
  const hasAll = ({ stem, kept: own }: Candidate) => (own?.get(stem) ?? 0) >= (kept.get(stem) ?? 0)
  return covers.every(({ name }) => files.some((file) => file.name === name && hasAll(file)))
}
