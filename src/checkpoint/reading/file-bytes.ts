import type { Store } from '../../store/store.ts'
import type { RunFile } from '../format/run-file.ts'

/** Bytes asked of the store at once: large against the cost of asking, small against memory. */
export const WINDOW_BYTES = 2 ** 22

/** What files are read from. */
export type Readable = Pick<Store, 'get'>

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
 * Bytes of a file from `start` on: `length`, or fewer where it ends before. What an answer lacks is asked for again.
 *
 * @throws FileGoneError
 */
export async function readBytes(store: Readable, file: RunFile, start: number, length: number): Promise<Buffer> {
  const end = Math.min(start + length, file.size)
  let bytes = await ask(store, file, start, end)
  while (bytes.length < end - start) {
    const more = await ask(store, file, start + bytes.length, end)
    if (more.length === 0) break
    bytes = Buffer.concat([bytes, more])
  }
  return bytes
}

async function ask(store: Readable, file: RunFile, start: number, end: number): Promise<Buffer> {
  const bytes = await store.get(file.key, { start, length: end - start })
  if (bytes === undefined) throw new FileGoneError(file.key)
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
