import { type FoundFrame, seedOf } from '../format/frame.ts'
import { layoutOf } from '../format/run-file.ts'
import type { FramePlace } from './spans.ts'

/** A frame that was read before, of the bytes that are now in its place, checked; undefined when it is not what it was. */
export function readAgain(
  { file, stem }: FramePlace,
  bytes: Buffer,
  fingerprint: string,
): { readonly head: FoundFrame['head']; readonly body: Buffer } | undefined {
  const readWhole = (part: Buffer) => {
    const found = layoutOf(file.format).readFrame(part, 0, seedOf(stem, fingerprint), true, true)
    return typeof found === 'object' && found.isWhole ? found : undefined
  }
  // Of JSON the newline at its end may be damaged, where the next line told that the frame is whole.
  const found = readWhole(bytes) ?? readWhole(bytes.subarray(0, -1))
  return found && { head: found.head, body: bytes.subarray(found.bodyStart, found.bodyEnd) }
}
