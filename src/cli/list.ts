import { listRuns, type RunSummary } from '../checkpoint/stored/runs.ts'
import { fileStore } from '../store/file.ts'
import { OK } from './failure.ts'
import type { CommonFlags } from './flags.ts'
import { explainAbsent } from './known-run.ts'
import { isThere } from './task-path.ts'
import { formatBytes, formatTime, print, printable, printJson, say, table } from './terminal.ts'

/** `pawl list`: a table of the runs, the last written first. No result is read, so damaged ones count as done. */
export async function list({ checkpoint, json }: CommonFlags): Promise<number> {
  const runs = (await listRuns(fileStore(checkpoint))).toSorted((a, b) => (b.lastWrite ?? 0) - (a.lastWrite ?? 0))
  if (json) await printJson({ runs })
  else if (runs.length === 0) {
    await print(`no runs in ${printable(checkpoint)}\n`)
    if (!isThere(checkpoint)) say(explainAbsent(checkpoint))
  } else {
    await print(await table(['run', 'status', 'done/total', 'failures', 'size', 'last write', 'live'], runs.map(toRow)))
    await print("status and done as recorded; 'pawl verify RUN' tells whether all of a record can be read\n")
    for (const { runId, unreadable } of runs)
      if (unreadable !== undefined) await print(`${printable(`run '${runId}': ${unreadable}`)}\n`)
  }
  return OK
}

function toRow({ runId, status, done, total, failures, bytes, lastWrite, live, unreadable }: RunSummary): string[] {
  const known = unreadable === undefined ? [status, `${done}/${total ?? '?'}`, String(failures)] : ['unreadable', '?', '?']
  return [runId, ...known, formatBytes(bytes), formatTime(lastWrite), live ? 'live' : '']
}
