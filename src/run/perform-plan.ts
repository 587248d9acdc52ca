import { systemClock } from '../clock.ts'
import { onAbort, untilDrained } from '../drain.ts'
import type { EngineRun, EngineRunOptions } from '../engine/engine.ts'
import type { Engines } from '../engines.ts'
import { isError, messageOf, RunAbortedError } from '../errors.ts'
import { createEmitter } from '../events.ts'
import { cut } from '../items/chunk.ts'
import { checkItems, isArrayLike, type Source } from '../items/items.ts'
import { listKeys } from '../items/keys.ts'
import { readShard } from '../items/shard.ts'
import type { ResolvedOptions } from '../options/options.ts'
import type { Planner } from '../plan/plan.ts'
import type { RunContext } from '../stages/stage.ts'
import { type ResolvedTask, resolveTask } from '../task/resolve-task.ts'
import type { TaskRef } from '../task/task.ts'
import type { Outcomes, Plan, Rejection } from '../types.ts'
import { type Words, wording, wordsIn } from '../wording.ts'
import type { RunOrigin } from './journey.ts'
import { sourceError } from './loop.ts'
import { openPlanner } from './open-planner.ts'
import { describeProgramAgain } from './program-again.ts'
import { warnOfSize } from './result-size.ts'
import { selectItems } from './select.ts'
import { setUp } from './setup.ts'
import { watchLoading } from './slow-load.ts'

/**
 * How long a plan measures at most, in ms, from when its first item began, unless a single item takes longer; and how many items.
 */
const PROBE_MS = 200
const PROBE_ITEMS = 1000

/**
 * Runs the first items in one worker, in chunks that grow, until what is measured will do. An item that fails counts as any
 * other for the measurement, and a warning says that some did. Of the events of a run only the warning that the task loads for
 * long is told.
 *
 * @throws RunAbortedError when the `signal` option aborts: what runs then is waited for, no longer than `drainTimeout`. Also when
 * the items throw.
 */
export async function performPlan<T, R>(
  ref: TaskRef<T, R>,
  items: Iterable<T> | AsyncIterable<T>,
  options: ResolvedOptions<T>,
  engines: Engines,
  { jsonResults = false, keys }: Pick<RunOrigin<R>, 'jsonResults' | 'keys'>,
): Promise<Plan> {
  checkItems(items)
  const task = await resolveTask(ref)
  const planner = openPlanner(task, options, engines)
  const engine = options.mode === 'inline' ? engines.inline : await engines.pool()
  const source = openSource(items, options, keys)
  engine.grow(1)
  const over = new AbortController()
  const { signal } = options
  const stopListening = onAbort(signal, (reason) => over.abort(reason))
  const described = describeProbe(task, options, planner, jsonResults)
  const run = engine.start<T, R>(described)
  const stopWatching = watchLoading(run.loadingFor, createEmitter(options.on).emit)
  const alive = setInterval(() => {}, 2 ** 30)
  const total = source.left
  let probed: Probed<T>
  try {
    probed = await probe({
      run,
      source,
      signal,
      over,
      tally: described.tally,
      onSample: (values) => warnOfSize(values, total, planner.warn),
    })
  } finally {
    clearInterval(alive)
    stopWatching()
    stopListening()
    run.end()
    await source.close()
  }
  const { tried, failed, first } = probed
  if (tried === 0) planner.warn('There are no items, so that nothing could be measured')
  if (first) planner.warn(wording`Of ${tried} tried, ${failed} failed, first item ${first.index}: ${wordsOf(first)}`)
  return planner.describe(total)
}

interface ProbeOptions<T, R> {
  readonly run: EngineRun<T, R>
  readonly source: Source<T>
  /** The option. */
  readonly signal: AbortSignal | undefined
  /** Aborts with `signal`, and when the engine cannot go on. */
  readonly over: AbortController
  readonly tally: EngineRunOptions['tally']
  /** Some values, each time that there are any. */
  onSample(values: readonly unknown[]): void
}

interface Probed<T> {
  tried: number
  failed: number
  first: Rejection<T> | undefined
}

/** Runs items until PROBE_MS have passed, or there were PROBE_ITEMS of them, or no more. */
async function probe<T, R>({ run, source, signal, over, tally, onSample }: ProbeOptions<T, R>): Promise<Probed<T>> {
  let failure: Error | undefined
  const sample = ({ fulfilled: [batch] }: Outcomes<T, R>) => {
    if (batch?.values) onSample(Array.from(batch.values).slice(0, 10))
  }
  const context: RunContext<T, R> = {
    draining: over.signal,
    clock: systemClock,
    emit: () => {},
    settle: sample, // Of a slow item, before its chunk is over.
    setAside: async () => {},
    rest: (_, wait) => wait(),
    lend: (answer) => answer,
    fail: (error) => {
      failure ??= error
      over.abort(error)
    },
  }
  let began: number | undefined
  const probed: Probed<T> = { tried: 0, failed: 0, first: undefined }
  while (probed.tried < PROBE_ITEMS && (began === undefined || systemClock.now() - began < PROBE_MS)) {
    endIfTold(signal)
    const chunk = await untilDrained(over.signal, source.next(Math.max(1, probed.tried))).catch((error) => {
      throw sourceError(error, '')
    })
    endIfTold(signal)
    if (!chunk) break
    probed.tried += chunk.items.length
    const outcomes = await run.dispatch(cut(chunk, 0, chunk.items.length), context)
    if (failure) throw failure
    endIfTold(signal)
    probed.failed += outcomes.rejected.length
    probed.first ??= outcomes.rejected[0]
    sample(outcomes)
    began ??= systemClock.now() - tally.taskTime // Before that a thread started, and the task was loaded.
  }
  return probed
}

/** What an engine is told of it. */
function describeProbe<T, R>(
  task: ResolvedTask<T, R>,
  options: ResolvedOptions<T>,
  planner: Planner,
  jsonResults: boolean,
): EngineRunOptions {
  return {
    ...setUp(task, options, { runId: 'plan', record: undefined, jsonResults }),
    maxCrashes: 1,
    observe: (measured) => planner.observe({ ...measured, now: systemClock.now() }),
    readRecord: () => ({ count: undefined }), // None come.
    tally: { attempts: 0, crashes: 0, timeouts: 0, chunks: 0, taskTime: 0 },
    workerExit: (_, index) => {
      if (index !== undefined) planner.beware()
    },
    ranAgain: (workers) => planner.warn(describeProgramAgain(workers)),
    onShortage: () => {}, // One thread is all it wants.
    itemTime: () => planner.itemTime,
    mayStayInline: () => true,
  }
}

/**
 * The items of the shard.
 *
 * @throws InvalidOptionError for two items of an array with one key, as the run would, and as `readShard`.
 */
function openSource<T>(
  items: Iterable<T> | AsyncIterable<T>,
  options: ResolvedOptions<T>,
  given: readonly string[] | undefined,
): Source<T> {
  const { key } = options
  const array = isArrayLike<T>(items) ? items : undefined
  const keys = array && key && listKeys(array, key, given)
  const shard = readShard(options.shard, process.env)
  // Nothing on record is looked at: all of them are pending.
  return selectItems(items, keys, undefined, shard, { ...options, retryFailed: true }).source
}

/** Why an item failed. Of a crash only what happened: a plan tries no item again, whatever `maxCrashes` says. */
function wordsOf({ kind, reason }: Rejection): Words {
  const isCrash = (kind === 'crash' || kind === 'memory') && isError(reason.cause)
  return isCrash ? `it took its worker down: ${(reason.cause as Error).message}` : wordsIn(reason)
}

function endIfTold(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return
  const message = `Cannot plan the run: expected time to run a few items, got a request to stop (${messageOf(signal.reason)})`
  throw new RunAbortedError(message, { cause: signal.reason })
}
