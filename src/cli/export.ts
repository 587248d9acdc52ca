import { inspectRun, readResults } from '../checkpoint/runs.ts'
import { plural } from '../errors.ts'
import { fileStore } from '../store/file.ts'
import type { Store } from '../store/store.ts'
import { OK } from './failure.ts'
import type { CommonFlags } from './flags.ts'
import { readKnown } from './known-run.ts'
import { checkApart, checkTarget, resultLine, writeLines } from './output.ts'
import { printJson, say } from './terminal.ts'

/** `pawl export RUN [--output FILE]`: `{"index","value"}` of every item that succeeded, in input order. */
export async function exportResults(runId: string, flags: CommonFlags & { readonly output?: string }): Promise<number> {
  const { checkpoint, json, output } = flags
  const store = fileStore(checkpoint)
  await checkTarget(output)
  checkApart(output, { files: [], directory: checkpoint, runId })
  const { total } = await readKnown(store, runId, () => inspectRun(store, runId))
  const count = { exported: 0, failed: 0 }
  const lines = readLines(store, runId, count)
  if (json && output === undefined) for await (const _ of lines);
  else await writeLines(output, lines)
  if (json) await printJson({ runId, ...count, ...(output === undefined ? {} : { output }) })
  else if (output !== undefined)
    say(`${plural(count.exported, 'result')} in ${output}; ${plural(count.failed, 'failure')} left out`)
  const missing = (total ?? 0) - count.exported - count.failed
  if (missing > 0)
    say(`${plural(missing, 'item')} of run ${runId} left out: not run yet, or damaged on record, which 'pawl verify' tells`)
  return OK
}

async function* readLines(store: Store, runId: string, count: { exported: number; failed: number }): AsyncGenerator<string> {
  for await (const outcome of readResults(store, runId)) {
    if (outcome.status === 'rejected') {
      count.failed++
      continue
    }
    count.exported++
    yield resultLine(outcome.index, outcome.value)
  }
}
