import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { InvalidOptionError } from '../errors.ts'

/** True for what a store of files can be given as its directory: a path, or a file: URL. */
export function isDirectory(value: unknown): value is string | URL {
  return typeof value === 'string' || (value instanceof URL && value.protocol === 'file:')
}

/**
 * Its path. The string of a file: URL, as `import.meta.resolve` gives it, is one, too.
 *
 * @throws InvalidOptionError for anything else, and for a URL that names no file of this machine: in `file://runs` that is the
 * name of another.
 */
export function pathOfDirectory(directory: string | URL): string {
  const isText = typeof directory === 'string'
  if (isText && directory !== '' && !directory.startsWith('file://')) return directory
  try {
    return fileURLToPath(directory) // Of an empty text it says that it is no URL.
  } catch (cause) {
    const got = directory instanceof URL ? String(directory) : directory
    throw new InvalidOptionError('checkpoint', 'a path, or a file: URL of a directory on this machine', got, { cause })
  }
}

/**
 * The path as it is from now on, wherever the program goes.
 *
 * @throws InvalidOptionError where it counts from a working directory that was deleted.
 */
export function wholePathOf(directory: string | URL): string {
  const path = pathOfDirectory(directory)
  try {
    return resolve(path)
  } catch (cause) {
    const advice = '. Go to a directory that stays, by process.chdir()'
    throw new InvalidOptionError('checkpoint', 'a whole path, as the working directory was deleted', path, { cause, advice })
  }
}
