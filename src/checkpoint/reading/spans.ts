import type { Store } from '../../store/store.ts'
import type { RunFile } from '../format/run-file.ts'
import { AT_ONCE } from '../patience/at-once.ts'
import { readBytes, WINDOW_BYTES } from './file-bytes.ts'
import type { BlockReader } from './read-blocks.ts'
import type { FrameAddress } from './read-file.ts'

/**
 * Bytes between two frames that are read with them: about as many as come while a call is under way. Higher, and of frames far
 * apart much is read that nobody asked for; lower, and each takes a call.
 */
const NEAR_BYTES = 2 ** 16

/** A frame, and the file it is in. */
export interface FramePlace extends FrameAddress {
  readonly file: RunFile
}

/** Frames of a file that are read with one call: those that lie near one another, and each alone that is in a block. */
export interface Span<P extends FramePlace> {
  readonly places: [P, ...P[]]
  start: number
  end: number
}

/**
 * `places` in groups of spans that may be read at once, in their order: AT_ONCE of them, WINDOW_BYTES together, or a single frame.
 * Each group takes no more of `places` than one that is in the next.
 */
export function* inSpans<P extends FramePlace>(places: Iterable<P>): Generator<readonly Span<P>[]> {
  let group = createGroup<P>()
  for (const place of places) {
    if (group.take(place)) continue
    yield group.spans
    group = createGroup()
    group.take(place)
  }
  if (group.spans.length > 0) yield group.spans
}

function createGroup<P extends FramePlace>() {
  const spans: Span<P>[] = []
  let bytes = 0
  return {
    spans,
    /** False when there is no room for it, as there always is for the first. */
    take(place: P): boolean {
      const near = spans.find((span) => span.places[0].file.key === place.file.key && isNear(span, place))
      const more = near === undefined ? weigh(place) : growthOf(near, place)
      if (spans.length > 0 && bytes + more > WINDOW_BYTES) return false
      if (near === undefined && spans.length === AT_ONCE) return false
      bytes += more
      if (near === undefined) {
        spans.push({ places: [place], start: place.start, end: place.end })
        return true
      }
      near.places.push(place)
      near.start = Math.min(near.start, place.start)
      near.end = Math.max(near.end, place.end)
      return true
    },
  }
}

/** What a frame weighs by itself. How large the block is that it is in, nobody knows: nothing is read beside it. */
function weigh({ block, start, end }: FramePlace): number {
  return block < 0 ? end - start : Number.POSITIVE_INFINITY
}

function growthOf(span: Span<FramePlace>, { start, end }: FramePlace): number {
  return Math.max(span.end, end) - Math.min(span.start, start) - (span.end - span.start)
}

function isNear(span: Span<FramePlace>, place: FramePlace): boolean {
  return place.block < 0 && growthOf(span, place) <= weigh(place) + NEAR_BYTES
}

/** Bytes of each frame of `spans`; undefined when the block it is in is not what it was. They may fail with FileGoneError. */
export function askForSpans<P extends FramePlace>(
  store: Store,
  spans: readonly Span<P>[],
  readBlock: BlockReader,
): Map<P, Promise<Buffer | undefined>> {
  const asked = new Map<P, Promise<Buffer | undefined>>()
  for (const { places, start, end } of spans) {
    const [{ file, block }] = places
    const whole = block < 0 ? readBytes(store, file, start, end - start) : readBlock(file, block)
    const base = block < 0 ? start : 0
    for (const place of places)
      asked.set(
        place,
        whole.then((bytes) => bytes?.subarray(place.start - base, place.end - base)),
      )
  }
  return asked
}
