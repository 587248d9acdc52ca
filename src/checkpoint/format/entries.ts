import type { Format } from '../../values/contract.ts'
import { packBlock, SMALL_BYTES, storeBlock } from './blocks.ts'
import { blockSeedOf, countCharacters, type Head, type OutcomesHead, seedOf, versionOf } from './frame.ts'
import { layoutOf } from './run-file.ts'
import type { Layout } from './scan.ts'

/** What the log is given to write: a frame to be, or with its neighbours a part of one. */
export interface Entry {
  readonly head: Head
  readonly body: readonly Uint8Array[]
  /** Items that settled, and how many of them had not settled before. */
  readonly items: number
  readonly fresh: number
  /** About what it weighs in memory. */
  readonly bytes: number
  /** The same in smaller parts, when it can be cut. */
  halve?(): readonly Entry[]
}

/** The entry of a frame without a body, of which no item settles. `bytes`: about what it weighs in memory. */
export function entryOf(head: Head, bytes = 64, fresh = 0): Entry {
  return { head, body: [], items: 0, fresh, bytes }
}

/** How entries become the bytes of a segment. */
export interface Encoder {
  readonly layout: Layout
  readonly isCompressed: boolean
  readonly fingerprint: string
  /** End of the file's name. */
  readonly form: string
  /** Segments are put whole, not grown. */
  readonly isWhole: boolean
  /** Milliseconds since 1970. */
  today(): number
}

/**
 * Outcomes are put together into one frame until its body and its keys have this many bytes. Smaller frames cost more for
 * themselves, up to more than the values when chunks are of one item; larger ones lose more to a damaged byte.
 */
const MERGE_BYTES = 2 ** 16

export function createEncoder(
  format: Format,
  compress: 'none' | 'gzip',
  fingerprint: string,
  today: () => number,
  isWhole = false,
): Encoder {
  const isCompressed = compress === 'gzip'
  return { layout: layoutOf(format), isCompressed, fingerprint, form: isCompressed ? `${format}.gz` : format, isWhole, today }
}

/**
 * The bytes of `entries` in the segment `stem`, with the header before them if they are the first. At once unless they are
 * to be compressed; what is not worth it is not.
 */
export function encodeEntries(
  { layout, isCompressed, fingerprint, isWhole, today }: Encoder,
  stem: string,
  entries: readonly Entry[],
  isFirst: boolean,
  isWorthCompressing: boolean,
): Uint8Array | Promise<Uint8Array> {
  const seed = seedOf(stem, fingerprint)
  const frames = mergeEntries(entries, layout.format).map(({ head, body }) => joinBytes(layout.writeFrame(head, body, seed)))
  const header = { version: versionOf(entries, layout.format), kind: 'segment', fingerprint, createdAt: today() } as const
  const opening = isFirst ? [layout.writeHeader(isWhole ? { ...header, isWhole } : header)] : []
  if (!isCompressed) return joinBytes([...opening, ...frames])
  const blockSeed = blockSeedOf(stem)
  if (isWhole) return packApart(opening, frames, blockSeed)
  const all = [...opening, ...frames]
  return isWorthCompressing ? packFrames(all, blockSeed) : storeBlock(joinBytes(all), blockSeed)
}

/** With what `opening` says in a block of its own: it is there also where the others are damaged. */
async function packApart(opening: readonly Uint8Array[], frames: readonly Uint8Array[], seed: number): Promise<Buffer> {
  return joinBytes([storeBlock(joinBytes(opening), seed), await packFrames(frames, seed)])
}

/** Compresses frames into as few blocks as their bounds allow; no frame is cut. */
export async function packFrames(frames: readonly Uint8Array[], seed: number): Promise<Buffer> {
  const blocks: Buffer[] = []
  for (let at = 0; at < frames.length; ) {
    const group: Uint8Array[] = []
    let bytes = 0
    do {
      bytes += (frames[at] as Uint8Array).byteLength
      group.push(frames[at++] as Uint8Array)
    } while (at < frames.length && bytes + (frames[at] as Uint8Array).byteLength <= SMALL_BYTES)
    blocks.push(await packBlock(joinBytes(group), seed))
  }
  return joinBytes(blocks)
}

/** One buffer of all `pieces`; the piece itself when there is one. */
export function joinBytes(pieces: readonly Uint8Array[]): Buffer {
  const [first] = pieces
  if (pieces.length === 1 && first) return Buffer.from(first.buffer, first.byteOffset, first.byteLength)
  return Buffer.concat(pieces)
}

interface Part {
  readonly head: Head
  readonly body: readonly Uint8Array[]
}

function mergeEntries(entries: readonly Entry[], format: Format): Part[] {
  const merged: Part[] = []
  let group: { head: OutcomesHead; body: readonly Uint8Array[] }[] = []
  let bytes = 0
  const end = () => {
    if (group.length > 0) merged.push(mergeOutcomes(group, format))
    group = []
    bytes = 0
  }
  for (const { head, body } of entries) {
    if (head.kind !== 'outcomes') {
      if (head.kind === 'close') end() // It says that nothing is missing before it.
      merged.push({ head, body })
      continue
    }
    const weight = sizeOf(body) + countCharacters(head.keys)
    if (weight >= MERGE_BYTES) end() // Together they might be more than a frame holds.
    group.push({ head, body })
    bytes += weight
    if (bytes >= MERGE_BYTES) end()
  }
  end()
  return merged
}

function mergeOutcomes(group: readonly { head: OutcomesHead; body: readonly Uint8Array[] }[], format: Format): Part {
  const [first] = group
  if (group.length === 1 && first) return first
  const runs: number[] = []
  const keys: string[] = []
  const attempts: number[] = []
  const columns: number[] = []
  for (const { head } of group) {
    appendRuns(runs, head.runs)
    for (const part of head.columns) columns.push(part)
    for (const key of head.keys ?? []) keys.push(key)
    const count = head.columns[0] ?? 0
    for (let at = 0; at < count; at++) attempts.push(head.attempts?.[at] ?? 1)
  }
  const body = group.flatMap((part) => part.body)
  const joined = format === 'json' ? joinJson(body) : body
  const head: OutcomesHead = {
    kind: 'outcomes',
    runs,
    columns: format === 'json' ? [attempts.length, sizeOf(joined)] : columns,
    ...(keys.length > 0 ? { keys } : {}),
    ...(attempts.some((count) => count !== 1) ? { attempts } : {}),
  }
  return { head, body: joined }
}

function appendRuns(runs: number[], more: readonly number[]): void {
  for (let at = 0; at < more.length; at += 2) {
    const from = more[at] as number
    const count = more[at + 1] as number
    const last = runs.length - 2
    if (last >= 0 && (runs[last] as number) + (runs[last + 1] as number) === from)
      runs[last + 1] = (runs[last + 1] as number) + count
    else runs.push(from, count)
  }
}

const [OPEN, COMMA, CLOSE] = [Buffer.from('['), Buffer.from(','), Buffer.from(']')]

/** `[1,2]` and `[3]` as `[1,2,3]`. */
function joinJson(columns: readonly Uint8Array[]): Uint8Array[] {
  const pieces: Uint8Array[] = [OPEN]
  for (const column of columns) {
    if (pieces.length > 1) pieces.push(COMMA)
    pieces.push(column.subarray(1, -1))
  }
  pieces.push(CLOSE)
  return pieces
}

function sizeOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, piece) => sum + piece.byteLength, 0)
}
