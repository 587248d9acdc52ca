import { AsyncLocalStorage } from 'node:async_hooks'
import { TaskLoadError } from '../errors.ts'
import { loadTask, type TaskSpec } from '../task.ts'
import type { TaskFunction } from '../types.ts'

/**
 * A task may live in the program's own file. A worker that imports it starts the whole program again, which reaches
 * `execute` again. That call belongs to nobody, so `execute` asks `callsAgain` and, told so, never settles, and the
 * worker reports a TaskLoadError that names the cure.
 */
interface WorkerState {
  /** Set while a module is loaded: called when the module reaches `execute`. */
  reached: (() => void) | undefined
  imports: AsyncLocalStorage<true> | undefined
}

const STATE = Symbol.for('pawl.worker')
const registry = globalThis as { [key: symbol]: unknown }

const stateOf = () => registry[STATE] as WorkerState | undefined

/** True in a worker thread of pawl: `execute` inside a task. */
export const isInsideWorker = (): boolean => stateOf() !== undefined

/** True when a worker reached `execute` because it imported a module, not because a task called it. Reports it. */
export function callsAgain(): boolean {
  const state = stateOf()
  if (!state?.reached) return false
  if (state.imports && !state.imports.getStore()) return false
  state.reached()
  return true
}

/**
 * Loads the task in a worker.
 *
 * @throws TaskLoadError. `late` is called with one when the module reaches `execute` only after it was loaded.
 */
export async function loadTaskInWorker(
  spec: TaskSpec,
  late: (error: TaskLoadError) => void,
): Promise<TaskFunction<unknown, unknown>> {
  const isOwnFile = spec.kind === 'module' && spec.isProgram
  // Following asynchronous calls costs every promise something, so it is done for the program's own file only.
  const imports = isOwnFile ? new AsyncLocalStorage<true>() : undefined
  const state = openState()
  state.imports = imports
  const reached = new Promise<never>((_, reject) => {
    state.reached = () => {
      const error = reachedAgain(spec)
      reject(error)
      late(error)
    }
  })
  reached.catch(() => {})
  const load = () => Promise.race([loadTask(spec), reached])
  const run = await (imports ? imports.run(true, load) : load())
  if (!imports) state.reached = undefined
  return imports ? (item, context) => imports.exit(() => run(item, context)) : run
}

/** Put in place before the first task is loaded, and only filled from then on: a task may freeze `globalThis`. */
function openState(): WorkerState {
  const state = stateOf() ?? { reached: undefined, imports: undefined }
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
