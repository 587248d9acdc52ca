import { CheckpointCorruptError } from '../errors.ts'
import type { Store } from '../store/store.ts'
import type { Outcome } from '../types.ts'
import { reviveError } from './error-record.ts'
import { fromRuns } from './frame.ts'
import { toEntry } from './index-builder.ts'
import { placeIn } from './item-places.ts'
import { createItemSet, idOf } from './item-set.ts'
import { type FailureEntry, listFiles, type RunIndex } from './load.ts'
import {
  FileGoneError,
  type FrameAddress,
  newReport,
  type RunFile,
  readAgain,
  readFrames,
  startOver,
  writerOf,
} from './read-file.ts'
import { type Codec, type Format, loadCodec } from './values/codec.ts'
import { choosePlaces, decodeColumns, findWinners, type Winner } from './winners.ts'

/** Decoded values kept while the items around them are given, by the bytes they had. */
const MAX_KEPT_BYTES = 2 ** 26

/** Other processes compact now and then; a reader that meets them this often meets something else. */
const MAX_STARTS = 100

/** Neighbours whose outcomes are next to one another in a frame. */
interface Stretch {
  readonly from: number
  readonly count: number
  /** Number of the frame, and the place in it of the first. */
  readonly frame: number
  readonly place: number
}

/** Where a frame is that holds some of them. */
interface StoredFrame extends FrameAddress {
  readonly file: RunFile
}

interface Frame {
  readonly keys: readonly string[] | undefined
  readonly attempts: readonly number[] | undefined
  readonly values: readonly unknown[]
  readonly failure: FailureEntry | undefined
}

/**
 * What `index` says is settled, in the order of indices; of items with one index, as in keyed runs, by key. First finds out
 * where everything is, then reads one frame after the other, and again those that were let go of.
 */
export async function* readInOrder(store: Store, runId: string, fingerprint: string, index: RunIndex): AsyncGenerator<Outcome> {
  const winners = await findWinners(store, runId, fingerprint, index)
  const codecs: Record<Format, Codec> = { json: await loadCodec('json'), msgpack: await loadCodec('msgpack') }
  let given = 0
  for (let starts = 1; ; starts++) {
    const { stretches, stored } = await locate(store, runId, fingerprint, index, winners, codecs)
    const open = frameReader(store, fingerprint, stored, codecs)
    let skipped = 0
    try {
      for (const { from, count, frame: number, place } of stretches) {
        // After starting over the sequence is the same: the set of items and their order were fixed before.
        if (skipped + count <= given) {
          skipped += count
          continue
        }
        const frame = await open(number)
        for (let at = 0; at < count; at++) {
          if (skipped++ < given) continue
          given++
          yield toOutcome(from + at, place + at, frame)
        }
      }
      return
    } catch (error) {
      if (!(error instanceof FileGoneError) || starts === MAX_STARTS) throw error
    }
  }
}

async function locate(
  store: Store,
  runId: string,
  fingerprint: string,
  index: RunIndex,
  winners: ReadonlyMap<number | string, Winner>,
  codecs: Record<Format, Codec>,
  isSingly = false,
): Promise<{ stretches: Stretch[]; stored: StoredFrame[] }> {
  return startOver(async () => {
    const seen = createItemSet(index.isKeyed)
    const stretches: (Stretch & { readonly key: string })[] = []
    const stored: StoredFrame[] = []
    const hasConflicts = winners.size > 0
    for (const file of await listFiles(store, runId)) {
      for await (const frames of readFrames(store, file, fingerprint, true, newReport())) {
        for (const { head, stem, isWhole, body, block, start, end } of frames) {
          if (!isWhole) continue
          const frame = stored.length
          if (head.kind === 'outcomes') {
            const indices = fromRuns(head.runs)
            const values = hasConflicts ? decodeColumns(codecs[file.format], head, body) : undefined
            const chosen = choosePlaces(indices, head.keys, stem, values, index, winners, seen)
            for (const stretch of toStretches(...movePlaces(index, indices, head.keys, chosen), isSingly))
              stretches.push({ ...stretch, frame, key: head.keys?.[stretch.place] ?? '' })
            if (chosen.length === 0) continue
          } else if (head.kind === 'failure') {
            const id = idOf(index.isKeyed, head.index, head.key)
            const entry = id === undefined ? undefined : index.failures.get(id)
            if (entry?.session !== writerOf(stem) || entry.lastFailedAt !== head.lastFailedAt || !seen.add(head.index, head.key))
              continue
            const from = placeIn(index, head.index, head.key)
            if (from === undefined) continue
            stretches.push({ from, count: 1, frame, place: 0, key: head.key ?? '' })
          } else continue
          stored.push({ file, block, start, end, stem })
        }
      }
    }
    stretches.sort((a, b) => a.from - b.from || (a.key < b.key ? -1 : 1))
    // Keyed items may share an index until a session says which of them the run still has.
    const hasShared = !isSingly && stretches.some(({ from }, at) => from < endOf(stretches[at - 1]))
    return hasShared ? locate(store, runId, fingerprint, index, winners, codecs, true) : { stretches, stored }
  })
}

/** `indices` and `chosen` as the run's list of items has them: items that are not in it are left out. */
function movePlaces(
  index: RunIndex,
  indices: Uint32Array,
  keys: readonly string[] | undefined,
  chosen: readonly number[],
): [Uint32Array, readonly number[]] {
  if (index.list === undefined) return [indices, chosen]
  const moved = indices.slice()
  const left = chosen.filter((at) => {
    const place = placeIn(index, indices[at] as number, keys?.[at])
    if (place !== undefined) moved[at] = place
    return place !== undefined
  })
  return [moved, left]
}

/** One past the last index of a stretch. */
function endOf(stretch: Stretch | undefined): number {
  return stretch === undefined ? 0 : stretch.from + stretch.count
}

function* toStretches(indices: Uint32Array, places: readonly number[], isSingly: boolean): Generator<Omit<Stretch, 'frame'>> {
  for (let at = 0; at < places.length; ) {
    const place = places[at] as number
    const from = indices[place] as number
    let count = 1
    while (!isSingly && places[at + count] === place + count && indices[place + count] === from + count) count++
    yield { from, count, place }
    at += count
  }
}

function frameReader(
  store: Store,
  fingerprint: string,
  stored: readonly StoredFrame[],
  codecs: Record<Format, Codec>,
): (number: number) => Promise<Frame> {
  const kept = new Map<number, { readonly frame: Frame; readonly bytes: number }>()
  let keptBytes = 0
  return async (number) => {
    const known = kept.get(number)
    if (known !== undefined) return known.frame
    const { file, ...address } = stored[number] as StoredFrame
    const found = await readAgain(store, file, fingerprint, address)
    const { head, body } = found ?? {}
    if (head === undefined || body === undefined || (head.kind !== 'outcomes' && head.kind !== 'failure')) {
      throw new CheckpointCorruptError(
        `Cannot read ${file.key}: expected the frame at ${address.start} to be whole as before, got damage`,
      )
    }
    const codec = codecs[file.format]
    const frame: Frame =
      head.kind === 'outcomes'
        ? { keys: head.keys, attempts: head.attempts, values: decodeColumns(codec, head, body), failure: undefined }
        : { keys: undefined, attempts: undefined, values: codec.decode(body), failure: toEntry(head, writerOf(address.stem)) }
    for (const [other, { bytes }] of kept) {
      if (keptBytes + body.length <= MAX_KEPT_BYTES) break
      kept.delete(other)
      keptBytes -= bytes
    }
    kept.set(number, { frame, bytes: body.length })
    keptBytes += body.length
    return frame
  }
}

function toOutcome(index: number, place: number, { keys, attempts, values, failure }: Frame): Outcome {
  if (failure !== undefined) {
    const { key = String(index), attempts, kind } = failure
    return { index, key, attempts, restored: true, status: 'rejected', reason: reviveError(values[0]), kind }
  }
  const known = { index, key: keys?.[place] ?? String(index), attempts: attempts?.[place] ?? 1, restored: true }
  return { ...known, status: 'fulfilled', value: values[place] }
}
