import type { Engines } from '../engines.ts'
import type { ResolvedOptions } from '../options/options.ts'
import { createPlanner, type Planner } from '../plan/plan.ts'
import type { ResolvedTask } from '../task/resolve-task.ts'

/** The planner of a run, or of its plan, of `task` on `engines`. */
export function openPlanner(task: Pick<ResolvedTask, 'identity'>, options: ResolvedOptions<never>, engines: Engines): Planner {
  const { mode, timeout, resourceLimits, checkpoint, chunkSize } = options
  return createPlanner({
    task: `${task.identity.module}#${task.identity.export}`,
    mode,
    needsThreads: timeout !== undefined || resourceLimits !== undefined || checkpoint !== undefined,
    maxWorkers: engines.maxWorkers,
    chunkSize,
    interval: checkpoint?.interval,
    isThreadUp: () => engines.isUp,
    worked: engines.worked,
  })
}
