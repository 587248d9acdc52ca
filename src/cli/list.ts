import { listRuns, type RunSummary } from '../checkpoint/runs.ts'
import { fileStore } from '../store/file.ts'
import { OK } from './failure.ts'
import type { CommonFlags } from './flags.ts'
import { formatBytes, formatTime, print, printJson, table } from './terminal.ts'

/** `pawl list`: a table of the runs, the last written first. No result is read, so damaged ones count as done. */
export async function list({ checkpoint, json }: CommonFlags): Promise<number> {
  const runs = (await listRuns(fileStore(checkpoint))).toSorted((a, b) => (b.lastWrite ?? 0) - (a.lastWrite ?? 0))
  if (json) await printJson({ runs })
  else if (runs.length === 0) await print(`no runs in ${checkpoint}\n`)
  else {
    await print(await table(['run', 'status', 'done/total', 'failures', 'size', 'last write', 'live'], runs.map(toRow)))
    await print("status and done as recorded; 'pawl verify RUN' tells whether all of a record can be read\n")
  }
  return OK
}

function toRow({ runId, status, done, total, failures, bytes, lastWrite, live }: RunSummary): string[] {
  const count = `${done}/${total ?? '?'}`
  return [runId, status, count, String(failures), formatBytes(bytes), formatTime(lastWrite), live ? 'live' : '']
}
