import { deleteRun, inspectRun, listRuns, type RunSummary, refuseHolders } from '../checkpoint/stored/runs.ts'
import { isPawlError, plural } from '../errors.ts'
import { fileStore } from '../store/file.ts'
import { formatDuration } from './duration.ts'
import { OK } from './failure.ts'
import type { CommonFlags } from './flags.ts'
import { directoryFlag, runCommand } from './next-steps.ts'
import { formatBytes, formatTime, print, printable, printJson, say } from './terminal.ts'

export interface PruneFlags extends CommonFlags {
  /** In milliseconds. */
  readonly olderThan: number
  readonly dryRun?: true
}

/** `pawl prune`: deletes the runs that are complete, whole, not live, and last written longer ago than `--older-than`. */
export async function prune({ checkpoint, json, olderThan, dryRun }: PruneFlags): Promise<number> {
  // Who writes 30 may mean days, and finds all gone.
  if (olderThan > 0 && olderThan < 1000)
    say(`--older-than ${olderThan} is ${formatDuration(olderThan)}: for days write ${olderThan}d`)
  const before = Date.now() - olderThan
  const isOld = ({ status, live, lastWrite }: RunSummary) => status === 'complete' && !live && (lastWrite ?? Infinity) <= before
  const runs = await listRuns(checkpoint)
  for (const { runId, unreadable } of runs) if (unreadable !== undefined) say(`run '${runId}' stays: ${unreadable}`)
  const removed: RunSummary[] = []
  for await (const run of remove(checkpoint, runs.filter(isOld), dryRun ?? false)) {
    removed.push(run)
    if (!json) await print(`${printable(run.runId)}  ${formatBytes(run.bytes)}  last written ${formatTime(run.lastWrite)}\n`)
  }
  const bytes = removed.reduce((sum, run) => sum + run.bytes, 0)
  if (json) await printJson({ dryRun: dryRun ?? false, removed: removed.map(({ runId, bytes }) => ({ runId, bytes })), bytes })
  else await print(`${dryRun ? 'would delete' : 'deleted'} ${plural(removed.length, 'run')}, ${formatBytes(bytes)}\n`)
  return OK
}

/** Deletes those of `runs` that are not to stay, and gives them. */
async function* remove(directory: string, runs: readonly RunSummary[], isDryRun: boolean): AsyncGenerator<RunSummary> {
  const whole: RunSummary[] = []
  for (const run of runs) if (await unlessLocked(run, () => isWhole(directory, run.runId))) whole.push(run)
  // All at once: each that was last at work on another machine is watched for a while.
  const removals = whole.map((run) => unlessLocked(run, () => removeRun(directory, run.runId, isDryRun)))
  const ends = await Promise.allSettled(removals)
  for (const [at, run] of whole.entries()) if (ends[at]?.status === 'fulfilled' && ends[at].value) yield run
  await Promise.all(removals) // Raises what one could not be deleted for.
}

async function removeRun(directory: string, runId: string, isDryRun: boolean): Promise<boolean> {
  const options = { onWatch: say }
  await (isDryRun ? refuseHolders(fileStore(directory), runId, options) : deleteRun(directory, runId, options))
  return true
}

/** What `check` says; false for a run that another process deleted or took up between the list and now. */
async function unlessLocked({ runId }: RunSummary, check: () => Promise<boolean>): Promise<boolean> {
  try {
    return await check()
  } catch (error) {
    if (isPawlError(error, 'ERR_PAWL_RUN_NOT_FOUND')) return false
    if (!isPawlError(error, 'ERR_PAWL_RUN_LOCKED')) throw error
    say(`run '${runId}' stays: a process is at work on it`)
    return false
  }
}

/**
 * False for a run some of whose results are damaged, which a list does not read: it stays, for a session to make up for them. And
 * for one that was taken up between the list and now.
 */
async function isWhole(directory: string, runId: string): Promise<boolean> {
  const { status, damaged } = await inspectRun(directory, runId)
  if (status === 'complete') return true
  const why =
    damaged > 0
      ? `the outcomes of ${plural(damaged, 'item')} are damaged. Run it again to make up for them, or see '${runCommand('verify', runId, directoryFlag({ directory }))}'`
      : `it is ${status} by now`
  say(`run '${runId}' stays: ${why}`)
  return false
}
