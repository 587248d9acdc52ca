import { isRefusal } from '../engine/shortage.ts'
import { type Engines, openEngines } from '../engines.ts'
import { isPawlError, messageOf, RunAbortedError } from '../errors.ts'
import { executeOn } from '../execute.ts'
import type { ExecuteOptions, ResolvedOptions } from '../options/options.ts'
import { resolveOptions } from '../options/resolve-options.ts'
import { fileStore } from '../store/file.ts'
import type { Report } from '../types.ts'
import { wordsIn } from '../wording.ts'
import { announce } from './announce.ts'
import type { Assignment, RecordedCommand } from './assignment.ts'
import { noteCommand } from './command.ts'
import { formatDuration } from './duration.ts'
import { AGAIN, explain, OK, tell } from './failure.ts'
import { type FlagValues, toCheckpoint, toOptions } from './flags.ts'
import { type Input, keyFrom, readInput } from './input.ts'
import { describeLeft, goOnWithOthers, hasSettledNone, listNextSteps, saveResults, summarize } from './next-steps.ts'
import { checkApart, checkTarget, type InUse, resultLine, writeLines } from './output.ts'
import { type Progress, showProgress } from './progress.ts'
import { planDrain, Signalled, TimeUp, watchInterrupts } from './signals.ts'
import { printJson, say } from './terminal.ts'
import { isExcess, listUnrecorded } from './unrecorded.ts'
import { retell, retellReport, sayHere } from './ways-on.ts'

/**
 * Runs the session, tells how it goes on stderr, writes the results when every item has settled, and resolves with the
 * exit code.
 */
export async function perform(assignment: Assignment): Promise<number> {
  const { timeLimit } = assignment.flags
  const interrupts = watchInterrupts(
    typeof timeLimit === 'number' ? { timeLimit, stopAt: planDrain(timeLimit, drainOf(assignment)).stopAt } : {},
  )
  let engines: Engines | undefined
  try {
    engines = openEngines(resolveOptions(toGivenOptions(assignment)))
    const { output, directory } = assignment
    await checkTarget(output)
    await refuseLocked(assignment)
    const field = assignment.flags.key as string | undefined
    const options = { engines, field, signal: interrupts.signal, output, directory }
    const input = await readInput(assignment.input, options).catch((error) => {
      const { aborted, reason } = interrupts.signal
      if (aborted && reason instanceof TimeUp) say(reason.advice)
      throw aborted ? endOfWait(assignment.input, reason) : error
    })
    const place = output ?? (assignment.json ? undefined : '/dev/stdout') // It may be redirected into a file.
    checkApart(place, { ...assignment, ...filesOf(assignment, input) })
    checkKeys(input, assignment.flags.key)
    return await runSession(assignment, input, engines, interrupts.signal)
  } finally {
    interrupts.stop()
    await engines?.close()
    // Its handle would keep the process waiting for items that nobody takes.
    if (assignment.input === '-') process.stdin.destroy()
  }
}

/**
 * Looks who is at work on the run before an input is read that may be large. A store that cannot be asked tells why as it is opened.
 *
 * @throws RunLockedError
 */
async function refuseLocked({ directory, runId, command: { shard } }: Assignment): Promise<void> {
  if (directory === undefined || runId === undefined) return
  const { refuseNeighbours } = await import('../checkpoint/claims/holders.ts')
  await refuseNeighbours(fileStore(directory), runId, shard).catch((error) => {
    if (isPawlError(error, 'ERR_PAWL_RUN_LOCKED')) throw error
  })
}

/** There was no time to read all of a large file, or nobody wrote all of a named pipe. */
function endOfWait(input: string, reason: unknown): RunAbortedError {
  const message = `Cannot begin the run: expected to read ${input} to its end, got a request to stop (${messageOf(reason)}). Nothing was run: run it again`
  return new RunAbortedError(message, { cause: reason })
}

async function runSession(assignment: Assignment, input: Input, engines: Engines, signal: AbortSignal): Promise<number> {
  const { isDerived, flags, directory, task, quiet } = assignment
  const { items, itemsDigest, keys } = input
  const origin = {
    ...(itemsDigest === undefined ? {} : { itemsDigest }),
    ...(keys ? { keys } : {}),
    derived: isDerived,
    jsonResults: true,
    onOpen: () => {
      announce(assignment, input)
      return noteCommand(assignment)
    },
    ...(typeof flags.key === 'string' ? { keyLabel: flags.key } : {}),
    ...(typeof flags.timeLimit === 'number' ? { deadline: flags.timeLimit } : {}),
    ...(directory === undefined ? {} : { command: assignment.command as RecordedCommand & { readonly [name: string]: never } }),
  }
  const progress = await showProgress(quiet)
  const warned = new Set<string>()
  try {
    const options = toRunOptions(assignment, input, signal, progress, warned)
    const report = await executeOn(task, items, options, engines, origin).finally(progress.stop)
    await engines.close() // Its threads have nothing to do while results are written.
    return await finish(assignment, report, signal)
  } catch (error) {
    const told = retell(error, { ...assignment, kind: input.kind, placeOf: input.placeOf })
    return await finishFailed(assignment, told, warned.has('CHECKPOINT_FAILED'))
  }
}

/** What the session reads. */
function filesOf(
  { task, input: path }: Assignment,
  { kind, items, linked = [] }: Input,
): Pick<InUse, 'files' | 'listed' | 'stdin'> {
  if (kind === 'glob') return { files: [task.module, ...linked], listed: items as readonly string[] }
  return kind === 'stdin' ? { files: [task.module], stdin: true } : { files: [task.module, path] }
}

function drainOf({ flags }: Assignment): number | undefined {
  return flags.drainTimeout as number | undefined
}

/** Keys of a file are checked before anything runs; those of stdin as they come. */
function checkKeys(input: Input, field: FlagValues['key']): void {
  if (typeof field !== 'string' || input.keys || !Array.isArray(input.items)) return
  const keyOf = keyFrom(field, input.placeOf)
  input.items.forEach(keyOf)
}

/** What the flags say, whatever the input is. */
function toGivenOptions({ flags, directory, runId, resume, retryFailed }: Assignment): ExecuteOptions<unknown> {
  return {
    ...toOptions(flags),
    ...(directory === undefined ? {} : { checkpoint: toCheckpoint(directory, flags), resume, retryFailed }),
    runId,
  }
}

function toRunOptions(
  assignment: Assignment,
  input: Input,
  signal: AbortSignal,
  progress: Progress,
  warned: Set<string>,
): ResolvedOptions<unknown> {
  const { timeLimit, key } = assignment.flags
  const options = resolveOptions({
    ...toGivenOptions(assignment),
    mode: 'threads', // On the main thread a task that never ends would keep us from signals, and what it leaves open from our end.
    ...(typeof timeLimit === 'number' ? { drainTimeout: planDrain(timeLimit, drainOf(assignment)).drainTimeout } : {}),
    ...(typeof key === 'string' ? { key: keyFrom(key, input.placeOf) } : {}),
    signal,
    on: {
      progress: progress.update,
      warning: (warning) => {
        warned.add(warning.code)
        progress.note(`warning: ${sayHere(wordsIn(warning), assignment)}`)
      },
      drain: ({ reason }) => {
        // An error that ends the run is told once, when it has ended.
        if (isPawlError(reason)) return
        const urged = reason instanceof Signalled ? '; a second signal ends all at once' : ''
        const why = reason instanceof Error ? sayHere(wordsIn(reason), assignment) : messageOf(reason)
        progress.note(
          `stopping (${why}): running items may end within ${formatDuration(options.drainTimeout)}, the rest waits${urged}`,
        )
      },
    },
  })
  return options
}

/** Every item this session may settle has settled. */
async function finish(assignment: Assignment, report: Report, signal: AbortSignal): Promise<number> {
  if (report.status === 'partial') {
    for (const line of describeLeft(assignment)) say(line)
    say(`${summarize(report)}; ${goOnWithOthers(assignment, 'the others are still to be run')}`)
    if (assignment.json) await printJson(retellReport(report, assignment))
    return AGAIN
  }
  const { output, json, quiet } = assignment
  if (output !== undefined || !json) {
    await writeLines(output, resultLines(report), signal).catch((error: Error) => {
      error.message += `. ${saveResults(assignment)}`
      throw error
    })
  }
  if (assignment.input === '-' && report.results.length === 0) say('stdin held no items') // Of a file it was known before.
  if (!quiet) say(`complete: ${summarize(report)}${output === undefined ? '' : `; results in ${output}`}`)
  if (json) await printJson({ ...retellReport(report, assignment), output })
  return OK
}

/** The run ended early. What has settled is recorded, unless that failed as well; the output is left as it was. */
async function finishFailed(assignment: Assignment, error: unknown, isUnsaved: boolean): Promise<number> {
  const report = reportOf(error)
  if (!report) {
    // The run was yet to begin.
    if (error instanceof Error && error.cause instanceof TimeUp) say(error.cause.advice)
    throw error
  }
  const explanation = explain(error)
  const { exitCode, code, message } = explanation
  if (isPawlError(error, 'ERR_PAWL_ABORTED') && !isRefusal(error.cause)) {
    say(`interrupted: ${messageOf(error.cause)}`)
    if (error.cause instanceof TimeUp && hasSettledNone(report)) say(error.cause.advice)
  } else tell(explanation)
  const place = isUnsaved || code === 'ERR_PAWL_CHECKPOINT_WRITE' ? await saveUnrecorded(assignment, report) : undefined
  for (const line of listNextSteps(assignment, report, explanation, place)) say(line)
  if (assignment.json)
    await printJson({
      error: { code, message },
      ...retellReport(report, assignment),
      ...(place === undefined ? {} : { output: assignment.output }),
    })
  return exitCode
}

/**
 * Tells what failed and writes the results, once every item has settled, though neither could be recorded: here they are, and
 * nowhere else. Gives where the results are, for a sentence; undefined when some are missing, more items failed than tolerated,
 * or they cannot be written either.
 */
async function saveUnrecorded(assignment: Assignment, report: Report): Promise<string | undefined> {
  const { output, json } = assignment
  const hasFailed = isExcess(report, resolveOptions(toGivenOptions(assignment)).maxFailures)
  if (hasFailed) say(`more items failed than --max-failures tolerates: ${report.stats.failed}`)
  for (const line of await listUnrecorded(assignment, report)) say(line)
  if (report.status !== 'complete' || hasFailed || (output === undefined && json)) return undefined
  try {
    await writeLines(output, resultLines(report))
    return output === undefined ? 'on stdout' : `in ${output}`
  } catch (error) {
    say(`nor can the results be written: ${(error as Error).message}`)
    return undefined
  }
}

function reportOf(error: unknown): Report | undefined {
  const report = error instanceof Error && 'report' in error ? error.report : undefined
  return typeof report === 'object' && report !== null && 'stats' in report ? (report as Report) : undefined
}

/** Failed items and those of other shards are holes in `results`. */
function* resultLines({ results }: Report): Generator<string> {
  for (let index = 0; index < results.length; index++) {
    if (index in results) yield resultLine(index, results[index])
  }
}
