import type { EngineRunOptions } from '../engine/engine.ts'
import type { ResolvedOptions } from '../options/options.ts'
import { loadHere, type ResolvedTask } from '../task/resolve-task.ts'
import type { TaskFunction } from '../types.ts'

/** What an engine is told of a task and of the options it runs with, in a run or a plan. `own`: what else it is set up with. */
export function setUp<T, R>(
  task: ResolvedTask<T, R>,
  { shared, seed, timeout, drainTimeout }: ResolvedOptions<T>,
  own: Pick<EngineRunOptions['setup'], 'runId' | 'keepsShared' | 'record' | 'jsonResults'>,
): Pick<EngineRunOptions, 'setup' | 'load' | 'timeout' | 'drainTimeout'> {
  return {
    setup: { ...own, task: task.spec, shared, seed, timed: timeout !== undefined },
    load: () => loadHere(task) as Promise<TaskFunction<unknown, unknown>>,
    timeout,
    drainTimeout,
  }
}
