import { plural } from '../errors.ts'
import type { Report } from '../types.ts'
import { inShell } from '../wording.ts'
import type { Assignment } from './assignment.ts'
import { formatDuration } from './duration.ts'
import { AGAIN, type Explanation } from './failure.ts'
import { findWritten, isTrusted } from './output.ts'
import { findOwnLine } from './stack.ts'
import { formatTask } from './task-path.ts'
import { formatTime } from './terminal.ts'

/**
 * How a run went, in one line: `run census: 500 items, 200 restored, 3 failed, 12.3s`. The time is that of the process, as `time`
 * has it: to read a large input may take longer than the run.
 */
export function summarize({ stats, runId }: Report): string {
  const settled = settledIn(stats)
  const count = settled >= stats.items ? plural(stats.items, 'item') : `${settled} of ${plural(stats.items, 'item')} settled`
  return `run ${runId}: ${count}, ${stats.restored} restored, ${stats.failed} failed, ${formatDuration(performance.now())}`
}

const settledIn = ({ succeeded, failed }: Report['stats']) => succeeded + failed

/** What a run goes on with when its stdin was at fault. */
const STDIN: Record<string, string> = {
  ERR_PAWL_INVALID_OPTION: 'that line of stdin put right',
  ERR_PAWL_CHECKPOINT_MISMATCH: 'the stdin it was begun with',
}

/**
 * What to say of a session that ended early, and the commands that lead on from there. `place`: where all results are, though not
 * on record.
 */
export function listNextSteps(assignment: Assignment, report: Report, { exitCode, code }: Explanation, place?: string): string[] {
  const { stats, failures } = report
  // What to mend is in its message, and the command that was given is the one to give again. Where the run is recorded was said
  // before.
  if (code === 'ERR_PAWL_TASK_LOAD' && settledIn(stats) === 0)
    return assignment.directory === undefined || assignment.quiet ? [] : ['nothing was recorded']
  if (place !== undefined)
    return [`${summarize(report)}; all results are ${place}; ${goOn(assignment, 'to run again and record what was not')}`]
  const left = describeLeft(assignment)
  if (code !== 'ERR_PAWL_RUN_FAILED') {
    const stdin = STDIN[code] ?? 'the same stdin'
    return [...left, `${summarize(report)}; ${goOn(assignment, exitCode === AGAIN ? 'go on with' : 'to go on', stdin)}`]
  }
  const tolerated = `--max-failures ${failures.length}`
  const { runId, directory } = assignment
  if (runId === undefined || directory === undefined) {
    const [first] = failures
    const line = first && findOwnLine(first.reason)
    return [
      ...(line === undefined ? [] : [`item ${first?.index} failed at ${line}`]), // No record tells.
      `${summarize(report)}; nothing was recorded`,
      ...left,
      `to tolerate so many failures: the same command with ${tolerated}`,
      ...describePending(report),
    ]
  }
  const more = directoryFlag(assignment)
  return [
    summarize(report),
    ...left,
    `to see what failed:        ${runCommand('failures', runId, more)}`,
    `to try it again:           ${resumeCommand(assignment, assignment.retryFailed === 'only' ? ' --failed-only' : '')}`,
    `to leave it and go on:     ${resumeCommand(assignment, ` --skip-failed ${tolerated}`)}`,
    ...describePending(report),
    `to have what succeeded:    ${runCommand('export', runId, more)}`,
  ]
}

/** Of a run that stopped at too many failures: that others may fail as well. How many items stdin has nobody knows. */
function describePending({ status, stats }: Report): string[] {
  if (status === 'complete') return []
  const pending = stats.items - settledIn(stats)
  const what = pending > 0 ? plural(pending, 'item') : 'what else there is in stdin is'
  return [`${what} still to run: give --max-failures as many as may fail in all, or a share such as 5%`]
}

/** Of a session that does not write its output: that what lies there is not its own. */
export function describeLeft({ output }: Assignment): string[] {
  const writtenAt = output === undefined ? undefined : findWritten(output)
  if (writtenAt === undefined) return []
  const time = formatTime(writtenAt) // None of 1970, as images and archives give their files.
  return [`${output} is left as it was${time === '' ? '' : ` written at ${time}`}`]
}

/** True when the session got no item done: all that has settled was on record before. */
export function hasSettledNone({ stats }: Report): boolean {
  return settledIn(stats) <= stats.restored
}

/** `words` and the command that goes on with what this session was asked to do, if the run was recorded. */
function goOn(assignment: Assignment, words: string, stdin?: string): string {
  // Not on record, as they are of one session: without them other items would be run than in this one.
  const flags = { false: ' --skip-failed', only: ' --failed-only', true: '' }[`${assignment.retryFailed}`]
  return goOnWith(assignment, words, flags, stdin)
}

/** `words` and the command that runs all that this session was not asked to, if the run was recorded. */
export function goOnWithOthers(assignment: Assignment, words: string): string {
  return goOnWith(assignment, words, '')
}

function goOnWith(assignment: Assignment, words: string, flags: string, stdin?: string): string {
  if (assignment.directory === undefined || assignment.runId === undefined) return 'nothing was recorded'
  return `${words}: ${resumeCommand(assignment, flags, stdin)}`
}

/** What to say when all is done, and the results cannot be written. */
export function saveResults(assignment: Assignment): string {
  const { runId, directory } = assignment
  if (directory === undefined || runId === undefined) return 'The results were not recorded, and are gone'
  return `All results are on record; to write them: ${runCommand('export', runId, `${directoryFlag(assignment)} --output FILE`)}`
}

function resumeCommand(assignment: Assignment, more = '', stdin = 'the same stdin'): string {
  const { runId = '', input, flags, task, command } = assignment
  const shard = typeof flags.shard === 'string' ? ` --shard ${flags.shard}` : ''
  const source = input === '-' ? `, with ${stdin}` : ''
  const given = formatTask(task)
  // The record's task is not the one that was given, or is not trusted.
  const elsewhere = given !== command.task || given.startsWith('/') ? ` --task ${inShell(given)}` : ''
  const place = outputFlag(assignment)
  return `${runCommand('resume', runId, `${directoryFlag(assignment)}${elsewhere}${place}${shard}${more}`)}${source}`
}

/** What names the output again, where the record's is not trusted, or it is not on record, as what only this process has open. */
function outputFlag({ output, command }: Assignment): string {
  if (output === undefined) return ''
  if (command.output === undefined) return ' --output FILE'
  return isTrusted(command.output) ? '' : ` --output ${inShell(command.output)}`
}

/** `pawl NAME RUN FLAGS`, as a shell takes it. A name that looks like a flag stands where none is looked for. */
export function runCommand(name: string, runId: string, flags: string): string {
  return runId.startsWith('-') ? `pawl ${name}${flags} -- ${runId}` : `pawl ${name} ${inShell(runId)}${flags}`
}

/** What names the directory of checkpoints in a command, unless it is the usual one. */
export function directoryFlag({ directory }: Pick<Assignment, 'directory'>): string {
  return directory === '.pawl' || directory === undefined ? '' : ` --checkpoint ${inShell(directory)}`
}
