import { existsSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import { inspectRun } from '../checkpoint/stored/runs.ts'
import { isRecord } from '../is-record.ts'
import { fileStore } from '../store/file.ts'
import type { Store } from '../store/store.ts'
import type { Json } from '../types.ts'
import { inShell } from '../wording.ts'
import type { RecordedCommand } from './assignment.ts'
import { readNoted, shardIn, toCommand } from './command.ts'
import { UsageError } from './failure.ts'
import type { CommonFlags } from './flags.ts'
import { FLAGS, type FlagName, type FlagValues, RESULT_FLAGS, WORK_FLAGS } from './flags.ts'
import { readKnown } from './known-run.ts'
import { isTrusted } from './output.ts'
import { perform } from './perform.ts'
import { refuseKept } from './refused.ts'
import { pick } from './run.ts'
import { formatTask, isInProject, parseTask, type TaskPath } from './task-path.ts'
import { say } from './terminal.ts'

/** What commander makes of the flags of `resume`. */
export interface ResumeFlags extends FlagValues, CommonFlags {
  readonly task?: string
  readonly output?: string
  readonly failedOnly?: true
  readonly skipFailed?: true
  readonly quiet?: true
}

/** `pawl resume RUN`: goes on with a run as its manifest says it was begun. Resolves with the exit code. */
export async function resume(runId: string, flags: ResumeFlags): Promise<number> {
  const { checkpoint, failedOnly, skipFailed } = flags
  refuseKept(runId, { ...flags })
  if (failedOnly && skipFailed) {
    throw new UsageError("Cannot use '--failed-only' together with '--skip-failed': expected one of them, got both")
  }
  const store = fileStore(checkpoint)
  const details = await readKnown(checkpoint, runId, () => inspectRun(store, runId))
  if (details.identity === undefined) {
    throw new UsageError(
      `Cannot resume run '${runId}': expected a manifest that says what to run, got none that is whole and of this name. Begin it again with 'pawl run … --run-id ${runId}'; what is finished stays finished`,
    )
  }
  const last = readCommand(runId, details.command)
  const recorded = await ofShard(store, runId, shardIn(flags), last)
  const task = flags.task === undefined ? trustTask(runId, recorded.task) : parseTask(flags.task)
  if (!flags.quiet)
    say(
      `run ${runId}: task ${formatTask(task)}, input ${recorded.input === '-' ? 'stdin, to be given once more' : recorded.input}`,
    )
  if (flags.output === undefined && recorded.output === undefined && last.output !== undefined)
    say(
      `${last.output} is left alone, as it is for another part of the run: these results go to stdout, or where --output FILE says`,
    )
  const output = flags.output ?? trustOutput(recorded.output)
  const given = { ...recorded.flags, ...pick(flags, WORK_FLAGS) }
  return perform({
    by: 'resume',
    task,
    input: recorded.input,
    output,
    directory: checkpoint,
    isDeclined: false,
    runId,
    isDerived: false,
    resume: 'require',
    retryFailed: failedOnly ? 'only' : !skipFailed,
    flags: given,
    command: toCommand(recorded.task, recorded.input, output, given),
    quiet: flags.quiet ?? false,
    json: flags.json ?? false,
  })
}

/**
 * The command with the flags and the output of the last session of `shard`. When none is on record, with the flags of the `last`
 * one, but without its output: that holds the results of another part.
 */
async function ofShard(store: Store, runId: string, shard: string | undefined, last: RecordedCommand): Promise<RecordedCommand> {
  const { output: _, ...rest } = last
  const noted = shard === undefined ? undefined : await readNoted(store, runId, shard)
  if (noted === undefined) return last.shard === shard ? last : rest
  const { flags, output } = readCommand(runId, noted)
  return { ...rest, flags, ...(output === undefined ? {} : { output }) }
}

/** The recorded command, checked like one that was typed: a manifest is a file that anybody may have written. */
function readCommand(runId: string, command: Json | undefined): RecordedCommand {
  if (command === undefined) {
    throw new UsageError(
      `Cannot resume run '${runId}' from the command line: expected one that 'pawl run' began, got one that a program began. Run that program again; it goes on where it stopped`,
    )
  }
  const { task, input, output, shard, flags } = isRecord(command) ? command : {}
  if (
    typeof task !== 'string' ||
    typeof input !== 'string' ||
    !isRecord(flags) ||
    !['string', 'undefined'].includes(typeof output)
  ) {
    throw new UsageError(
      `Cannot resume run '${runId}': expected its record to say how it was begun, got something else. Begin it again with 'pawl run … --run-id ${runId}'; what is finished stays finished`,
    )
  }
  for (const name of Object.keys(flags)) {
    if (!isFlag(name))
      throw new UsageError(`Cannot resume run '${runId}': expected flags that pawl knows in its record, got '${name}'`)
    FLAGS[name].check(flags[name])
  }
  return {
    task,
    input,
    flags,
    ...(typeof output === 'string' ? { output } : {}),
    ...(typeof shard === 'string' ? { shard } : {}),
  }
}

/** A task that a manifest names is run only when it belongs to the project at hand. */
function trustTask(runId: string, recorded: string): TaskPath {
  const task = parseTask(recorded)
  if (!isAbsolute(task.module) && !existsSync(task.module)) {
    throw new UsageError(
      `Cannot resume run '${runId}': expected its task '${recorded}' below ${process.cwd()}, got no such file. Its record names files by their paths from where it was begun: resume it there, or, if the task lies elsewhere by now, give --task FILE`,
    )
  }
  if (isInProject(task.module)) return task
  throw new UsageError(
    `Cannot resume with task '${recorded}': expected a file within the current directory, got one outside. If you trust it, pass it by hand: --task ${inShell(recorded)}`,
  )
}

function trustOutput(recorded: string | undefined): string | undefined {
  if (recorded === undefined || isTrusted(recorded)) return recorded
  throw new UsageError(
    `Cannot write output '${recorded}': expected a file within the current directory or one that ends in .jsonl, got another, which only the run's record names. If you trust it, pass it by hand: --output ${inShell(recorded)}`,
  )
}

function isFlag(name: string): name is FlagName {
  return [...WORK_FLAGS, ...RESULT_FLAGS].includes(name as FlagName)
}
