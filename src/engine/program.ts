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
interface WorkerState extends Import {
  /** Since such a module was first loaded: whatever follows from the import of which. */
  imports: AsyncLocalStorage<Import> | undefined
  /** Those modules, by URL. */
  readonly modules: { [url: string]: Import | undefined }
  /** How many ports keep the thread busy by themselves; files that are still read for a checkpoint do not count. */
  readonly busyBefore: number
}

interface Import {
  /** Called when it reaches `execute`: the state itself while a module of another kind is loaded. */
  reached: (() => void) | undefined
  /** Nothing follows any more. */
  isOver?: boolean
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
  const state = stateOf()
  const module = state?.imports?.getStore()
  const reached = (module && !module.isOver ? module : state)?.reached // What was bound to an import may be called long after it.
  reached?.()
  return reached !== undefined
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
  const { isProgram = false, isCaller = false } = spec.kind === 'module' ? spec : {}
  // Following asynchronous calls costs every promise something, so it is done for such modules only, and of those that need not be
  // programs as long as something seems to follow.
  const module = spec.kind === 'module' && (isProgram || isCaller) ? moduleOf(state, spec.url, onReached) : undefined
  if (!module) state.reached = onReached
  state.imports ??= module && new AsyncLocalStorage()
  const imports = module?.isOver ? undefined : state.imports
  const waits = module && imports && !isProgram ? noteWaits(module, imports) : undefined
  try {
    const run = await Promise.race([module && imports ? imports.run(module, importTask) : importTask(), reached])
    isLoaded = true
    if (!module || !imports || !waits) return run
    await setImmediate() // What waits for nothing is over in a turn.
    if (waits.isAny() || countBusy() > state.busyBefore) return run
    module.isOver = true
    if (areOver(state)) imports.disable() // Of others nothing could be told by it any more.
    return run
  } finally {
    waits?.close()
  }
}

/**
 * Notes where what follows from the import of `module` waits for a promise, until it went on: for a job of zlib, crypto or
 * WebAssembly, say, which does not show in `countBusy`.
 */
function noteWaits(module: Import, imports: AsyncLocalStorage<Import>) {
  const left: { [id: number]: true } = Object.create(null)
  const init = (id: number, type: string, trigger: number) => {
    // One that follows upon another. An ES module that awaits leaves one behind that does not, and that never settles.
    if (type === 'PROMISE' && trigger !== executionAsyncId() && imports.getStore() === module) left[id] = true
  }
  const wentOn = (id: number) => void delete left[id]
  const hook = createHook({ init, after: wentOn, promiseResolve: wentOn }).enable()
  const isAny = () => {
    for (const _ in left) return true
    return false
  }
  return { isAny, close: () => hook.disable() }
}

/** Whether nothing follows any more from the import of any such module. */
function areOver({ modules }: WorkerState): boolean {
  for (const url in modules) if (!modules[url]?.isOver) return false
  return true
}

/** Timers, requests, sockets and the like that keep this thread from its end. */
const countBusy = () => process.getActiveResourcesInfo().length

/** A thread imports the file once, so for later runs what followed from that import is still to be known by the same mark. */
function moduleOf({ modules }: WorkerState, url: string, reached: () => void): Import {
  const module = modules[url] ?? { reached }
  module.reached = reached
  modules[url] = module
  return module
}

/** Put in place before the first task is loaded, and only filled from then on: a task may freeze `globalThis`. */
function openState(): WorkerState {
  const state: WorkerState = stateOf() ?? {
    reached: undefined,
    imports: undefined,
    modules: Object.create(null) as WorkerState['modules'],
    busyBefore: process.getActiveResourcesInfo().filter((it) => it === 'MessagePort').length,
  }
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
