import type { Stats } from 'node:fs'
import { lstat, mkdir, open, readdir, rmdir, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { InvalidOptionError } from '../errors.ts'
import { codeOf, DENIED, ifAbsent, nameError, systemError } from './errno.ts'
import { isRefused } from './refused.ts'
import { KEY, type StoredObject } from './store.ts'
import { syncFile } from './sync-file.ts'

/** Begins the names of files that are no objects (yet). KEY allows no leading dot, so they are never listed or read. */
export const TEMPORARY = '.tmp-'

/** Age in ms from which a temporary file counts as left by a crash. Its writer, if it lives after all, writes it again. */
const LEFTOVER_MS = 3_600_000

/** How often a folder that another process found empty and removed is made again before the error is shown. */
const MAX_TRIES = 5

/**
 * What a system or file system says that cannot sync this directory, or us of all users: nothing more can be done. What Node's
 * permission model denies is the directory above the store, in which, then, we made nothing: `makeFolders` looks at it before.
 */
const CANNOT_SYNC = new Set([DENIED, 'EACCES', 'EPERM', 'EISDIR', 'EINVAL', 'ENOTSUP'])

/** The folders between `root` and the object at `path`, deepest first, without `root` itself. */
export function foldersOf(root: string, path: string): string[] {
  const folders: string[] = []
  for (let folder = dirname(path); folder !== root; folder = dirname(folder)) folders.push(folder)
  return folders
}

/** A folder that leads from `root` to an object, and what there is in its place. */
interface Above {
  readonly folder: string
  readonly found: Stats | undefined
}

/** The folders that lead from `root` to `path`, deepest first. */
function lookAbove(root: string, path: string): Promise<Above[]> {
  return Promise.all(foldersOf(root, path).map(async (folder) => ({ folder, found: await lstat(folder).catch(ifAbsent) })))
}

/** A symbolic link among the folders that lead from `root` to `path`, if there is one. */
export async function linkAbove(root: string, path: string): Promise<string | undefined> {
  return findLink(await lookAbove(root, path))
}

function findLink(above: readonly Above[]): string | undefined {
  return above.find(({ found }) => found?.isSymbolicLink())?.folder
}

/**
 * Makes the folder of `path` and calls `fill` with it, with the topmost directory that may have a new entry, and with whether
 * the folder was made for it. All again when the folder is gone meanwhile: `delete` in another process removes folders that it
 * finds empty.
 */
export async function inFolder<V>(
  root: string,
  path: string,
  fill: (folder: string, top: string, isNew: boolean) => Promise<V>,
): Promise<V> {
  for (let tries = 1; ; tries++) {
    const above = await lookAbove(root, path)
    refuseLinks(above)
    try {
      const folder = dirname(path)
      const made = await makeFolders(root, above)
      // Another writer may have made `root` and not have synced its name yet, so the directory above is always the least.
      return await fill(folder, dirname(made !== undefined && made.length < root.length ? made : root), made !== undefined)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' || tries === MAX_TRIES) throw explainNoPlace(error as NodeJS.ErrnoException, root)
    }
  }
}

/**
 * Makes what is missing of the folders `above`, of `root` and of those above that, and gives the topmost that it made. One by
 * one: with `recursive`, Node 20 asks for ever where the system says ENOENT of a folder whose parent is there, as below /proc.
 */
async function makeFolders(root: string, above: readonly Above[]): Promise<string | undefined> {
  const there = above.findIndex(({ found }) => found?.isDirectory())
  const missing = above.slice(0, there === -1 ? above.length : there).map(({ folder }) => folder)
  if (there === -1)
    for (let next = root; !(await isFolder(next)) && next !== dirname(next); next = dirname(next)) missing.push(next)
  let top: string | undefined
  for (const next of missing.reverse()) {
    try {
      await mkdir(next, { mode: 0o700 })
      top ??= next
    } catch (error) {
      // Another process may have made it.
      if (codeOf(error) !== 'EEXIST' || !(await isFolder(next))) throw error
    }
  }
  return top
}

/** Follows symbolic links: the way to the store may have some. */
async function isFolder(path: string): Promise<boolean> {
  const found = await stat(path).catch(ifAbsent)
  return found?.isDirectory() ?? false
}

/** What the system says where no folder can be: in the place of a file, or in a file system that is not for files. */
const NO_PLACE = new Set(['ENOTDIR', 'EEXIST', 'ENOENT', 'ENAMETOOLONG'])

/** Of a `root` that can never be made there is more to say than the system does; any other error is given as it is. */
function explainNoPlace(error: NodeJS.ErrnoException, root: string): Error {
  const { syscall, code = '', path = root } = error
  if (syscall !== 'mkdir' || !NO_PLACE.has(code) || path.length > root.length) return error
  return noPlace(path, code === 'EEXIST' ? 'there is something else in its place' : `the system says ${code}`)
}

function noPlace(path: string, why: string): InvalidOptionError {
  return new InvalidOptionError('checkpoint', `a directory, or a path where one can be made (${why})`, path)
}

/** For when nothing was found: there may be something at `root` that holds nothing, and never will. */
export async function refuseOther(root: string): Promise<void> {
  const found = await stat(root).catch(ifAbsent)
  if (found !== undefined && !found.isDirectory()) throw noPlace(root, 'there is something else in its place')
}

function refuseLinks(above: readonly Above[]): void {
  const planted = findLink(above)
  if (planted === undefined) return
  throw systemError('ELOOP', `Cannot write below '${planted}': expected a directory, got a symbolic link. Remove it`)
}

/**
 * Makes the names in `folder`, and its own name, and so on up to the names in `top`, survive a power cut. That the
 * folders were there before does not mean that whoever made them has got this far.
 */
export async function syncFolders(folder: string, top: string): Promise<void> {
  const folders = [top]
  for (let next = folder; next !== top; next = dirname(next)) folders.push(next)
  await Promise.all(folders.map(syncFolder))
}

/** Makes the names in `folder` survive a power cut, where the system can. */
export async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r')
    try {
      await syncFile(handle, 'sync')
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (!CANNOT_SYNC.has(codeOf(error))) throw error
  }
}

/**
 * Adds to `found` every object under `folder` (`''` or ending in a slash) whose key starts with `prefix`, and to `refused` what
 * may not be read, with what the system says.
 */
export async function walk(
  root: string,
  folder: string,
  prefix: string,
  found: StoredObject[],
  refused: Map<string, unknown>,
): Promise<void> {
  const ifRefused = (key: string) => (error: unknown) => {
    if (!isRefused(error)) return ifAbsent(error)
    refused.set(key, nameError(error))
  }
  const names = (await readdir(join(root, folder)).catch(ifRefused(folder))) ?? []
  const keys = names.map((name) => folder + name).filter((key) => key.startsWith(prefix) && KEY.test(key))
  const folders: string[] = []
  await Promise.all(
    keys.map(async (key) => {
      const stat = await lstat(join(root, key)).catch(ifRefused(key))
      if (stat?.isFile()) found.push({ key, size: stat.size })
      else if (stat?.isDirectory()) folders.push(`${key}/`)
    }),
  )
  for (const each of folders) await walk(root, each, prefix, found, refused)
}

/** Removes what crashed writers left in `folder`. Nobody depends on it, so it never fails. */
export async function removeLeftovers(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => [])
  for (const path of names.filter((name) => name.startsWith(TEMPORARY)).map((name) => join(folder, name))) {
    if ((await ageOf(path).catch(() => 0)) > LEFTOVER_MS) await unlink(path).catch(() => {})
  }
}

/** Removes `folders` one after the other, up to the first that is not empty. */
export async function removeEmpty(folders: readonly string[]): Promise<void> {
  try {
    for (const folder of folders) await rmdir(folder)
  } catch {
    // Not empty, or gone: either way there is nothing more to remove.
  }
}

/** Milliseconds since the file at `path` was written. */
export async function ageOf(path: string): Promise<number> {
  return Date.now() - (await lstat(path)).mtimeMs
}
