import type { Format } from '../../values/contract.ts'
import type { FileHeader, FoundFrame, Head } from './frame.ts'

/** One of the two forms of the format: how frames become bytes, and where they begin. */
export interface Layout {
  readonly format: Format
  /** The first 4 bytes of a file that is not compressed. */
  readonly opening: Buffer
  /** Fewer bytes hold no frame. */
  readonly minBytes: number
  writeHeader(header: FileHeader): Buffer
  readHeader(bytes: Buffer): { readonly header: FileHeader; readonly end: number } | undefined
  /** The frame in pieces, to be written one after the other. */
  writeFrame(head: Head, body: readonly Uint8Array[], seed: number): Uint8Array[]
  /** The frame at `at`; undefined when none is there; a number when that many bytes are needed from `at` on to tell. */
  readFrame(bytes: Buffer, at: number, seed: number, isChecked: boolean, isLast: boolean): FoundFrame | number | undefined
  /** Where, from `from` on, a frame may begin, behind `tries` places at which none did; -1 when nowhere. */
  findNext(bytes: Buffer, from: number, tries?: number): number
}

/** What a scan tells of. Offsets are those of the plain bytes of the file, or of the block of a compressed one. */
export interface Visitor {
  /** `isOwn`: bound to the file itself, not to the segment whose frames it copied. */
  frame(frame: FoundFrame, bytes: Buffer, base: number, isOwn: boolean): void
  /** No frame could be read from `start` to `end`; frames follow. */
  damage(start: number, end: number): void
  /** No frame could be read from `start` to `end`, the end of the file. */
  torn(start: number, end: number): void
}

/**
 * Candidates looked at without finding a frame before the rest of a stretch is given up, for every KiB of it. In damage
 * made by chance there are next to none; it keeps bytes made on purpose from costing the square of their size.
 */
const TRIES_PER_KIB = 256

/**
 * Bytes of whole frames that are read at once: to parse the keys of so many takes about a ms. Higher, and the event loop waits
 * for it; lower, and each turn gives little.
 */
const STRIDE_BYTES = 2 ** 17

/**
 * Reads frames out of plain bytes that come piece by piece. `push` gives the offset from which the bytes must be given
 * again together with what follows, and how many from there are needed at least; 0: it stopped to let others have a turn.
 */
export interface Scanner {
  push(bytes: Buffer, base: number, isLast: boolean): { next: number; need: number }
}

/** @param size of all plain bytes: a frame that claims to end past them is none. */
export function createScanner(
  layout: Layout,
  seeds: { readonly own: number; origin: number | undefined },
  size: number,
  isChecked: boolean,
  visitor: Visitor,
): Scanner {
  let badFrom = -1
  let tries = 0
  /** Where the body of the last frame ends, if it does not hold: no other stretch of it is to be told. -1 where nobody knows. */
  let brokenEnd = -1

  let isOwn = true
  const read = (bytes: Buffer, at: number, isLast: boolean) => {
    isOwn = seeds.origin === undefined
    const found = layout.readFrame(bytes, at, seeds.origin ?? seeds.own, isChecked, isLast)
    if (isOwn || found !== undefined) return found
    isOwn = true
    return layout.readFrame(bytes, at, seeds.own, isChecked, isLast)
  }
  const push: Scanner['push'] = (bytes, base, isLast) => {
    let at = 0
    while (at < bytes.length) {
      const found = read(bytes, at, isLast)
      if (typeof found === 'number' && !isLast && base + at + found <= size) return { next: base + at, need: found }
      if (typeof found === 'object' && base + found.end <= size) {
        if (badFrom >= 0 && base + at !== brokenEnd) visitor.damage(badFrom, base + at)
        badFrom = -1
        // A line of JSON that has lost its newline goes on over others.
        brokenEnd = found.isWhole || layout.format === 'json' ? -1 : base + found.end
        visitor.frame(found, bytes, base, isOwn)
        at = found.isWhole ? found.end : skipBody(bytes, found)
        if (at >= STRIDE_BYTES && at < bytes.length) return { next: base + at, need: 0 }
        continue
      }
      if (badFrom < 0) {
        badFrom = base + at
        tries = 0
      }
      tries++
      const isHopeless = tries > ((base + at - badFrom) / 1024 + 1) * TRIES_PER_KIB
      const next = isHopeless ? at + 1024 : layout.findNext(bytes, at + 1, tries)
      if (next >= 0) at = next
      else if (isLast) break
      else return { next: base + Math.max(at + 1, bytes.length - layout.minBytes), need: layout.minBytes }
    }
    if (isLast && badFrom >= 0 && base + bytes.length !== brokenEnd) visitor.torn(badFrom, base + bytes.length)
    return { next: base + at, need: layout.minBytes }
  }

  /** Behind a head whose body does not hold: bytes may be missing, so the next frame may begin before the body's end. */
  const skipBody = (bytes: Buffer, found: FoundFrame) => {
    const next = layout.findNext(bytes, found.bodyStart)
    return next >= 0 && next < found.end ? next : found.end
  }
  return { push }
}
