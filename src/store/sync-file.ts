import { fdatasync, fsync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { promisify } from 'node:util'

const byNumber = { sync: promisify(fsync), datasync: promisify(fdatasync) }

/**
 * Makes what was written to `file` survive a power cut, as its method of that name does. Yarn's Plug'n'Play puts handles of its own
 * in place of Node's, which throw at the call that they have none: those are synced by their number.
 */
export async function syncFile(file: FileHandle, how: 'sync' | 'datasync'): Promise<void> {
  let synced: Promise<void>
  try {
    synced = file[how]()
  } catch {
    synced = byNumber[how](file.fd)
  }
  await synced
}
