import type { FlagValues } from './flags.ts'
import type { Target } from './output.ts'
import type { TaskPath } from './task-path.ts'

/** One session of a run, as the command line was told. */
export interface Assignment {
  readonly by: 'run' | 'resume'
  readonly task: TaskPath
  readonly input: string
  readonly output: Target
  /** Where it is recorded; undefined: nowhere. */
  readonly directory: string | undefined
  /** --no-checkpoint asked for that. */
  readonly isDeclined: boolean
  /** undefined for stdin that is not recorded. */
  readonly runId: string | undefined
  /** True when the run id was derived from task and input. */
  readonly isDerived: boolean
  readonly resume: true | 'fresh' | 'require'
  readonly retryFailed: boolean | 'only'
  readonly flags: FlagValues
  /** To be recorded, for `pawl resume`. */
  readonly command: RecordedCommand
  readonly quiet: boolean
  readonly json: boolean
}

/**
 * What `pawl resume` finds in the manifest: what the last session was told. Flags that only matter to one session are left
 * out; `shard` says whose `output` it is.
 */
export interface RecordedCommand {
  readonly task: string
  readonly input: string
  readonly output?: string
  readonly shard?: string
  readonly flags: FlagValues
}
