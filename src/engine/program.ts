import { AsyncLocalStorage, createHook, executionAsyncId } from 'node:async_hooks'
import { setImmediate } from 'node:timers/promises'
import { TaskLoadError } from '../errors.ts'
import { loadTask, type TaskSpec } from '../task/task.ts'
import type { TaskFunction } from '../types.ts'

/**
 * A task may live in the program's own file, or in one that this loads and that calls `execute` as well. A worker that imports it
 * starts the whole program again, which may reach `execute` again. That call belongs to nobody, so `execute` goes by
 * `unlessAgain`, before it does anything else, and never settles: to reject would end the thread of a program that does not expect
 * it. Where the import had not ended yet, it may wait for that call: the worker reports a TaskLoadError that names the cure. Later
 * the task is there, and its items run; then it is only told.
 */
interface WorkerState {
  /** Called when `execute` is reached while a module is loaded of which nothing is followed. */
  reached: (() => void) | undefined
  /** Of modules that may reach it later as well, by their URLs. */
  readonly imports: { [url: string]: Import | undefined }
}

interface Import {
  /** Holds true in whatever follows from it; undefined: nothing does any more. */
  mark: AsyncLocalStorage<true> | undefined
  /** Called when that reaches `execute`. */
  reached: () => void
}

/** Whom to tell that a module reached `execute` again. */
export interface ProgramEvents {
  /** While it was imported. */
  refused(error: TaskLoadError): void
  /** After that. */
  ranAgain(): void
}

const STATE = Symbol.for('pawl.worker')
const registry = globalThis as { [key: symbol]: unknown }

const stateOf = () => registry[STATE] as WorkerState | undefined

/** True in a worker thread of pawl: `execute` inside a task. */
export const isInsideWorker = (): boolean => stateOf() !== undefined

/**
 * What `start` gives, unless a worker is here because it imported the program, which it has reported: then nothing ever comes.
 */
export function unlessAgain<V>(start: () => Promise<V>): Promise<V> {
  return callsAgain() ? new Promise<never>(() => {}) : start()
}

/** True when a worker reached `execute` because it imported a module, not because a task called it. Reports it. */
function callsAgain(): boolean {
  const { reached, imports = {} } = stateOf() ?? {}
  const origin = Object.values(imports).find((it) => it?.mark?.getStore())
  const report = origin?.reached ?? reached
  report?.()
  return report !== undefined
}

/**
 * Loads the task in a worker.
 *
 * @throws TaskLoadError, of which `events` was told, too, when the module reaches `execute` before it is loaded.
 */
export async function loadTaskInWorker(spec: TaskSpec, events: ProgramEvents): Promise<TaskFunction<unknown, unknown>> {
  const state = openState()
  let isLoaded = false
  let onReached = () => {}
  const reached = new Promise<never>((_, reject) => {
    onReached = () => {
      if (isLoaded) return events.ranAgain()
      const error = reachedAgain(spec)
      reject(error)
      events.refused(error)
    }
  })
  reached.catch(() => {})
  const importTask = async () => {
    try {
      return await loadTask(spec)
    } finally {
      if (state.reached === onReached) state.reached = undefined // Also in vain: who calls `execute` now is a task of another run.
    }
  }
  // Following asynchronous calls costs every promise something, so it is done for such modules only, and of those that need not be
  // programs as long as something seems to follow.
  const { url, isProgram = false, isCaller = false } = spec.kind === 'module' ? spec : { url: '' }
  const isFirst = state.imports[url] === undefined
  const origin = isProgram || isCaller ? originOf(state, url, onReached) : undefined
  if (!origin) state.reached = onReached
  const mark = origin?.mark
  const waits = mark && isFirst && !isProgram ? noteWaits(mark) : undefined // Of a later load nothing begins that could be noted.
  try {
    const run = await Promise.race([mark ? mark.run(true, importTask) : importTask(), reached])
    isLoaded = true
    if (!waits || !mark || !origin) return run
    await setImmediate() // What waits for nothing is over in a turn.
    if (waits.isAny() || isBusy()) return run
    origin.mark = undefined
    mark.disable()
    return run
  } finally {
    waits?.close()
  }
}

/**
 * Notes where what follows from an import waits for a promise, until it went on: for a job of zlib, crypto or WebAssembly, say,
 * which `isBusy` does not see.
 */
function noteWaits(mark: AsyncLocalStorage<true>) {
  const left: { [id: number]: true } = Object.create(null)
  const init = (id: number, type: string, trigger: number) => {
    // One that follows upon another. An ES module that awaits leaves one behind that does not, and that never settles.
    if (type === 'PROMISE' && trigger !== executionAsyncId() && mark.getStore()) left[id] = true
  }
  const wentOn = (id: number) => void delete left[id]
  const hook = createHook({ init, after: wentOn, promiseResolve: wentOn }).enable()
  const isAny = () => {
    for (const _ in left) return true
    return false
  }
  return { isAny, close: () => hook.disable() }
}

/** Whether a timer, a request, a socket or the like keeps this thread from its end. Ports do so by themselves. */
const isBusy = () => process.getActiveResourcesInfo().some((it) => it !== 'MessagePort')

/** A thread imports a file once, so for later runs what follows from that import still has the same mark. */
function originOf({ imports }: WorkerState, url: string, reached: () => void): Import {
  const origin = imports[url] ?? { mark: new AsyncLocalStorage<true>(), reached }
  origin.reached = reached
  imports[url] = origin
  return origin
}

/** Put in place before the first task is loaded, and only filled from then on: a task may freeze `globalThis`. */
function openState(): WorkerState {
  const state: WorkerState = stateOf() ?? { reached: undefined, imports: Object.create(null) as WorkerState['imports'] }
  registry[STATE] ??= state
  return state
}

function reachedAgain(spec: TaskSpec): TaskLoadError {
  const where = spec.kind === 'module' ? spec.url : 'the inline function'
  return new TaskLoadError(
    `Cannot load task '${where}': expected a module that only defines tasks, got one that calls execute() again when a worker imports it. ` +
      "Move the task into a module of its own, or run the program's part under `if (isMainThread)` from 'node:worker_threads'",
  )
}
