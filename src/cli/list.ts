import { listRuns, type RunSummary } from '../checkpoint/runs.ts'
import { fileStore } from '../store/file.ts'
import { OK } from './failure.ts'
import type { CommonFlags } from './program.ts'
import { formatBytes, print, printJson, table } from './terminal.ts'

/** `pawl list`: a table of the runs, the last written first. */
export async function list({ checkpoint, json }: CommonFlags): Promise<number> {
  const runs = (await listRuns(fileStore(checkpoint))).toSorted((a, b) => (b.lastWrite ?? 0) - (a.lastWrite ?? 0))
  if (json) await printJson({ runs })
  else if (runs.length === 0) await print(`no runs in ${checkpoint}\n`)
  else await print(await table(['run', 'status', 'done/total', 'failures', 'size', 'last write', 'live'], runs.map(toRow)))
  return OK
}

function toRow({ runId, status, done, total, failures, bytes, lastWrite, live }: RunSummary): string[] {
  const count = `${done}/${total ?? '?'}`
  return [runId, status, count, String(failures), formatBytes(bytes), formatTime(lastWrite), live ? 'live' : '']
}

/** Local time to the second, `2026-05-01 12:00:00`; '' for what is no time. */
export function formatTime(time: number | undefined): string {
  if (time === undefined || !(time > 0)) return ''
  const date = new Date(time)
  if (Number.isNaN(date.getTime())) return ''
  return new Date(time - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19).replace('T', ' ')
}
