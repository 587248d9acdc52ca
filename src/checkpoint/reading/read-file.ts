import { CheckpointVersionError } from '../../errors.ts'
import { turnIfDue } from '../../turn.ts'
import { isPacked } from '../format/blocks.ts'
import { FORMAT_VERSION, type FoundFrame, seedOf } from '../format/frame.ts'
import { layoutOf, type RunFile } from '../format/run-file.ts'
import { createScanner, type Layout, type Scanner, type Visitor } from '../format/scan.ts'
import { type Readable, readBytes, WINDOW_BYTES } from './file-bytes.ts'
import type { FileReport } from './file-report.ts'
import { unpackBlocks } from './read-blocks.ts'

/** A frame in its file. */
export interface Located extends FoundFrame {
  /** The segment it was written to; '' for what a snapshot says of itself. */
  readonly stem: string
  /** False in snapshots for what was copied. */
  readonly isOwn: boolean
  readonly body: Buffer
  /** All of it, where it was read whole. */
  readonly raw: Buffer
  /**
   * Offset of the compressed block it is in, -1 when there is none; `start` and the like are offsets in that block, else in the
   * file.
   */
  readonly block: number
}

/** Where a frame is; see Located. */
export type FrameAddress = Pick<Located, 'block' | 'start' | 'end' | 'stem'>

/**
 * The frames of a file, window by window. With `isChecked` bodies are checked, and `body` holds them; without, bodies that
 * do not happen to be in the window are not read.
 *
 * @throws FileGoneError, CheckpointVersionError, and whatever the store raises.
 */
export async function* readFrames(
  store: Readable,
  file: RunFile,
  fingerprint: string,
  isChecked: boolean,
  report: FileReport,
): AsyncGenerator<Located[]> {
  yield* readParts(store, file, fingerprint, isChecked, report)
  // Of what was put whole no end is missing for a writer that was killed.
  if (!report.header?.isWhole || report.torn === 0) return
  report.damage.push({ start: file.size - report.torn, end: file.size })
  report.torn = 0
}

async function* readParts(
  store: Readable,
  file: RunFile,
  fingerprint: string,
  isChecked: boolean,
  report: FileReport,
): AsyncGenerator<Located[]> {
  const layout = layoutOf(file.format)
  const gatherer = createGatherer(file, fingerprint, report)
  const scan = (size: number) => createScanner(layout, gatherer.seeds, size, isChecked, gatherer)
  const opening = await readBytes(store, file, 0, WINDOW_BYTES)
  report.isForeign = opening.length >= 4 && !isPacked(opening) && !opening.subarray(0, 4).equals(layout.opening)
  const isCompressed = isPacked(opening) || (file.key.endsWith('.gz') && layout.readHeader(opening) === undefined)
  if (!isCompressed) {
    const start = acceptHeader(layout, opening, report, file)
    const end = yield* scanWindows(store, file, start, opening, scan(file.size), gatherer.take)
    report.torn += Math.max(0, file.size - end)
    return
  }
  for await (const { at, end, bytes } of unpackBlocks(store, file, opening, report)) {
    const start = at === 0 ? acceptHeader(layout, bytes, report, file) : 0
    gatherer.enter(at)
    const scanner = scan(bytes.length)
    for (let next = start, need = 0; need === 0; ) {
      ;({ next, need } = scanner.push(bytes.subarray(next), next, true))
      yield gatherer.take()
      await turnIfDue()
    }
    gatherer.leave(end)
  }
}

/** Takes in what scans of a file, or of its blocks one after the other, find there; what is not whole goes to `report`. */
interface Gatherer extends Visitor {
  /**
   * Where the checksums of frames start: of the file's own, and of those it copied, once it has said of which segment they are.
   */
  readonly seeds: { readonly own: number; origin: number | undefined }
  /** What is found from now on is in the block at `at`. */
  enter(at: number): void
  /** The block ends at `end`: of one with damage nobody knows where in the file that is, so all of it counts. */
  leave(end: number): void
  /** The frames since it was last asked. */
  take(): Located[]
}

function createGatherer(file: RunFile, fingerprint: string, report: FileReport): Gatherer {
  const seeds: Gatherer['seeds'] = { own: seedOf(file.stem, fingerprint), origin: undefined }
  let origin = file.kind === 'segment' ? file.stem : ''
  let found: Located[] = []
  let block = -1
  let isBlockBad = false
  return {
    seeds,
    frame(frame, bytes, base, isOwn) {
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
    damage(start, end) {
      if (block < 0) report.damage.push({ start, end })
      else isBlockBad = true
    },
    torn(start, end) {
      if (block < 0) report.torn = end - start
      else isBlockBad = true
    },
    enter(at) {
      block = at
      isBlockBad = false
    },
    leave(end) {
      if (isBlockBad) report.damage.push({ start: block, end })
    },
    take() {
      const taken = found
      found = []
      return taken
    },
  }
}

/** The frames of a file that is not compressed, from `start` on; gives where it ends, which may be before it was listed to. */
async function* scanWindows(
  store: Readable,
  file: RunFile,
  start: number,
  opening: Buffer,
  scanner: Scanner,
  take: () => Located[],
): AsyncGenerator<Located[], number> {
  let base = start
  let readFrom = start
  let bytes = opening.subarray(start)
  let isShort = opening.length < Math.min(WINDOW_BYTES, file.size)
  for (;;) {
    // A file may be shorter than it was listed as: what is missing never comes, however often it is asked for.
    const isLast = isShort || base + bytes.length >= file.size
    const { next, need } = scanner.push(bytes, base, isLast)
    yield take()
    await turnIfDue()
    if (need === 0) {
      bytes = bytes.subarray(next - base)
      base = next
      continue
    }
    if (isLast || next >= file.size) return Math.max(next, base + bytes.length)
    // A line of JSON does not say how long it is: to double the window bounds the bytes read twice by the file's size.
    const length = next === readFrom ? Math.max(bytes.length * 2, need) : Math.max(WINDOW_BYTES, need)
    bytes = await readBytes(store, file, next, length)
    isShort = bytes.length < Math.min(length, file.size - next)
    base = next
    readFrom = next
  }
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
