import { CheckpointWriteError, isPawlError } from '../errors.ts'
import type { Report, Stats } from '../types.ts'
import { wordedWarning, wordsIn } from '../wording.ts'
import type { Journey, Run } from './journey.ts'

/**
 * The report of a run that has ended.
 *
 * @throws the error that ended it, with the report as `report`.
 */
export function finish<T, R>(run: Run<T, R>, journey: Journey<T, R>): Report<R, T> {
  const { collector, planner, runId } = journey
  const { counts: settled } = collector
  collector.finish()
  const total = journey.selected.total
  const isComplete = total !== undefined && settled.succeeded + settled.failed === total
  const plan = planner.describe(journey.pending)
  const report: Report<R, T> = {
    runId,
    status: isComplete ? 'complete' : 'partial',
    results: collector.results,
    failures: collector.failures,
    plan,
    stats: countUp(journey, total ?? settled.succeeded + settled.failed, run.clock.now() - run.began, plan.workers),
  }
  const excess = collector.excess()
  const ended = run.drain.error()
  // A breaker that opens for the last time with the last outcome there is has nothing to hold back.
  const isFatal = run.drain.isFatal && !(isComplete && isPawlError(ended, 'ERR_PAWL_CIRCUIT_OPEN'))
  const error = (isFatal && ended) || excess || (isComplete ? undefined : ended)
  if (!error) return report
  // To make room, and run it again, is not all there is to do.
  if (excess && error instanceof CheckpointWriteError) run.emitter.emit('warning', wordedWarning('RUN_FAILED', wordsIn(excess)))
  throw Object.assign(error, { report })
}

function countUp(journey: Journey<unknown, unknown>, items: number, wallTime: number, workers: number): Stats {
  const { collector, session, counts } = journey
  const { succeeded, failed, restored, dispatched } = collector.counts
  return {
    items,
    dispatched: dispatched + collector.triedInVain,
    restored,
    succeeded,
    failed,
    attempts: counts.attempts,
    retries: counts.retries,
    crashes: counts.crashes,
    timeouts: counts.timeouts,
    chunks: counts.chunks,
    checkpoints: session?.stats.checkpoints ?? 0,
    bytesWritten: session?.stats.bytesWritten ?? 0,
    damaged: session?.restored.damaged ?? 0,
    conflicts: session?.restored.conflicts ?? 0,
    wallTime,
    taskTime: counts.taskTime,
    utilization: wallTime > 0 ? Math.min(1, counts.taskTime / (workers * wallTime)) : 0,
  }
}
