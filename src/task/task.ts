import { createRequire } from 'node:module'
import { isAbsolute } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { types } from 'node:util'
import { InvalidOptionError, isPawlError } from '../errors.ts'
import type { AnyShared, TaskFunction } from '../types.ts'
import { loadInline } from './inline-function.ts'
import { explainExport, explainImport, explainOrdinal, unknownExtension } from './load-fault.ts'

const TASK = Symbol.for('pawl.task')

/** All tasks that modules of this thread defined, by module. On globalThis: a program may hold two copies of pawl. */
const defined: Map<string, Task<never, unknown, never>[]> = (() => {
  const registry = globalThis as { [key: symbol]: unknown }
  const name = Symbol.for('pawl.tasks')
  registry[name] ??= new Map()
  return registry[name] as Map<string, Task<never, unknown, never>[]>
})()

/** A task that knows its module, so that a worker can load it. Made by `defineTask`. */
export interface Task<T = unknown, R = unknown, S = unknown> {
  /** Optional to the compiler only, to which a Task of another copy of pawl would be none. */
  readonly [TASK]?: true
  /** URL of the module that defines it. */
  readonly module: string
  /** Its place among the tasks of that module, from 0. */
  readonly ordinal: number
  /** The function itself. */
  readonly run: TaskFunction<T, R, S>
}

/** Everything `execute` takes as a task. */
export type TaskRef<T = unknown, R = unknown, S = AnyShared> =
  | Task<T, R, S>
  | TaskFunction<T, R, S>
  | URL
  | string
  | { readonly module: URL | string; readonly export?: string | undefined }

/** What a worker is told about a task: only data. */
export type TaskSpec =
  | {
      readonly kind: 'module'
      readonly url: string
      readonly export: string | undefined
      readonly ordinal: number | undefined
      /**
       * The module is the program itself. Only the main thread can tell: in a worker, the file that was given to `node` is the
       * worker's.
       */
      readonly isProgram?: boolean
      /** The module called for a run before, and so may do so again where it is imported. */
      readonly isCaller?: boolean
    }
  | { readonly kind: 'inline'; readonly source: string }

/**
 * Makes a task of `run`. Export it from the module whose `import.meta.url`, or in CommonJS `__filename`, is given, as default or
 * by name: workers import that module and take the task from it.
 *
 * @throws InvalidOptionError when `module` is not the URL or the absolute path of a module or `run` is not a function.
 */
export function defineTask<T, R, S = unknown>(module: string | URL, run: TaskFunction<T, R, S>): Task<T, R, S> {
  const url = urlOf(module)
  if (typeof run !== 'function') throw new InvalidOptionError('run', 'a function', run)
  const siblings = defined.get(url) ?? []
  const task: Task<T, R, S> = Object.freeze({ [TASK]: true as const, module: url, ordinal: siblings.length, run })
  defined.set(url, [...siblings, task as unknown as Task<never, unknown, never>])
  return task
}

function urlOf(module: unknown): string {
  if (module instanceof URL) return module.href
  if (typeof module === 'string' && isAbsolute(module)) return pathToFileURL(module).href
  if (typeof module === 'string' && URL.canParse(module)) return module
  throw new InvalidOptionError('url', 'import.meta.url, or in CommonJS pathToFileURL(__filename)', module)
}

/**
 * Loads the function of a task: in a worker, or on the main thread for an inline run.
 *
 * @throws TaskLoadError with the cause, whatever went wrong.
 */
export async function loadTask(spec: TaskSpec): Promise<TaskFunction<unknown, unknown>> {
  if (spec.kind === 'inline') return loadInline(spec.source)
  const namespace = await importModule(spec.url)
  const ordinal = spec.ordinal ?? 0
  const siblings = defined.get(spec.url) ?? []
  const found = spec.export !== undefined ? pick(namespace, spec.export) : siblings[ordinal]
  const run = isTask(found) ? found.run : found
  if (typeof run === 'function') return run as TaskFunction<unknown, unknown>
  const names = Object.keys(namespace).filter((name) => typeof namespace[name] === 'function' || isTask(namespace[name]))
  throw spec.export !== undefined
    ? explainExport(spec.url, spec.export, found, names)
    : explainOrdinal(spec.url, ordinal, siblings.length, names)
}

/**
 * The export, also of a CommonJS module whose names the loader did not see, or that was compiled from an ES module with a default
 * export.
 */
function pick(namespace: Record<string, unknown>, name: string): unknown {
  const whole = namespace.default
  const isNested = typeof whole === 'object' && whole !== null && Object.hasOwn(whole, name)
  if (isNested && (name === 'default' || !Object.hasOwn(namespace, name))) return (whole as Record<string, unknown>)[name]
  return Object.hasOwn(namespace, name) ? namespace[name] : undefined
}

/**
 * What the module exports.
 *
 * @throws TaskLoadError with the cause, whatever went wrong.
 */
export async function importModule(url: string): Promise<Record<string, unknown>> {
  try {
    return await importOrRequire(url)
  } catch (error) {
    throw isPawlError(error, 'ERR_PAWL_TASK_LOAD') ? error : explainImport(url, error)
  }
}

/** What has a hook for `require` only, as TypeScript has by tsx in the threads of Node 20, is required. */
async function importOrRequire(url: string): Promise<Record<string, unknown>> {
  try {
    return await import(/* webpackIgnore: true */ url)
  } catch (error) {
    const extension = unknownExtension(error)
    if (extension === undefined || !url.startsWith('file:')) throw error
    const require = createRequire(url)
    if (!Object.hasOwn(require.extensions, extension)) throw error
    const exported = require(fileURLToPath(url))
    return exported?.__esModule || types.isModuleNamespaceObject(exported) ? exported : { ...exported, default: exported }
  }
}

/**
 * The task as it is now: what the program does with `{ module, export }` later, say for its next run, changes nothing. To be
 * called by what the program calls, at once: which of its files do so shows only then.
 */
export function takeTask<F>(ref: F): F {
  for (const file of filesOnStack()) callers.add(file)
  return typeof ref === 'object' && ref !== null && 'module' in ref && !isTask(ref) ? { ...ref } : ref
}

export function isTask<T, R>(value: unknown): value is Task<T, R, never> & Task<T, R> {
  return typeof value === 'object' && value !== null && TASK in value
}

/** Files of the program that called for a run, by URL or, of CommonJS, by path. */
const callers = new Set<string>()

/** Whether the module at `url`, of a file, called for a run before: it may do so again where it is imported. */
export function isCaller(url: string): boolean {
  return callers.has(url) || callers.has(fileURLToPath(url))
}

/** Frames that are looked at, however few of them the program wants to see in its errors. */
const MAX_FRAMES = 50

/**
 * The files of the functions that called `takeTask`. V8 is asked for them and not for a text, which would cost more, and tell of
 * other files where source maps are read. None where a program has frozen what it takes to ask.
 */
function filesOnStack(): readonly string[] {
  const { prepareStackTrace, stackTraceLimit } = Error
  const asked: { stack?: unknown } = {}
  try {
    Error.prepareStackTrace = (_, sites) => sites.flatMap((site) => site.getFileName() ?? [])
    try {
      Error.stackTraceLimit = MAX_FRAMES
      Error.captureStackTrace(asked, takeTask)
      return Array.isArray(asked.stack) ? asked.stack : []
    } finally {
      Error.prepareStackTrace = prepareStackTrace
      Error.stackTraceLimit = stackTraceLimit
    }
  } catch {
    return []
  }
}
