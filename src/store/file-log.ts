import { writeSync } from 'node:fs'
import { type FileHandle, lstat } from 'node:fs/promises'
import { ifAbsent, systemError, withNamedErrors } from './errno.ts'
import { logTo } from './log.ts'
import type { Log } from './store.ts'
import { syncFile } from './sync-file.ts'

/**
 * A log that writes to `file`, which was just made at `path` and opened to append, and closes it. `syncName` makes its name
 * durable.
 *
 * Appended, since what is written behind a cut then leaves the file short, which shows. Written where the file should have ended,
 * it would leave a hole, and a size as if nothing were missing.
 */
export async function fileLog(file: FileHandle, path: string, syncName: () => Promise<void>): Promise<Log> {
  const made = await look(path).catch(() => undefined)
  // The name is made durable with the first of what it names: until then a power cut leaves nothing that anybody counts on.
  let isNameSafe = false
  let size = 0

  /**
   * @throws ENOENT when somebody has deleted the file meanwhile, moved it away, put another in its place or cut it: what was
   * written to it nobody will find.
   */
  async function refuseGone(): Promise<void> {
    const found = await look(path)
    if (found && isSame(found, made) && found.size >= size) return
    // A file system that numbers its files anew, or is late to tell their sizes by path, does otherwise for the open one.
    const opened = await file.stat({ bigint: true })
    if (found && (isSame(found, made) || isSame(found, opened)) && opened.size >= size) return
    throw systemError('ENOENT', 'A file of the store was deleted, cut or replaced while it was written')
  }

  return logTo({
    writeAt: (bytes, position) => {
      size = position + bytes.byteLength
      return withNamedErrors(() => appendAt(file, bytes, position))
    },
    sync: () =>
      withNamedErrors(async () => {
        await syncFile(file, 'datasync')
        if (!isNameSafe) await syncName()
        isNameSafe = true
        await refuseGone()
      }),
    confirm: refuseGone,
    close: () => file.close(),
  })
}

/**
 * What tells a file from every other one while it is open, and how long it is. As numbers, neighbours are one from 2 ** 53 on.
 */
interface Identity {
  readonly dev: bigint
  readonly ino: bigint
  readonly size: bigint
}

/** By the path and not the open file: the two need not agree on every system, and a path is what this is compared with. */
async function look(path: string): Promise<Identity | undefined> {
  return lstat(path, { bigint: true }).catch(ifAbsent)
}

function isSame({ dev, ino }: Identity, other: Identity | undefined): boolean {
  return dev === other?.dev && ino === other.ino
}

/**
 * Most that a log takes without the thread pool, in bytes. It only goes to the page cache, in a few µs, where waking a
 * thread of the pool costs 0.2 ms beside busy workers: several % of a run whose chunks are noted one by one. Higher, and
 * the main thread copies what could be copied elsewhere. Set by bench/saving.bench.mjs, items of 1 ms.
 */
const AT_ONCE_BYTES = 4096

/** As `writeAt`, at once when it is little. */
async function appendAt(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  if (bytes.byteLength > AT_ONCE_BYTES) return writeAt(file, bytes, position)
  const written = writeSync(file.fd, bytes, 0, bytes.byteLength, position)
  if (written < bytes.byteLength) await refuseShort(file, bytes, position, written)
}

export async function writeAt(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  const { bytesWritten } = await file.write(bytes, 0, bytes.byteLength, position)
  if (bytesWritten < bytes.byteLength) await refuseShort(file, bytes, position, bytesWritten)
}

/** What a file holds after a short write is not to be trusted (nor synced). */
async function refuseShort(file: FileHandle, bytes: Uint8Array, position: number, written: number): Promise<never> {
  // Asked for the rest, the system says what is wrong (ENOSPC, EDQUOT, EFBIG), which is the better error.
  const rest = file.write(bytes, written, bytes.byteLength - written, position + written)
  await rest.catch((error: NodeJS.ErrnoException) => giveBack(file, position, error))
  throw systemError('EIO', `Cannot write to a file of the store: expected ${bytes.byteLength} bytes to be taken, got ${written}`)
}

/** Rejects with `error`, why a write behind `size` was cut short; on a full disk each try would fill what room somebody makes. */
async function giveBack(file: FileHandle, size: number, error: NodeJS.ErrnoException): Promise<never> {
  if (error.code === 'ENOSPC' || error.code === 'EDQUOT') await file.truncate(size).catch(() => {})
  throw error
}
