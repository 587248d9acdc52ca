import { toCommand } from './command.ts'
import { UsageError } from './failure.ts'
import { type FlagName, type FlagValues, RESULT_FLAGS, WORK_FLAGS } from './flags.ts'
import { perform } from './perform.ts'
import { deriveRunName, formatTask, parseTask, toProjectPath } from './task-path.ts'

/** What commander makes of the flags of `run`. */
export interface RunFlags extends FlagValues {
  readonly checkpoint: string | false
  readonly input: string
  readonly output?: string
  readonly runId?: string
  readonly resume?: true
  readonly overwrite?: true
  readonly quiet?: true
  readonly json?: true
}

/** `pawl run TASK --input …`. Resolves with the exit code. */
export async function run(taskText: string, flags: RunFlags): Promise<number> {
  checkTogether(flags)
  const task = parseTask(taskText)
  const input = flags.input === '-' ? '-' : toProjectPath(flags.input)
  const isRecorded = flags.checkpoint !== false && (input !== '-' || flags.runId !== undefined)
  const { output } = flags
  const given = pick(flags, [...WORK_FLAGS, ...RESULT_FLAGS])
  return perform({
    by: 'run',
    task,
    input,
    output,
    directory: isRecorded ? (flags.checkpoint as string) : undefined,
    isDeclined: flags.checkpoint === false,
    runId: flags.runId ?? (input === '-' ? undefined : deriveRunName(task, input)),
    isDerived: flags.runId === undefined,
    resume: flags.resume ? 'require' : flags.overwrite ? 'fresh' : true,
    retryFailed: true,
    flags: given,
    command: toCommand(formatTask(task), input, output, given),
    quiet: flags.quiet ?? false,
    json: flags.json ?? false,
  })
}

/** The given ones of `names`. */
export function pick(flags: FlagValues, names: readonly FlagName[]): FlagValues {
  return Object.fromEntries(names.filter((name) => flags[name] !== undefined).map((name) => [name, flags[name]]))
}

function checkTogether({ resume, overwrite, checkpoint, input, runId }: RunFlags): void {
  if (resume && overwrite) {
    throw new UsageError(
      "Cannot use '--resume' together with '--overwrite': expected one of them, got both: one wants the earlier run, the other discards it",
    )
  }
  const flag = resume ? '--resume' : overwrite ? '--overwrite' : undefined
  if (!flag) return
  if (checkpoint === false)
    throw new UsageError(
      `Cannot use '${flag}' together with '--no-checkpoint': expected a run that is recorded, got one that is not`,
    )
  if (input === '-' && runId === undefined) {
    throw new UsageError(
      `Cannot use '${flag}' for stdin without '--run-id': expected a run that is recorded, got one without a name`,
    )
  }
}
