import { createHash } from 'node:crypto'
import { existsSync, readlinkSync, realpathSync } from 'node:fs'
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'

/** TASK of the command line: a module and, after `#`, the name of its export. */
export interface TaskPath {
  /** Relative to the working directory with `/` when it lies within it, else absolute. */
  readonly module: string
  readonly export?: string
}

/** `file.js` or `file.js#name`; a file that has the `#` in its name is itself. */
export function parseTask(text: string): TaskPath {
  const at = text.lastIndexOf('#')
  if (at <= 0 || existsSync(text)) return { module: toProjectPath(text) }
  return { module: toProjectPath(text.slice(0, at)), export: text.slice(at + 1) }
}

export function formatTask(task: TaskPath): string {
  return task.export === undefined ? task.module : `${task.module}#${task.export}`
}

/** `path` relative to the working directory, with `/`, when it lies within it (`.` for itself); else absolute. */
export function toProjectPath(path: string): string {
  const short = relative(process.cwd(), resolve(path))
  return isOutside(short) ? resolve(path) : short.split(sep).join('/') || '.'
}

/** True when `path`, symbolic links followed, lies within the working directory. */
export function isInProject(path: string): boolean {
  return !isOutside(relative(toRealPath(process.cwd()), toRealPath(path)))
}

/** Links that lead from one to the next at most, as on Linux. */
export const MAX_LINKS = 40

/** The real path of what is there, symbolic links followed, also one to what is not there yet, with that behind it. */
export function toRealPath(given: string, links = MAX_LINKS): string {
  const path = resolve(given)
  try {
    if (isThere(path)) return realpathSync.native(path)
  } catch {
    // A link to what has no path, as /dev/stdout is to a pipe, has no more of one than its own.
  }
  const parent = dirname(path)
  const target = isThere(path) || links === 0 ? undefined : linkAt(path)
  if (target !== undefined) return toRealPath(resolve(toRealPath(parent, links), target), links - 1)
  return parent === path ? path : join(toRealPath(parent, links), basename(path))
}

/** Whether there is something; false, too, where nobody may look, under Node's permission model. */
export function isThere(path: string): boolean {
  try {
    return existsSync(path)
  } catch {
    return false
  }
}

/** Where a symbolic link leads; undefined of what is none. */
export function linkAt(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}

/** The run id of task and input: stable from day to day, and readable, `census-1f0c…`. */
export function deriveRunName(task: TaskPath, input: string): string {
  const name = task.export && task.export !== 'default' ? task.export : basename(task.module).replace(/\.[^.]+$/, '')
  const readable = name
    .replace(/[^\w-]+/g, '-')
    .replace(/^-+/, '') // Else it would stand where a flag is looked for.
    .slice(0, 40)
  const hash = createHash('sha256')
    .update(JSON.stringify([task.module, task.export ?? 'default', input]))
    .digest('hex')
  return `${readable || 'run'}-${hash.slice(0, 10)}`
}

function isOutside(path: string): boolean {
  return path === '..' || path.startsWith(`..${sep}`) || isAbsolute(path)
}
