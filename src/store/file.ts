import { constants } from 'node:fs'
import { type FileHandle, link, lstat, open, rename, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { StoreConflictError } from '../errors.ts'
import { checkKey, checkSize, cutRange } from './check.ts'
import { pathOfDirectory, wholePathOf } from './directory.ts'
import { codeOf, ifAbsent, systemError, withNamedErrors } from './errno.ts'
import { fileLog, writeAt } from './file-log.ts'
import {
  ageOf,
  foldersOf,
  inFolder,
  linkAbove,
  refuseOther,
  removeEmpty,
  removeLeftovers,
  syncFolders,
  TEMPORARY,
  walk,
} from './folder.ts'
import { partly } from './refused.ts'
import { type ByteRange, KEY, type Log, MAX_OBJECT_BYTES, type PutOptions, type Store, type StoredObject } from './store.ts'
import { syncFile } from './sync-file.ts'

/** Age in ms from which a claim (see `createByClaim`) counts as left by a crash. It is held for two system calls. */
const STALE_CLAIM_MS = 60_000

const directories = new WeakMap<Store, string>()

/** The directory of a store that `fileStore` made, as it was given, a URL as a path; undefined of any other. */
export function directoryOf(store: Store): string | undefined {
  return directories.get(store)
}

/** What link() says where the file system has no hard links: FAT, exFAT, some network and container mounts. */
const NO_HARD_LINKS = new Set(['EPERM', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EXDEV'])

/**
 * Keeps each object in the file of its key below `directory`, which is made (0700, files 0600) when something is first
 * put there, and resolved against the working directory now; it may be a file: URL. Folders that `delete` leaves empty go with
 * the object.
 *
 * Only regular files are objects. A symbolic link below `directory`, planted as file or as folder, is never followed:
 * to `get`, `list` and `delete` there is nothing; `put` and `append` reject with code ELOOP at a folder and with
 * `StoreConflictError` at a file. (One planted between this check and the call it guards is beyond what Node can
 * refuse; folders are 0700 so that only the same user could.)
 *
 * Where `directory` cannot be made, since something else is there or the file system takes none, `put` and `append` reject with
 * `InvalidOptionError`; so does `list` where something else is there, and with EACCES or EPERM (ERR_ACCESS_DENIED of Node's
 * permission model) where there is something that may not be read. A key cannot be at once an object and the folder of others.
 * Errors of the system (ENOSPC, EMFILE, EIO…) come as Node gives them. Reserved names of Windows (`con`, `nul`) are not looked for.
 */
export function fileStore(directory: string | URL): Store {
  const root = wholePathOf(directory)
  const tidied = new Set<string>()
  /** Of the directories that this store made an entry in, the topmost: whatever made it need not have been durable. */
  let highest = dirname(root)

  function pathOf(key: string): string {
    checkKey(key)
    return join(root, key)
  }

  /** `inFolder`, which keeps `highest`. */
  function inOwnFolder<V>(path: string, fill: (folder: string) => Promise<V>): Promise<V> {
    return inFolder(root, path, (folder, top, isNew) => {
      if (top.length < highest.length) highest = top
      if (isNew) tidied.add(folder) // Nobody has crashed in it.
      return fill(folder)
    })
  }

  async function tidy(folder: string): Promise<void> {
    if (tidied.has(folder)) return
    tidied.add(folder)
    await removeLeftovers(folder)
  }

  async function put(key: string, bytes: Uint8Array, { durable = true, replace = false }: PutOptions): Promise<void> {
    const path = pathOf(key)
    checkSize(bytes.byteLength)
    await inOwnFolder(path, async (folder) => {
      await tidy(folder)
      // Not the global one, which a program, or a test's environment, may replace.
      const { randomUUID } = process.getBuiltinModule('node:crypto')
      const aside = join(folder, TEMPORARY + randomUUID())
      let isMoved = false
      try {
        await writeAside(aside, bytes, durable)
        if (replace) await rename(aside, path)
        else await create(aside, path, key)
        isMoved = replace
      } finally {
        if (!isMoved) await unlink(aside).catch(() => {})
      }
      if (durable) await (replace ? syncFolders(folder, highest) : syncCreated(path, highest))
    })
  }

  async function append(key: string): Promise<Log> {
    const path = pathOf(key)
    return inOwnFolder(path, async (folder) => {
      const file = await open(path, 'ax', 0o600).catch(ifTaken(key))
      return fileLog(file, path, () => syncFolders(folder, highest))
    })
  }

  const store: Store = {
    get: (key, range) =>
      withNamedErrors(async () => {
        const path = pathOf(key)
        return (await linkAbove(root, path)) ? undefined : readRange(path, range)
      }),

    put: (key, bytes, options = {}) => withNamedErrors(() => put(key, bytes, options)),

    append: (key) => withNamedErrors(() => append(key)),

    sync: (key) =>
      withNamedErrors(async () => {
        const path = pathOf(key)
        if (await linkAbove(root, path)) return
        // Windows flushes only what is open for writing.
        const file = await open(path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(ifAbsent)
        try {
          if (file) await syncFile(file, 'datasync')
        } finally {
          await file?.close()
        }
        if (file) await syncFolders(dirname(path), highest) // Whoever wrote it may not have come to its name.
      }),

    modifiedAt: (key) =>
      withNamedErrors(async () => {
        const path = pathOf(key)
        if (await linkAbove(root, path)) return undefined
        const found = await lstat(path).catch(ifAbsent)
        return found?.isFile() ? found.mtimeMs : undefined
      }),

    list: (prefix) =>
      withNamedErrors(async () => {
        const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1)
        if (folder && !KEY.test(folder.slice(0, -1))) return []
        if (await linkAbove(root, join(root, folder, 'object'))) return []
        const found: StoredObject[] = []
        const refused = new Map<string, unknown>()
        await walk(root, folder, prefix, found, refused)
        if (refused.size > 0) throw partly(found, refused)
        if (found.length === 0) await refuseOther(root)
        return found.sort((a, b) => (a.key < b.key ? -1 : 1))
      }),

    delete: (key) =>
      withNamedErrors(async () => {
        const path = pathOf(key)
        if (await linkAbove(root, path)) return
        const found = await lstat(path).catch(ifAbsent)
        if (!found?.isFile()) return
        await tidy(dirname(path))
        await unlink(path).catch(ifAbsent)
        await removeEmpty(foldersOf(root, path))
      }),
  }
  directories.set(store, pathOfDirectory(directory))
  return store
}

async function writeAside(aside: string, bytes: Uint8Array, durable: boolean): Promise<void> {
  const file = await open(aside, 'wx', 0o600)
  try {
    await writeAt(file, bytes, 0)
    if (durable) await syncFile(file, 'datasync')
  } finally {
    await file.close()
  }
}

/**
 * Gives the file `aside` the name `path`: link() is the one call that is atomic and refuses a taken name; rename() replaces it.
 */
async function create(aside: string, path: string, key: string): Promise<void> {
  try {
    await link(aside, path)
  } catch (error) {
    if (NO_HARD_LINKS.has(codeOf(error))) return createByClaim(aside, path, key)
    if (codeOf(error) !== 'EEXIST') throw error
    // NFS asks again when an answer got lost, and then finds the name taken, by this very file.
    if ((await lstat(aside)).nlink < 2) throw new StoreConflictError(key)
  }
}

/**
 * The same without hard links. Opening `path` exclusively would show readers an empty object, so the exclusive file is
 * another one, the claim; its holder alone may look whether `path` is free and rename to it.
 */
async function createByClaim(aside: string, path: string, key: string): Promise<void> {
  const claim = join(dirname(path), `${TEMPORARY}claim-${basename(path)}`)
  try {
    await (await open(claim, 'wx', 0o600)).close()
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
    if ((await ageOf(claim)) < STALE_CLAIM_MS) throw new StoreConflictError(key)
  }
  try {
    if (await lstat(path).catch(ifAbsent)) throw new StoreConflictError(key)
    await rename(aside, path)
  } finally {
    await unlink(claim).catch(() => {})
  }
}

/** Makes the name of a new object durable. Without that it is removed, so that the same key can be tried again. */
async function syncCreated(path: string, top: string): Promise<void> {
  try {
    await syncFolders(dirname(path), top)
  } catch (error) {
    await unlink(path).catch(() => {})
    throw error
  }
}

async function readRange(path: string, range: ByteRange | undefined): Promise<Uint8Array | undefined> {
  // O_NONBLOCK: opening a planted FIFO would wait for its writer.
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(ifAbsent)
  if (!file) return undefined
  try {
    const stat = await file.stat()
    if (!stat.isFile()) return undefined
    const { start, length } = cutRange(stat.size, range)
    if (length > MAX_OBJECT_BYTES) {
      throw systemError('EFBIG', `Cannot read '${path}': expected at most ${MAX_OBJECT_BYTES} bytes, got ${length}`)
    }
    // Not from Buffer's pool: the caller may transfer it.
    const bytes = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer)
    const filled = await fill(file, bytes, start)
    return filled < length ? bytes.subarray(0, filled) : bytes
  } finally {
    await file.close()
  }
}

/**
 * Reads into `bytes` from `position` on, without one from where the last read ended. How many there were: fewer where the file
 * ends.
 */
export async function fill(file: FileHandle, bytes: Uint8Array, position?: number): Promise<number> {
  let filled = 0
  while (filled < bytes.length) {
    const from = position === undefined ? null : position + filled
    const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, from)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return filled
}

function ifTaken(key: string): (error: unknown) => never {
  return (error) => {
    throw codeOf(error) === 'EEXIST' ? new StoreConflictError(key) : error
  }
}
