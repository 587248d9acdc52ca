import { readFileSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { isAbsolute, relative, resolve, sep } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { inspect } from 'node:util'
import { InvalidOptionError, TaskLoadError } from '../errors.ts'
import { didYouMean } from '../nearest.ts'
import { createSha256 } from '../sha256.ts'
import { nameError } from '../store/errno.ts'
import { turn } from '../turn.ts'
import type { TaskFunction } from '../types.ts'
import { explainNoDirectory } from './load-fault.ts'
import { importModule, isCaller, isTask, loadTask, type Task, type TaskRef, type TaskSpec } from './task.ts'

/** A task found on the main thread. */
export interface ResolvedTask<T = unknown, R = unknown> {
  readonly spec: TaskSpec
  /** The function, when this thread has it already. */
  readonly run: TaskFunction<T, R> | undefined
  /** Who the task is, for the fingerprint. `module` is relative to the working directory, with `/`. */
  readonly identity: { readonly module: string; readonly export: string }
  /** SHA-256 of the task's file as it was when the task was resolved, in hex; null for an inline function. */
  digest(): string | null
  /** For messages. */
  readonly name: string
}

/**
 * Finds out what `ref` stands for, without loading a module that is not loaded yet.
 *
 * @throws InvalidOptionError for anything that is no TaskRef, TaskLoadError for a file that is not there.
 */
export async function resolveTask<T, R>(ref: TaskRef<T, R>): Promise<ResolvedTask<T, R>> {
  if (typeof ref === 'function') return resolveInline(ref)
  if (isTask<T, R>(ref)) {
    const name = await nameOfExport(ref)
    return describeModule({ kind: 'module', url: ref.module, export: name, ordinal: ref.ordinal }, ref.run)
  }
  if (typeof ref === 'string' || ref instanceof URL) return describeModule(specOf(ref, undefined), undefined)
  if (typeof ref === 'object' && ref !== null && 'module' in ref) {
    checkMembers(ref)
    return describeModule(specOf(ref.module, ref.export), undefined)
  }
  throw new InvalidOptionError('task', 'a task from defineTask(), a module (URL, path or { module, export }) or a function', ref)
}

const MEMBERS = ['module', 'export']

/** A name that is misspelt would run the default export in place of what was meant. */
function checkMembers(ref: object): void {
  for (const [name, value] of Object.entries(ref)) {
    if (MEMBERS.includes(name) || value === undefined) continue
    const advice = didYouMean(name, MEMBERS)
    throw new InvalidOptionError(`task.${name}`, `one of the known members (${MEMBERS.join(', ')})`, value, { advice })
  }
}

function specOf(module: URL | string, name: string | undefined): TaskSpec & { kind: 'module' } {
  if (name !== undefined && typeof name !== 'string') throw new InvalidOptionError('task.export', 'a string', name)
  if (!(module instanceof URL) && (typeof module !== 'string' || module === '')) {
    throw new InvalidOptionError('task.module', 'a URL or a path', module)
  }
  const text = String(module)
  if (text.includes('\0'))
    throw new TaskLoadError(`Cannot load task ${inspect(text)}: expected a path, got one with a null byte in it`)
  const isUrl = /^(file|data|node):/.test(text)
  if (!isUrl && (module instanceof URL || /^[a-z][a-z\d+.-]+:\/\//i.test(text))) {
    throw new InvalidOptionError('task', 'a path or a file: URL, since a worker loads the task from a file', text)
  }
  return {
    kind: 'module',
    url: isUrl ? text : pathToFileURL(isAbsolute(text) ? text : resolve(workingDirectory(), text)).href,
    export: name ?? 'default',
    ordinal: undefined,
  }
}

function describeModule<T, R>(given: TaskSpec & { kind: 'module' }, run: TaskFunction<T, R> | undefined): ResolvedTask<T, R> {
  const file = given.url.startsWith('file:') ? toPath(given.url) : undefined
  const spec = { ...given, ...(file === undefined ? {} : { isProgram: isProgram(given.url), isCaller: isCaller(given.url) }) }
  const module = file === undefined ? spec.url : relativeToProject(file)
  const name = spec.export ?? `task ${(spec.ordinal ?? 0) + 1}`
  let source: Buffer | undefined
  try {
    if (file !== undefined) source = readFileSync(file)
  } catch (error) {
    if (/[\\/]\[(eval\d*|stdin)\]$/.test(file ?? '')) throw inNoFile(module)
    const { message, code } = nameError(error) as NodeJS.ErrnoException
    const advice = code === 'ENOENT' ? `. A path is relative to the working directory, ${process.cwd()}` : ''
    throw new TaskLoadError(`Cannot load task '${module}': expected a file that can be read, got ${message}${advice}`, {
      cause: error,
    })
  }
  const digest = () => (source ? createSha256().update(source).digest('hex') : null)
  return { spec, run, identity: { module, export: name }, digest, name: name === 'default' ? module : `${module}#${name}` }
}

function inNoFile(module: string): TaskLoadError {
  return new TaskLoadError(
    `Cannot load task '${module}': expected a file, got code that node was given by -e or on its standard input, which no worker can load. ` +
      'Put the task into a file, or give an inline function',
  )
}

/** True for the file that was given to `node`. */
function isProgram(url: string): boolean {
  try {
    program ??= findProgram()
    return realpathSync(fileURLToPath(url)) === program
  } catch {
    return false
  }
}

/** Looked up once: to do so takes a tenth of a millisecond, and more where it is a folder. */
let program: string | undefined

/** It may be given without its extension, or by its folder, as in `node .`. Undefined where there is none, as in a REPL. */
function findProgram(): string | undefined {
  if (process.argv[1] === undefined) return undefined
  const given = resolve(process.argv[1])
  return realpathSync(createRequire(given).resolve(given))
}

function toPath(url: string): string {
  try {
    return fileURLToPath(url)
  } catch (error) {
    throw new TaskLoadError(`Cannot load task '${url}': expected the URL of a file, got ${(error as Error).message}`, {
      cause: error,
    })
  }
}

function relativeToProject(file: string): string {
  const path = relative(workingDirectory(), file)
  return (isAbsolute(path) ? file : path).split(sep).join('/') || '.'
}

function workingDirectory(): string {
  try {
    return process.cwd()
  } catch (error) {
    throw explainNoDirectory(error) ?? error
  }
}

/**
 * An inline function goes to the workers as source, so its identity is its source. It is an expression, or a method
 * in shorthand, which becomes an expression inside an object.
 */
function resolveInline<T, R>(run: TaskFunction<T, R>): ResolvedTask<T, R> {
  const source = Function.prototype.toString.call(run)
  if (/\{\s*\[native code\]\s*\}\s*$/.test(source)) {
    throw new TaskLoadError(
      'Cannot send the inline function to a worker: expected a function with source, got a native or bound one. ' +
        'Wrap it in an arrow function, or put it into a module with defineTask(import.meta.url, …)',
    )
  }
  const digest = createSha256().update(source).digest('hex').slice(0, 32)
  return {
    spec: { kind: 'inline', source },
    run: undefined,
    identity: { module: 'inline', export: digest },
    digest: () => null,
    name: run.name ? `inline function ${run.name}` : 'inline function',
  }
}

/**
 * The name under which a task's module exports it. Undefined when that cannot be known: the module is still being
 * evaluated, as the program's own file is while it awaits `execute`, and to import it now would wait for itself. Or Node cannot
 * import what a test runner, or a bundler, could: a worker will say so, and inline nothing need be imported.
 */
async function nameOfExport(task: Task<never, unknown, never>): Promise<string | undefined> {
  if (!task.module.startsWith('file:') || isProgram(task.module)) return undefined
  const namespace = await withoutWaitingForItself(importModule(task.module).catch(() => undefined))
  return Object.keys(namespace ?? {}).find((name) => namespace?.[name] === task)
}

/** How long a module that is loaded may take to say so, in ms; one that waits for us never does. */
const LOADED_MS = 1000

async function withoutWaitingForItself<V>(loaded: Promise<V>): Promise<V | undefined> {
  const over = new AbortController()
  const deadline = async () => {
    await sleep(LOADED_MS, undefined, { signal: over.signal })
    await turn() // When the event loop was blocked for so long, the answer may be waiting behind this timer.
    return undefined
  }
  try {
    return await Promise.race([loaded, deadline().catch(() => undefined)])
  } finally {
    over.abort()
  }
}

/**
 * The function of a task on the main thread, for an inline run.
 *
 * @throws TaskLoadError, also for the program's own file while it waits for this very run.
 */
export async function loadHere<T, R>(task: ResolvedTask<T, R>): Promise<TaskFunction<T, R>> {
  if (task.run) return task.run
  const loading = loadTask(task.spec)
  const isOwnFile = task.spec.kind === 'module' && task.spec.isProgram
  const run = isOwnFile ? await withoutWaitingForItself(loading) : await loading
  if (run) return run as TaskFunction<T, R>
  throw new TaskLoadError(
    `Cannot load task '${task.name}': expected a module that is loaded, got the program's own file, which waits for this run. ` +
      'Move the task into a module of its own, or give the task that defineTask() returned',
  )
}
