import { readManifests } from '../checkpoint/identity/read-manifests.ts'
import { STOOD_FOR } from '../checkpoint/record/damage.ts'
import { type Damage, verifyRun } from '../checkpoint/stored/runs.ts'
import { COMMAND_DAMAGED } from '../checkpoint/stored/shard-commands.ts'
import { fileStore } from '../store/file.ts'
import { FAILED, OK } from './failure.ts'
import type { CommonFlags } from './flags.ts'
import { readKnown } from './known-run.ts'
import { directoryFlag, runCommand } from './next-steps.ts'
import { print, printable, printJson } from './terminal.ts'

/** `pawl verify RUN`: reads every byte; exit code 1 when something is damaged. */
export async function verify(runId: string, { checkpoint, json }: CommonFlags): Promise<number> {
  const store = fileStore(checkpoint)
  const verdict = await readKnown(checkpoint, runId, () => verifyRun(store, runId))
  const { ok, damaged, ignored = [] } = verdict
  if (json) await printJson({ runId, ...verdict })
  else if (ok) await print(`${printable(runId)}: all of it is whole\n${describeIgnored(ignored)}`)
  else {
    await print(damaged.map((part) => `${describeDamage(part)}\n`).join(''))
    const [manifest] = (await readManifests(store, runId)).manifests
    const resume = runCommand('resume', runId, directoryFlag({ directory: checkpoint }))
    const going = manifest?.command === undefined ? 'start the program that began it' : resume
    for (const sentence of listRemedies(runId, going, damaged)) await print(`${printable(sentence)}\n`)
    await print(describeIgnored(ignored))
  }
  return ok ? OK : FAILED
}

/** `seg/notes.txt: not a file of pawl's, ignored`, a line each. */
function describeIgnored(names: readonly string[]): string {
  return names.map((name) => `${printable(name)}: not a file of pawl's, ignored\n`).join('')
}

/** What damage means, and what to do of it. `going`: how to go on with the run. */
function listRemedies(runId: string, going: string, damaged: readonly Damage[]): string[] {
  const isStoodFor = ({ problem }: Damage) => problem === STOOD_FOR
  const outcomes = damaged.filter(({ file }) => /^(seg|snap)\//.test(file))
  const files = outcomes.filter((it) => !isStoodFor(it))
  const remedies: string[] = []
  const isCommand = ({ problem }: Damage) => problem === COMMAND_DAMAGED
  if (damaged.some(isCommand)) remedies.push("The command of a shard is written again by 'pawl run … --shard K/N' with its flags")
  if (damaged.some((it) => it.file.startsWith('run/') && !isCommand(it)))
    remedies.push(`The manifest is made again by the command or program that began the run (--run-id ${runId})`)
  if (files.some(({ settled }) => !settled)) remedies.push('What only these held runs again in the next session')
  else if (outcomes.length > 0) remedies.push('Nothing is lost: what these held is on record elsewhere, and does not run again')
  if (outcomes.length > 0) remedies.push(`Go on with the run: ${going}`)
  if (files.length > 0)
    remedies.push('Once all of it is on record, a session puts what is whole of damaged files into new ones, and deletes them')
  if (outcomes.some(isStoodFor))
    remedies.push('What a snapshot stands for, that session deletes as it ends; or delete it by hand')
  return remedies
}

/** Items named in a line; `--json` names more. */
const NAMED = 10

/** `seg/a-0.msgpack: the outcomes of 2 items, bytes 120 to 480, items 3, 4`. */
function describeDamage({ file, problem, start, end, items }: Damage): string {
  const place = start === undefined || end === undefined ? '' : `, bytes ${start} to ${end}`
  const named = items === undefined ? '' : `, items ${items.slice(0, NAMED).join(', ')}${items.length > NAMED ? ', …' : ''}`
  return printable(`${file}: ${problem}${place}${named}`)
}
