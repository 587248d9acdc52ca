import { fileURLToPath } from 'node:url'

/** True for what a store of files can be given as its directory: a path, or a file: URL. */
export function isDirectory(value: unknown): value is string | URL {
  return typeof value === 'string' || (value instanceof URL && value.protocol === 'file:')
}

/** Its path. The string of a file: URL, as `import.meta.resolve` gives it, is one, too. */
export function pathOfDirectory(directory: string | URL): string {
  return directory instanceof URL || directory.startsWith('file://') ? fileURLToPath(directory) : directory
}
