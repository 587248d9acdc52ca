import { verifyRun } from '../checkpoint/runs.ts'
import { fileStore } from '../store/file.ts'
import { FAILED, OK } from './failure.ts'
import { readKnown } from './known-run.ts'
import type { CommonFlags } from './program.ts'
import { print, printable, printJson } from './terminal.ts'

/** `pawl verify RUN`: reads every byte; exit code 1 when something is damaged. */
export async function verify(runId: string, { checkpoint, json }: CommonFlags): Promise<number> {
  const store = fileStore(checkpoint)
  const { ok, damaged } = await readKnown(store, runId, () => verifyRun(store, runId))
  if (json) await printJson({ runId, ok, damaged })
  else if (ok) await print(`${printable(runId)}: all of it is whole\n`)
  else for (const part of damaged) await print(`${describeDamage(part)}\n`)
  return ok ? OK : FAILED
}

function describeDamage(part: unknown): string {
  return printable(typeof part === 'string' ? part : JSON.stringify(part))
}
