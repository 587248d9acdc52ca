import { readManifests } from '../checkpoint/identity/read-manifests.ts'
import type { RecordedRejection } from '../checkpoint/record/read-outcomes.ts'
import { readFailures } from '../checkpoint/stored/runs.ts'
import { fileStore } from '../store/file.ts'
import { OK } from './failure.ts'
import type { CommonFlags } from './flags.ts'
import { readKnown } from './known-run.ts'
import { directoryFlag, runCommand } from './next-steps.ts'
import { findOwnLine } from './stack.ts'
import { formatTime, print, printAll, printable, printJson, say, toJson } from './terminal.ts'
import { nameFailure, nameReason } from './unrecorded.ts'
import { retell } from './ways-on.ts'

/** Longest input shown, in characters; `--json` gives all of it. */
const INPUT_WIDTH = 200

/**
 * `pawl failures RUN`: each failed item with its input, its reason, the line of the user's code it came from, and its past; with
 * `--json` the whole stack.
 */
export async function failures(runId: string, { checkpoint, json }: CommonFlags): Promise<number> {
  const store = fileStore(checkpoint)
  const place = directoryFlag({ directory: checkpoint })
  const verify = runCommand('verify', runId, place)
  const warn = (sentence: string) => say(`warning: ${sentence} when the run is resumed; '${verify}' names it`)
  const recorded = await readKnown(checkpoint, runId, () => readFailures(store, runId, warn))
  const [manifest] = (await readManifests(store, runId)).manifests
  const found = manifest?.command === undefined ? recorded : recorded.map(inFlags)
  if (json) await printJson({ runId, failures: found })
  else if (found.length === 0) await print(`no failures in ${printable(runId)}\n`)
  else {
    await printAll(describeAll(found))
    say(`all that errors have, stacks included: ${runCommand('failures', runId, `${place} --json`)}`)
  }
  return OK
}

/** Of a run that a command began. A program has options for what its failures advise. */
function inFlags(failure: RecordedRejection): RecordedRejection {
  return failure.reason ? { ...failure, reason: retell(failure.reason) as Error } : failure
}

function* describeAll(failures: readonly RecordedRejection[]): Generator<string> {
  for (const failure of failures) yield describe(failure)
}

function describe(failure: RecordedRejection): string {
  const { reason, lastFailedAt } = failure
  const place = reason && findOwnLine(reason)
  const lines = [
    `${nameFailure(failure)}, at ${formatTime(lastFailedAt)}`,
    `  input   ${describeInput(failure)}`,
    `  reason  ${reason ? nameReason(reason) : 'not recorded'}`,
    ...(place === undefined ? [] : [`  at      ${place}`]),
  ]
  return lines.map((line) => `${printable(line)}\n`).join('')
}

function describeInput(failure: RecordedRejection): string {
  if (!('item' in failure)) return 'not recorded'
  const text = toJson(failure.item) ?? String(failure.item)
  return text.length > INPUT_WIDTH ? `${text.slice(0, INPUT_WIDTH)}…` : text
}
