import { Deserializer, Serializer } from 'node:v8'
import { CheckpointCorruptError } from '../../errors.ts'
import { turnIfDue } from '../../turn.ts'
import { writerOf } from '../format/run-file.ts'
import { endAll } from '../patience/at-once.ts'
import { createCache } from '../reading/cache.ts'
import { decodeColumns } from '../reading/decode-columns.ts'
import { readAgain } from '../reading/read-again.ts'
import { createBlockReader } from '../reading/read-blocks.ts'
import { askForSpans, inSpans } from '../reading/spans.ts'
import { toEntry } from '../record/index-builder.ts'
import type { FailureEntry } from '../record/run-index.ts'
import type { RunRecord, StoredFrame, Stretch, Whereabouts } from './locate.ts'

/** Decoded values kept while the items around them are given, by the bytes they had. */
const MAX_KEPT_BYTES = 2 ** 26

/** Stretches that are looked at for further frames to read: of many in the same frames, more would take longer than to read. */
const MAX_LOOKS = 4096

/** About what a stretch weighs in memory besides its values. */
const STRETCH_BYTES = 256

/** What a frame holds, or a stretch of it. */
export interface Frame {
  readonly keys: readonly string[] | undefined
  readonly attempts: readonly number[] | undefined
  readonly values: readonly unknown[]
  readonly failure: FailureEntry | undefined
}

/** Gives what stretches hold to whoever asks for them in their order, one after the other. */
export interface StretchReader {
  /** @throws FileGoneError, CheckpointCorruptError */
  read(nth: number): Promise<Frame>
  /** The stretch was given. */
  pass(nth: number): void
}

export function stretchReader(record: RunRecord, found: Whereabouts): StretchReader {
  return isScattered(found) ? readRanges(record, found) : readInTurn(record, found)
}

const sizeOf = ({ start, end }: StoredFrame) => end - start

/** Whether frames that are needed again are at some time more than may be kept. */
function isScattered(found: Whereabouts): boolean {
  const left = countStretches(found)
  const open = new Set<number>()
  let bytes = 0
  for (const { frame } of found.stretches) {
    const size = sizeOf(found.stored[frame] as StoredFrame)
    if (!open.has(frame)) bytes += size
    open.add(frame)
    left[frame] = (left[frame] as number) - 1
    if (left[frame] === 0) bytes -= size
    if (left[frame] === 0) open.delete(frame)
    if (bytes > MAX_KEPT_BYTES && open.size > 1) return true
  }
  return false
}

/** In how many stretches each frame is. */
function countStretches({ stretches, stored }: Whereabouts): Uint32Array {
  const counts = new Uint32Array(stored.length)
  for (const { frame } of stretches) counts[frame] = (counts[frame] as number) + 1
  return counts
}

/** Keeps a frame until all of its stretches were given. With it those of the next stretches are read. */
function readInTurn(record: RunRecord, found: Whereabouts): StretchReader {
  const { stretches, stored } = found
  const readBlock = createBlockReader(record.store)
  const kept = createCache<number, Frame>(MAX_KEPT_BYTES)
  const asked = new Map<StoredFrame, Promise<Buffer | undefined>>()
  const left = countStretches(found)
  const stretchAt = (nth: number) => stretches[nth] as Stretch
  const storedAt = (number: number) => stored[number] as StoredFrame

  /** The frames of the stretches from `nth` on that are not at hand. */
  function* listMissing(nth: number): Generator<StoredFrame> {
    const listed = new Set<number>()
    for (let next = nth; next < Math.min(stretches.length, nth + MAX_LOOKS); next++) {
      const { frame } = stretchAt(next)
      if (listed.has(frame) || kept.get(frame) !== undefined || asked.has(storedAt(frame))) continue
      listed.add(frame)
      yield storedAt(frame)
    }
  }
  const askFrom = (nth: number) => {
    const [spans = []] = inSpans(listMissing(nth))
    for (const [place, bytes] of askForSpans(record.store, spans, readBlock)) asked.set(place, bytes)
  }
  return {
    async read(nth) {
      const stretch = stretchAt(nth)
      const { frame: number } = stretch
      const known = kept.get(number)
      if (known !== undefined) return cut(known, stretch)
      const place = storedAt(number)
      if (!asked.has(place)) {
        askFrom(nth)
        await Promise.allSettled(asked.values()) // No call is left behind when whoever reads goes away.
      }
      const frame = readFrame(record, place, await asked.get(place))
      asked.delete(place)
      kept.put(number, frame, sizeOf(place))
      await turnIfDue()
      return cut(frame, stretch)
    },
    pass(nth) {
      const { frame } = stretchAt(nth)
      left[frame] = (left[frame] as number) - 1
      if (left[frame] === 0) kept.drop(frame)
    },
  }
}

/**
 * For stretches that follow one another and lie anywhere, as of keyed items that were reordered: reads as many as may be kept,
 * frame by frame. One after the other each would have its frame read anew.
 */
function readRanges(record: RunRecord, { stretches, stored }: Whereabouts): StretchReader {
  const readBlock = createBlockReader(record.store)
  const kept = new Map<number, Frame>()

  /** The stretches of a range that begins with `first`, by their frames, and the end of it: were values of a frame of one size. */
  const takeRange = (first: number) => {
    const byFrame = new Map<StoredFrame, [number, ...number[]]>()
    let bytes = 0
    let end = first
    for (; end < stretches.length && bytes < MAX_KEPT_BYTES; end++) {
      const { frame, count } = stretches[end] as Stretch
      const place = stored[frame] as StoredFrame
      bytes += STRETCH_BYTES + (sizeOf(place) * count) / place.count
      const inFrame = byFrame.get(place)
      if (inFrame === undefined) byFrame.set(place, [end])
      else inFrame.push(end)
    }
    return { byFrame, end }
  }
  const readRange = async (first: number) => {
    let { byFrame, end } = takeRange(first)
    let bytes = 0
    const keep = (place: StoredFrame, frame: Frame) => {
      const numbers = byFrame.get(place)?.filter((nth) => nth < end) ?? []
      const parts = numbers.map((nth) => cut(frame, stretches[nth] as Stretch))
      if (end === first + 1) {
        for (const part of parts) kept.set(first, part) // However large it is, there is nothing beside it.
        return
      }
      // Copied: a string that was cut from a text keeps hold of all of it, and they are of many frames.
      const copy = copyOf(parts)
      for (const [at, part] of copy.parts().entries()) kept.set(numbers[at] as number, part)
      bytes += copy.bytes
      while (bytes > 2 * MAX_KEPT_BYTES && end > first + 1) {
        end = first + ((end - first) >>> 1)
        for (const nth of kept.keys()) if (nth >= end) kept.delete(nth)
        bytes = copyOf([...kept.values()]).bytes
      }
    }
    function* listWanted(): Generator<StoredFrame> {
      for (const place of stored) if ((byFrame.get(place)?.[0] ?? end) < end) yield place
    }
    for (const spans of inSpans(listWanted())) {
      const asked = askForSpans(record.store, spans, readBlock)
      await endAll([...asked.values()])
      for (const [place, bytes] of asked) {
        keep(place, readFrame(record, place, await bytes))
        await turnIfDue()
      }
    }
  }
  return {
    async read(nth) {
      if (!kept.has(nth)) await readRange(nth)
      return kept.get(nth) as Frame
    },
    pass: (nth) => kept.delete(nth),
  }
}

/** A copy of what codecs gave, as structured clone makes it, and about how much it weighs. */
function copyOf(parts: readonly Frame[]): { readonly bytes: number; parts(): Frame[] } {
  const serializer = new Serializer()
  serializer.writeHeader()
  serializer.writeValue(parts)
  const copy = serializer.releaseBuffer()
  const read = () => {
    const deserializer = new Deserializer(copy)
    deserializer.readHeader()
    return deserializer.readValue()
  }
  return { bytes: copy.length, parts: read }
}

/** What is in the stretch. */
function cut({ keys, attempts, values, failure }: Frame, { place, count }: Stretch): Frame {
  const part = <V>(column: readonly V[]) => (count === column.length ? column : column.slice(place, place + count))
  return { keys: keys && part(keys), attempts: attempts && part(attempts), values: failure ? values : part(values), failure }
}

function readFrame({ fingerprint, codecs }: RunRecord, place: StoredFrame, bytes: Buffer | undefined): Frame {
  const { file, stem, start } = place
  const { head, body } = (bytes && readAgain(place, bytes, fingerprint)) ?? {}
  if (head === undefined || body === undefined || (head.kind !== 'outcomes' && head.kind !== 'failure')) {
    throw new CheckpointCorruptError(`Cannot read ${file.key}: expected the frame at ${start} to be whole as before, got damage`)
  }
  const codec = codecs[file.format]
  if (head.kind === 'failure')
    return { keys: undefined, attempts: undefined, values: codec.decode(body), failure: toEntry(head, writerOf(stem)) }
  return { keys: head.keys, attempts: head.attempts, values: decodeColumns(codec, head, body), failure: undefined }
}
