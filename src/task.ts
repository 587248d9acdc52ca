import { InvalidOptionError, isPawlError, TaskLoadError } from './errors.ts'
import { explainExport, explainImport } from './load-fault.ts'
import type { TaskFunction } from './types.ts'

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
  readonly [TASK]: true
  /** URL of the module that defines it. */
  readonly module: string
  /** Its place among the tasks of that module, from 0. */
  readonly ordinal: number
  /** The function itself. */
  readonly run: TaskFunction<T, R, S>
}

/** `shared` is between the task and the option of that name: nothing but any is assignable both ways. */
// biome-ignore lint/suspicious/noExplicitAny: see above.
type AnyShared = any

/** Everything `execute` takes as a task. */
export type TaskRef<T = unknown, R = unknown> =
  | Task<T, R, AnyShared>
  | TaskFunction<T, R, AnyShared>
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
      /** The module is the program itself. Only the main thread can tell: in a worker, the file that was given to `node` is the worker's. */
      readonly isProgram?: boolean
    }
  | { readonly kind: 'inline'; readonly source: string }

/**
 * Makes a task of `run`. Export it from the module whose `import.meta.url` is given, as default or by name: workers
 * import that module and take the task from it.
 *
 * @throws InvalidOptionError when `url` is not the URL of a module or `run` is not a function.
 */
export function defineTask<T, R, S = unknown>(url: string, run: TaskFunction<T, R, S>): Task<T, R, S> {
  if (typeof url !== 'string' || !URL.canParse(url)) throw new InvalidOptionError('url', 'import.meta.url', url)
  if (typeof run !== 'function') throw new InvalidOptionError('run', 'a function', run)
  const siblings = defined.get(url) ?? []
  const task: Task<T, R, S> = Object.freeze({ [TASK]: true as const, module: url, ordinal: siblings.length, run })
  defined.set(url, [...siblings, task as unknown as Task<never, unknown, never>])
  return task
}

/**
 * Loads the function of a task: in a worker, or on the main thread for an inline run.
 *
 * @throws TaskLoadError with the cause, whatever went wrong.
 */
export async function loadTask(spec: TaskSpec): Promise<TaskFunction<unknown, unknown>> {
  if (spec.kind === 'inline') return loadInline(spec.source)
  const namespace = await importModule(spec.url)
  const found = spec.export !== undefined ? pick(namespace, spec.export) : defined.get(spec.url)?.[spec.ordinal ?? 0]
  const run = isTask(found) ? found.run : found
  if (typeof run === 'function') return run as TaskFunction<unknown, unknown>
  const names = Object.keys(namespace).filter((name) => typeof namespace[name] === 'function' || isTask(namespace[name]))
  throw explainExport(spec.url, spec.export ?? String(spec.ordinal ?? 0), found, names)
}

/** The export, also of a CommonJS module whose names the loader did not see, or that was compiled from an ES module with a default export. */
function pick(namespace: Record<string, unknown>, name: string): unknown {
  const whole = namespace.default
  const isNested = typeof whole === 'object' && whole !== null && Object.hasOwn(whole, name)
  if (isNested && (name === 'default' || !Object.hasOwn(namespace, name))) return (whole as Record<string, unknown>)[name]
  return Object.hasOwn(namespace, name) ? namespace[name] : undefined
}

async function importModule(url: string): Promise<Record<string, unknown>> {
  try {
    return await import(url)
  } catch (error) {
    throw isPawlError(error, 'ERR_PAWL_TASK_LOAD') ? error : explainImport(url, error)
  }
}

/** A data: module needs no eval, is strict, and sees nothing but the globals. */
async function loadInline(source: string): Promise<TaskFunction<unknown, unknown>> {
  const toModule = (expression: string) => `data:text/javascript,${encodeURIComponent(`export default ${expression}`)}`
  let cause: unknown
  for (const expression of [`(${source})`, `Object.values({ ${source} })[0]`]) {
    try {
      const namespace = (await import(toModule(expression))) as { default: TaskFunction<unknown, unknown> }
      return explainMissingNames(namespace.default)
    } catch (error) {
      cause ??= error
    }
  }
  throw new TaskLoadError(
    'Cannot send the inline function to a worker: expected source that stands on its own, got ' +
      `${(cause as Error).message}. Put it into a module with defineTask(import.meta.url, …)`,
    { cause },
  )
}

/** An inline function that names something outside itself gets a ReferenceError that says what to do. */
function explainMissingNames(run: TaskFunction<unknown, unknown>): TaskFunction<unknown, unknown> {
  const explain = (error: unknown): never => {
    if (error instanceof ReferenceError && !error.message.includes('defineTask')) {
      error.message +=
        ': an inline function is sent to the worker as source and sees nothing outside itself. ' +
        "Put it into a module with defineTask(import.meta.url, …), or hand it data by the 'shared' option"
      error.stack = `ReferenceError: ${error.message}\n${(error.stack ?? '').split('\n').slice(1).join('\n')}`
    }
    throw error
  }
  return (item, context) => {
    try {
      const value = run(item, context)
      return value instanceof Promise ? value.catch(explain) : value
    } catch (error) {
      return explain(error)
    }
  }
}

export function isTask<T, R>(value: unknown): value is Task<T, R, never> & Task<T, R> {
  return typeof value === 'object' && value !== null && TASK in value
}
