import { CheckpointVersionError } from '../errors.ts'
import type { Store } from '../store/store.ts'
import { type BlockHeader, findNextBlock, isPacked, MIN_BLOCK_BYTES, readBlockHeader, unpackBlock } from './blocks.ts'
import type { FileReport } from './file-report.ts'
import { blockSeedOf, FORMAT_VERSION, type FoundFrame, seedOf } from './frame.ts'
import { layoutOf, type RunFile } from './run-file.ts'
import { createScanner, type Layout, type Scanner } from './scan.ts'

/** Bytes asked of the store at once: large against the cost of asking, small against memory. */
const WINDOW_BYTES = 2 ** 22

/** A frame in its file. */
export interface Located extends FoundFrame {
  /** The segment it was written to; '' for what a snapshot says of itself. */
  readonly stem: string
  /** False in snapshots for what was copied. */
  readonly isOwn: boolean
  readonly body: Buffer
  /** All of it, where it was read whole. */
  readonly raw: Buffer
  /** Offset of the compressed block it is in, -1 when there is none; `start` and the like are offsets in that block, else in the file. */
  readonly block: number
}

/** Raised when a file that was listed is not there any more: somebody compacted. The reader lists again. */
export class FileGoneError extends Error {}

/** Other processes compact now and then; a reader that meets them this often in a row meets something else. */
export const MAX_STARTS = 100

/** Calls `read` again when a file it had listed was gone. */
export async function startOver<T>(read: () => Promise<T>): Promise<T> {
  for (let starts = 1; ; starts++) {
    try {
      return await read()
    } catch (error) {
      if (!(error instanceof FileGoneError) || starts === MAX_STARTS) throw error
    }
  }
}

/**
 * The frames of a file, window by window. With `isChecked` bodies are checked, and `body` holds them; without, bodies that
 * do not happen to be in the window are not read.
 *
 * @throws FileGoneError, CheckpointVersionError, and whatever the store raises.
 */
export async function* readFrames(
  store: Store,
  file: RunFile,
  fingerprint: string,
  isChecked: boolean,
  report: FileReport,
): AsyncGenerator<Located[]> {
  const seeds: { readonly own: number; origin: number | undefined } = { own: seedOf(file.stem, fingerprint), origin: undefined }
  const layout = layoutOf(file.format)
  let origin = file.kind === 'segment' ? file.stem : ''
  let found: Located[] = []
  let block = -1
  let isBlockBad = false

  const visitor = {
    frame(frame: FoundFrame, bytes: Buffer, base: number, isOwn: boolean) {
      if (frame.head.kind === 'origin' && isOwn && file.kind === 'snapshot') {
        origin = frame.head.stem
        seeds.origin = seedOf(origin, fingerprint)
      }
      const body = bytes.subarray(frame.bodyStart, frame.bodyEnd)
      const { head, isWhole } = frame
      const at = {
        start: base + frame.start,
        end: base + frame.end,
        bodyStart: base + frame.bodyStart,
        bodyEnd: base + frame.bodyEnd,
      }
      const stem = isOwn && file.kind === 'snapshot' ? '' : origin
      const raw = bytes.subarray(frame.start, frame.end)
      found.push({ head, isWhole, ...at, stem, isOwn, body, raw, block })
      report.frames++
    },
    damage(start: number, end: number) {
      if (block < 0) report.damage.push({ start, end })
      else isBlockBad = true
    },
    torn(start: number, end: number) {
      if (block < 0) report.torn = end - start
      else isBlockBad = true
    },
  }
  const scanPlain = (size: number) => createScanner(layout, seeds, size, isChecked, visitor)

  const opening = await read(store, file, 0, WINDOW_BYTES)
  report.isForeign = opening.length >= 4 && !isPacked(opening) && !opening.subarray(0, 4).equals(layout.opening)
  const isCompressed = isPacked(opening) || (file.key.endsWith('.gz') && layout.readHeader(opening) === undefined)
  if (!isCompressed) {
    const start = acceptHeader(layout, opening, report, file)
    yield* scanWindows(store, file, start, opening, scanPlain(file.size), () => take())
    return
  }
  for await (const raw of readBlocks(store, file, opening, report)) {
    block = raw.at
    if (raw.bytes === undefined) continue
    const start = raw.at === 0 ? acceptHeader(layout, raw.bytes, report, file) : 0
    isBlockBad = false
    scanPlain(raw.bytes.length).push(raw.bytes.subarray(start), start, true)
    if (isBlockBad) report.damage.push({ start: raw.at, end: raw.end })
    yield take()
  }

  function take(): Located[] {
    const taken = found
    found = []
    return taken
  }
}

async function* scanWindows(
  store: Store,
  file: RunFile,
  start: number,
  opening: Buffer,
  scanner: Scanner,
  take: () => Located[],
): AsyncGenerator<Located[]> {
  let base = start
  let bytes = opening.subarray(start)
  let isShort = opening.length < Math.min(WINDOW_BYTES, file.size)
  for (;;) {
    // A file may be shorter than it was listed as: what is missing never comes, however often it is asked for.
    const isLast = isShort || base + bytes.length >= file.size
    const { next, need } = scanner.push(bytes, base, isLast)
    yield take()
    if (isLast || next >= file.size) return
    // A line of JSON does not say how long it is: to double the window bounds the bytes read twice by the file's size.
    const length = next === base ? Math.max(bytes.length * 2, need) : Math.max(WINDOW_BYTES, need)
    bytes = await read(store, file, next, length)
    isShort = bytes.length < Math.min(length, file.size - next)
    base = next
  }
}

interface RawBlock {
  readonly at: number
  readonly end: number
  /** undefined: damaged. */
  readonly bytes: Buffer | undefined
}

async function* readBlocks(store: Store, file: RunFile, opening: Buffer, report: FileReport): AsyncGenerator<RawBlock> {
  const seed = blockSeedOf(file.stem)
  let base = 0
  let bytes = opening
  let badFrom = -1
  for (let at = 0; at < file.size; ) {
    if (at - base + MIN_BLOCK_BYTES > bytes.length && base + bytes.length < file.size) {
      bytes = await read(store, file, at, WINDOW_BYTES)
      base = at
      if (bytes.length === 0) break
    }
    const header: BlockHeader | undefined = readBlockHeader(bytes, at - base, seed)
    if (header !== undefined && at + header.bytes <= file.size) {
      if (at - base + header.bytes > bytes.length) {
        bytes = await read(store, file, at, Math.max(WINDOW_BYTES, header.bytes))
        base = at
      }
      const raw = await unpackBlock(bytes.subarray(at - base, at - base + header.bytes), header)
      if (badFrom >= 0) report.damage.push({ start: badFrom, end: at })
      badFrom = -1
      if (raw !== undefined) {
        yield { at, end: at + header.bytes, bytes: raw }
        at += header.bytes
        continue
      }
    }
    if (badFrom < 0) badFrom = at
    const next = findNextBlock(bytes, at - base + 1)
    at = next >= 0 ? base + next : Math.max(at + 1, base + bytes.length - MIN_BLOCK_BYTES + 1)
  }
  if (badFrom >= 0) report.torn = file.size - badFrom
}

function acceptHeader(layout: Layout, bytes: Buffer, report: FileReport, file: RunFile): number {
  const found = layout.readHeader(bytes)
  if (found === undefined) return 0
  if (found.header.version > FORMAT_VERSION) {
    throw new CheckpointVersionError(
      `Cannot read ${file.key}: expected format version ${FORMAT_VERSION}, got ${found.header.version}. A newer pawl wrote it, and reads it`,
    )
  }
  report.header = found.header
  return found.end
}

/**
 * One frame again, checked; undefined when it is not what it was.
 *
 * @throws FileGoneError
 */
export async function readAgain(
  store: Store,
  file: RunFile,
  fingerprint: string,
  address: FrameAddress,
): Promise<Located | undefined> {
  const bytes = await readStretch(store, file, address)
  const readWhole = (stretch: Buffer) => {
    const found = layoutOf(file.format).readFrame(stretch, 0, seedOf(address.stem, fingerprint), true, true)
    return typeof found === 'object' && found.isWhole ? found : undefined
  }
  // Of JSON the newline at its end may be damaged, where the next line told that the frame is whole.
  const found = bytes && (readWhole(bytes) ?? readWhole(bytes.subarray(0, -1)))
  if (found === undefined) return undefined
  return {
    ...found,
    ...address,
    isOwn: file.kind === 'segment',
    body: (bytes as Buffer).subarray(found.bodyStart, found.bodyEnd),
    raw: bytes as Buffer,
  }
}

/** Where a frame is; see Located. */
export type FrameAddress = Pick<Located, 'block' | 'start' | 'end' | 'stem'>

async function readStretch(store: Store, file: RunFile, { block, start, end }: FrameAddress): Promise<Buffer | undefined> {
  if (block < 0) return read(store, file, start, end - start)
  const header = readBlockHeader(await read(store, file, block, MIN_BLOCK_BYTES), 0, blockSeedOf(file.stem))
  const raw = header && (await unpackBlock(await read(store, file, block, header.bytes), header))
  return raw?.subarray(start, end)
}

async function read(store: Store, file: RunFile, start: number, length: number): Promise<Buffer> {
  const bytes = await store.get(file.key, { start, length: Math.min(length, file.size - start) })
  if (bytes === undefined) throw new FileGoneError(file.key)
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
