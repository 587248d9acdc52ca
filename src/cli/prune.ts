import { deleteRun, inspectRun, listRuns, type RunSummary } from '../checkpoint/runs.ts'
import { isPawlError, plural } from '../errors.ts'
import { OK } from './failure.ts'
import type { CommonFlags } from './flags.ts'
import { directoryFlag } from './next-steps.ts'
import { formatBytes, formatTime, print, printable, printJson, say } from './terminal.ts'

export interface PruneFlags extends CommonFlags {
  /** In milliseconds. */
  readonly olderThan: number
  readonly dryRun?: true
}

/** `pawl prune`: deletes the runs that are complete, not live, and last written longer ago than `--older-than`. */
export async function prune({ checkpoint, json, olderThan, dryRun }: PruneFlags): Promise<number> {
  const before = Date.now() - olderThan
  const isOld = ({ status, live, lastWrite }: RunSummary) => status === 'complete' && !live && (lastWrite ?? Infinity) <= before
  const removed: RunSummary[] = []
  const runs = await listRuns(checkpoint)
  for (const { runId, unreadable } of runs) if (unreadable !== undefined) say(`run '${runId}' stays: ${unreadable}`)
  for (const run of runs.filter(isOld)) {
    if (!(await goes(checkpoint, run.runId, dryRun ?? false))) continue
    removed.push(run)
    if (!json) await print(`${printable(run.runId)}  ${formatBytes(run.bytes)}  last written ${formatTime(run.lastWrite)}\n`)
  }
  const bytes = removed.reduce((sum, run) => sum + run.bytes, 0)
  if (json) await printJson({ dryRun: dryRun ?? false, removed: removed.map(({ runId, bytes }) => ({ runId, bytes })), bytes })
  else await print(`${dryRun ? 'would delete' : 'deleted'} ${plural(removed.length, 'run')}, ${formatBytes(bytes)}\n`)
  return OK
}

/** Deletes the run, unless it is to stay: false then, and for one that another process deleted or took up between the list and now. */
async function goes(directory: string, runId: string, isDryRun: boolean): Promise<boolean> {
  try {
    if (!(await isWhole(directory, runId))) return false
    if (!isDryRun) await deleteRun(directory, runId)
    return true
  } catch (error) {
    if (isPawlError(error, 'ERR_PAWL_RUN_NOT_FOUND')) return false
    if (!isPawlError(error, 'ERR_PAWL_RUN_LOCKED')) throw error
    say(`run '${runId}' stays: a process is at work on it`)
    return false
  }
}

/** False for a run some of whose results are damaged, which a list does not read: it stays, for a session to make up for them. And for one that was taken up between the list and now. */
async function isWhole(directory: string, runId: string): Promise<boolean> {
  const { status, damaged } = await inspectRun(directory, runId)
  if (status === 'complete') return true
  const why =
    damaged > 0
      ? `the outcomes of ${plural(damaged, 'item')} are damaged. Run it again to make up for them, or see 'pawl verify ${runId}${directoryFlag({ directory })}'`
      : `it is ${status} by now`
  say(`run '${runId}' stays: ${why}`)
  return false
}
