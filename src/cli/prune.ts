import { deleteRun, inspectRun, listRuns, type RunSummary } from '../checkpoint/runs.ts'
import { isPawlError, plural } from '../errors.ts'
import { fileStore } from '../store/file.ts'
import type { Store } from '../store/store.ts'
import { OK } from './failure.ts'
import type { CommonFlags } from './flags.ts'
import { formatBytes, formatTime, print, printable, printJson, say } from './terminal.ts'

export interface PruneFlags extends CommonFlags {
  /** In milliseconds. */
  readonly olderThan: number
  readonly dryRun?: true
}

/** `pawl prune`: deletes the runs that are complete, not live, and last written longer ago than `--older-than`. */
export async function prune({ checkpoint, json, olderThan, dryRun }: PruneFlags): Promise<number> {
  const store = fileStore(checkpoint)
  const before = Date.now() - olderThan
  const isOld = ({ status, live, lastWrite }: RunSummary) => status === 'complete' && !live && (lastWrite ?? Infinity) <= before
  const removed: RunSummary[] = []
  for (const run of (await listRuns(store)).filter(isOld)) {
    if (!(await isWhole(store, run.runId))) continue
    if (!dryRun && !(await wasDeleted(() => deleteRun(store, run.runId), run.runId))) continue
    removed.push(run)
    if (!json) await print(`${printable(run.runId)}  ${formatBytes(run.bytes)}  last written ${formatTime(run.lastWrite)}\n`)
  }
  const bytes = removed.reduce((sum, run) => sum + run.bytes, 0)
  if (json) await printJson({ dryRun: dryRun ?? false, removed: removed.map(({ runId, bytes }) => ({ runId, bytes })), bytes })
  else await print(`${dryRun ? 'would delete' : 'deleted'} ${plural(removed.length, 'run')}, ${formatBytes(bytes)}\n`)
  return OK
}

/** False for a run some of whose results are damaged, which a list does not read: it stays, for a session to make up for them. And for one that was taken up between the list and now. */
async function isWhole(store: Store, runId: string): Promise<boolean> {
  const { status, damaged } = await inspectRun(store, runId)
  if (status === 'complete') return true
  const why =
    damaged > 0
      ? `the outcomes of ${plural(damaged, 'item')} are damaged. Run it again to make up for them, or see 'pawl verify ${runId}'`
      : `it is ${status} by now`
  say(`run '${runId}' stays: ${why}`)
  return false
}

/** False for a run that a process took up between the list and now; it stays. */
async function wasDeleted(remove: () => Promise<void>, runId: string): Promise<boolean> {
  try {
    await remove()
    return true
  } catch (error) {
    if (!isPawlError(error, 'ERR_PAWL_RUN_LOCKED')) throw error
    say(`run '${runId}' stays: a process is at work on it`)
    return false
  }
}
