import type { Delimiter, FileFormat } from '../items/file-items.ts'
import { openToRead } from './pipe.ts'

/**
 * Bytes of a block, about: a block ends with the last line that ends before the next multiple of this. Larger, and at the
 * end one worker has a block while others have none; smaller, and there are more messages.
 *
 * Part of the checkpoint's meaning: the digest of a file is made of the digests of its blocks.
 */
const BLOCK = 2 ** 20

/**
 * The bytes of a file in shared memory, each block whole lines, or rows. An empty file is one empty block. With a line of more
 * than `longest` bytes the file ends: nothing is made of it, and memory is not without end. Of a named pipe `signal` ends the wait.
 */
export async function* readBlocks(
  path: string,
  kind: FileFormat['kind'],
  longest: number,
  signal?: AbortSignal,
): AsyncGenerator<Buffer> {
  const endOf = kind === 'csv' ? await endOfRows() : (bytes: Uint8Array) => bytes.lastIndexOf(0x0a) + 1
  const file = await openToRead(path, signal)
  try {
    let rest: Buffer = Buffer.alloc(0)
    for (let isFirst = true, isLast = false; !isLast; ) {
      // Of a line longer than a block, each time twice as much: read block by block it would be copied as often.
      const wanted = rest.length < BLOCK ? BLOCK : rest.length
      const bytes = Buffer.from(new SharedArrayBuffer(rest.length + wanted))
      rest.copy(bytes)
      const length = rest.length + (await file.fill(bytes.subarray(rest.length)))
      isLast = length < bytes.length
      let end = isLast ? length : endOf(bytes)
      if (end === 0 && length > longest) {
        isLast = true
        end = length
      }
      if (end > 0 || (isFirst && isLast)) yield bytes.subarray(0, end)
      if (end > 0) isFirst = false
      rest = bytes.subarray(end, length)
    }
  } finally {
    await file.close()
  }
}

/** The end of the last row, for blocks one after the other. */
async function endOfRows(): Promise<(bytes: Uint8Array) => number> {
  const { findDelimiter, listRowEnds } = await import('./csv.ts')
  let delimiter: Delimiter | undefined
  return (bytes) => {
    delimiter ??= findDelimiter(bytes, false)
    return delimiter === undefined ? 0 : (listRowEnds(bytes, 0, delimiter).at(-1) ?? 0)
  }
}
