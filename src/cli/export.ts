import { inspectRun, type RunDetails, readResultBatches } from '../checkpoint/stored/runs.ts'
import { plural } from '../errors.ts'
import { fileStore } from '../store/file.ts'
import type { Store } from '../store/store.ts'
import { OK } from './failure.ts'
import type { CommonFlags } from './flags.ts'
import { listGlob } from './glob.ts'
import { readKnown } from './known-run.ts'
import { directoryFlag, runCommand } from './next-steps.ts'
import { checkApart, checkTarget, type InUse, resultLine, writeLines } from './output.ts'
import { isThere } from './task-path.ts'
import { printJson, say } from './terminal.ts'

/** `pawl export RUN [--output FILE]`: `{"index","value"}` of every item that succeeded, in input order. */
export async function exportResults(runId: string, flags: CommonFlags & { readonly output?: string }): Promise<number> {
  const { checkpoint, json, output } = flags
  const store = fileStore(checkpoint)
  await checkTarget(output)
  const details = await readKnown(checkpoint, runId, () => inspectRun(store, runId))
  if (output !== undefined) checkApart(output, { ...(await filesOf(details, output)), directory: checkpoint, runId })
  const reading = { exported: 0, failed: 0, hasEnded: false }
  const lines = exportLines(store, runId, reading)
  if (json && output === undefined) for await (const _ of lines);
  else await writeLines(output, lines)
  const { hasEnded, ...count } = reading
  if (json) await printJson({ runId, ...count, ...(output === undefined ? {} : { output }) })
  if (!hasEnded) return OK // Its reader has gone (`| head`): what was not read is not left out.
  if (!json && output !== undefined)
    say(`${plural(count.exported, 'result')} in ${output}; ${plural(count.failed, 'failure')} left out`)
  const missing = (details.total ?? 0) - count.exported - count.failed
  if (details.total === undefined) say(`how many items run ${runId} has is not on record, and so not how many are left out`)
  if (missing > 0) {
    const verify = runCommand('verify', runId, directoryFlag({ directory: checkpoint }))
    const why = details.live ? 'not on record yet, as a process is at work on it' : 'not run yet'
    say(`${plural(missing, 'item')} of run ${runId} left out: ${why}, or damaged on record, which '${verify}' tells`)
  }
  return OK
}

/** What sessions of the run read, as its manifest says. A glob stands for what matches it now. */
async function filesOf({ identity, command }: RunDetails, output: string): Promise<Pick<InUse, 'files' | 'listed'>> {
  const module = identity?.task.module
  const files = module === undefined || module === 'inline' ? [] : [module]
  const input = typeof command === 'object' && command !== null && 'input' in command ? command.input : undefined
  if (typeof input !== 'string' || input === '-') return { files }
  if (isThere(input)) return { files: [...files, input] }
  const found = await listGlob(input, output).catch((error) => {
    if (isThere(output)) throw error // What is new replaces nothing, and what sessions read by now is not for an export to mend.
  })
  const { paths = [], linked = [] } = found ?? {}
  return { files: [...files, input, ...linked], listed: paths }
}

/** What was met on the way through a run. */
interface Reading {
  exported: number
  failed: number
  /** False when whoever took the lines went away before the last. */
  hasEnded: boolean
}

async function* exportLines(store: Store, runId: string, reading: Reading): AsyncGenerator<string> {
  for await (const outcomes of readResultBatches(store, runId)) {
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') {
        reading.failed++
        continue
      }
      reading.exported++
      yield resultLine(outcome.index, outcome.value)
    }
  }
  reading.hasEnded = true
}
