import { CheckpointCorruptError, plural } from '../../errors.ts'
import type { Store } from '../../store/store.ts'
import type { Outcome } from '../../types.ts'
import { loadCodecs } from '../../values/codec.ts'
import { reviveError } from '../format/error-record.ts'
import { FileGoneError, MAX_STARTS } from '../reading/file-bytes.ts'
import { countSettled } from '../record/item-places.ts'
import { loadIndex } from '../record/load.ts'
import type { RunIndex } from '../record/run-index.ts'
import { findWinners, type Winner } from '../record/winners.ts'
import { locateAnew, locateLoaded, type RunRecord, type Stretch, type Whereabouts } from './locate.ts'
import { type Frame, stretchReader } from './stretch-reader.ts'

/** Outcomes given at once: many against the turn this takes, few enough that they are let go of while they are new. */
const BATCH_ITEMS = 256

/**
 * What `index` says is settled, in the order of indices; of items with one index, as in keyed runs, by key. First finds out
 * where everything is, then reads frame by frame. What succeeds meanwhile and had failed is given as the one or the other.
 *
 * @param index loaded with `isLocated`, or all files are read once more. It is changed.
 */
export async function* readInOrder(
  store: Store,
  runId: string,
  fingerprint: string,
  index: RunIndex,
): AsyncGenerator<readonly Outcome[], void, void> {
  const record = { store, runId, fingerprint, codecs: await loadCodecs() }
  const expected = countSettled(index).done
  let settled = index
  let found = locateLoaded(index)
  let given = 0
  let last: Outcome | undefined
  for (let starts = 1; ; starts++) {
    if (found === undefined) ({ settled, found } = await locateSettled(record, settled, expected))
    const reader = stretchReader(record, found)
    try {
      for (const [nth, stretch] of found.stretches.entries()) {
        const { from, count } = stretch
        let at = last === undefined ? 0 : countUntil(stretch, last)
        const frame = at < count ? await reader.read(nth) : undefined
        for (; frame && at < count; at += BATCH_ITEMS) {
          const outcomes = toOutcomes(from, at, Math.min(count, at + BATCH_ITEMS), frame)
          given += outcomes.length
          last = outcomes.at(-1)
          yield outcomes
        }
        reader.pass(nth)
      }
      if (given < expected) throw goneError(runId, expected - given)
      return
    } catch (error) {
      if (!(error instanceof FileGoneError) || starts === MAX_STARTS) throw error
      found = undefined
    }
  }
}

/** Where the `expected` outcomes that `index` says are settled are now; those that are left, when files are gone for good. */
async function locateSettled(
  record: RunRecord,
  index: RunIndex,
  expected: number,
): Promise<{ settled: RunIndex; found: Whereabouts }> {
  let from = index
  for (let failed = Number.POSITIVE_INFINITY; ; failed = from.failures.size) {
    const { settled, winners } = await catchUp(record, from)
    const found = await locateAnew(record, settled, winners)
    const count = found.stretches.reduce((sum, stretch) => sum + stretch.count, 0)
    // Too few, and more has succeeded: failures may have gone between the two looks.
    if (count >= expected || settled.failures.size === failed) return { settled, found }
    from = settled
  }
}

/** `index`, in which what had failed and has succeeded since counts as a success: compaction keeps no such failure. */
async function catchUp(
  { store, runId, fingerprint }: RunRecord,
  index: RunIndex,
): Promise<{ settled: RunIndex; winners: Map<number | string, Winner> }> {
  const now = await loadIndex(store, runId, fingerprint, { isKeyed: index.isKeyed, isChecked: true })
  const failures = new Map(index.failures)
  for (const [id, { index: place, key }] of index.failures) {
    if (!now.fulfilled.has(place, key)) continue
    failures.delete(id)
    index.fulfilled.add(place, key)
  }
  return { settled: { ...index, failures }, winners: await findWinners(store, runId, fingerprint, now) }
}

/** How many of a stretch come no later than `last`, which was given before it was started over. */
function countUntil({ from, count, key }: Stretch, last: Outcome): number {
  if (count === 1 && from === last.index) return key <= last.key ? 1 : 0 // Keyed items may share an index.
  return Math.min(count, Math.max(0, last.index + 1 - from))
}

function goneError(runId: string, count: number): CheckpointCorruptError {
  return new CheckpointCorruptError(
    `Cannot read all of run '${runId}': expected what was on record to stay while it is read, got ${plural(count, 'outcome')} less: files were deleted. Read it again`,
  )
}

/** Of items `from` and so on, those at `at` up to `end`. */
function toOutcomes(from: number, at: number, end: number, frame: Frame): Outcome[] {
  const outcomes: Outcome[] = []
  for (let place = at; place < end; place++) outcomes.push(toOutcome(from + place, place, frame))
  return outcomes
}

function toOutcome(index: number, place: number, { keys, attempts, values, failure }: Frame): Outcome {
  if (failure !== undefined) {
    const { key = String(index), attempts, kind } = failure
    return { index, key, attempts, restored: true, status: 'rejected', reason: reviveError(values[0]), kind }
  }
  return {
    index,
    key: keys?.[place] ?? String(index),
    attempts: attempts?.[place] ?? 1,
    restored: true,
    status: 'fulfilled',
    value: values[place],
  }
}
