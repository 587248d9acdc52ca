import { isInsideWorker, unlessAgain } from './engine/program.ts'
import type { Engines, openEngines } from './engines.ts'
import { invalidOption } from './errors.ts'
import { checkItems, withItems } from './items/items.ts'
import type { ExecuteOptions, ResolvedOptions } from './options/options.ts'
import { resolveOptions } from './options/resolve-options.ts'
import type { RunOrigin } from './run/journey.ts'
import { createStream, type OutcomeStream } from './run/stream.ts'
import { type TaskRef, takeTask } from './task/task.ts'
import { turn } from './turn.ts'
import type { AnyShared, Plan, Report } from './types.ts'
import { option, wording } from './wording.ts'

export type { RunOrigin } from './run/journey.ts'

/** Options under which some results may be missing. */
export type MayMissResults = { maxFailures: number | string } | { shard: string } | { collect: false } | { retryFailed: 'only' }

// Follow an item: a source (items/) cuts it into a chunk, the loop (run/loop.ts) sends the chunk down the stages when there is a
// place for it, the engine runs it on a worker, and its outcome comes back up the same stages to be recorded and put in place by
// the collector (run/collector.ts). run/perform.ts is where these are put together.

/**
 * Runs `task` once for every item and resolves with a report whose `results[i]` belongs to item `i`. Where failures are
 * tolerated, or only a part of the items runs, some results are missing.
 *
 * @throws RunFailedError when more items fail than `maxFailures`; RunAbortedError when the run is drained; CircuitOpenError,
 * TaskLoadError, CheckpointWriteError. Each that ends a run which had begun carries what had finished as `report`. Before
 * anything starts InvalidOptionError, and of a checkpoint CheckpointMismatchError, CheckpointCorruptError,
 * CheckpointVersionError, RunLockedError and RunNotFoundError.
 */
export function execute<T, R, S = AnyShared>(
  task: TaskRef<T, R, S>,
  items: Iterable<T> | AsyncIterable<T>,
  options: ExecuteOptions<T, S> & MayMissResults,
): Promise<Report<R | undefined, T>>
/**
 * Runs `task` once for every item and resolves with a report whose `results[i]` belongs to item `i`.
 *
 * @throws RunFailedError when an item fails; otherwise as with options that tolerate failures.
 */
export function execute<T, R, S = AnyShared>(
  task: TaskRef<T, R, S>,
  items: Iterable<T> | AsyncIterable<T>,
  options?: ExecuteOptions<T, S>,
): Promise<Report<R, T>>
export async function execute<T, R>(
  task: TaskRef<T, R>,
  items: Iterable<T> | AsyncIterable<T>,
  options?: ExecuteOptions<T>,
): Promise<Report<R, T>> {
  const ref = takeTask(task)
  return unlessAgain(() =>
    withItems(items, (taken) => withEngines(options, (engines, resolved) => executeOn(ref, taken, resolved, engines))),
  )
}

/**
 * Runs `task` once for every item and yields each outcome as it settles: those of the checkpoint first, then in the
 * order they come. An outcome may be yielded before it is durable. Leaving the loop drains the run; the error that ends
 * a run is thrown by the loop and rejects `report`.
 */
export function stream<T, R, S = AnyShared>(
  task: TaskRef<T, R, S>,
  items: Iterable<T> | AsyncIterable<T>,
  options: ExecuteOptions<T, S> & MayMissResults,
): OutcomeStream<R, T, R | undefined>
/** The same, where every item has a result. */
export function stream<T, R, S = AnyShared>(
  task: TaskRef<T, R, S>,
  items: Iterable<T> | AsyncIterable<T>,
  options?: ExecuteOptions<T, S>,
): OutcomeStream<R, T>
export function stream<T, R>(
  task: TaskRef<T, R>,
  items: Iterable<T> | AsyncIterable<T>,
  options?: ExecuteOptions<T>,
): OutcomeStream<R, T> {
  const ref = takeTask(task)
  return createStream((origin) =>
    withItems(items, (taken) => withEngines(options, (engines, resolved) => executeOn(ref, taken, resolved, engines, origin))),
  )
}

/** Runs a few of the items in a worker and says how the planner would run them all, and why. Nothing is recorded. */
export async function plan<T, R, S = AnyShared>(
  task: TaskRef<T, R, S>,
  items: Iterable<T> | AsyncIterable<T>,
  options?: ExecuteOptions<T, S>,
): Promise<Plan> {
  const ref = takeTask(task)
  // The thread it measures on ends with it: the run finds none that is up.
  const cold = (engines: Engines) => ({ ...engines, isUp: false })
  return unlessAgain(() =>
    withItems(items, (taken) => withEngines(options, (engines, resolved) => planOn(ref, taken, resolved, cold(engines)))),
  )
}

/** `execute` on engines that stay open, for callers that may know more of the run than its options say. */
export async function executeOn<T, R>(
  task: TaskRef<T, R>,
  items: Iterable<T> | AsyncIterable<T>,
  options: ResolvedOptions<T>,
  engines: Engines,
  origin: RunOrigin<R> = {},
): Promise<Report<R, T>> {
  checkItems(items)
  // Before anything else is loaded. With a checkpoint it may turn out that nothing is left to run, which costs less than a thread
  // that comes late.
  if (options.mode !== 'inline' && (items as { length?: number }).length !== 0) await engines.warm()
  // Found and read beside what is loaded next: the first item waits for both. That it fails is told where it is awaited.
  if (options.checkpoint) import('./checkpoint/session/open.ts').catch(() => {})
  const { performRun } = await import('./run/perform.ts')
  await engines.breathe()
  return performRun(task, items, options, engines, origin)
}

/** `plan` on engines that stay open, of a run of this origin. */
export async function planOn<T, R>(
  task: TaskRef<T, R>,
  items: Iterable<T> | AsyncIterable<T>,
  options: ResolvedOptions<T>,
  engines: Engines,
  origin: Pick<RunOrigin<R>, 'jsonResults' | 'keys'> = {},
): Promise<Plan> {
  const { performPlan } = await import('./run/perform-plan.ts')
  return performPlan(task, items, options, engines, origin)
}

/**
 * The options of a run, to be taken at its call: what the program does with the object later, say for its next run, changes
 * nothing. Inside a task the cores are taken already, so a run there is inline unless it says how many workers it wants.
 */
export function resolveHere<T>(given: ExecuteOptions<T> | undefined): ResolvedOptions<T> {
  const options = resolveOptions(given)
  if (!isInsideWorker() || options.mode !== 'auto' || options.workers !== undefined) return options
  for (const name of ['timeout', 'resourceLimits'] as const) {
    const expected = wording`${option('workers')} beside it inside of a task, where a run is inline unless it says how many threads it wants`
    if (options[name] !== undefined) throw invalidOption(name, expected, options[name])
  }
  return resolveOptions({ ...given, mode: 'inline' })
}

/**
 * Engines for `options`. Whoever only imports pawl, say to read results, loads none of this. The event loop turns on the way
 * (bench/peers, 'small-cold': its delay): what Node has for threads is loaded while our files are read.
 */
export async function loadEngines(options: Parameters<typeof openEngines>[0]): Promise<Engines> {
  const loading = import('./engines.ts')
  process.getBuiltinModule('node:worker_threads')
  const engines = await loading
  await turn()
  return engines.openEngines(options)
}

async function withEngines<T, V>(
  given: ExecuteOptions<T> | undefined,
  use: (engines: Engines, options: ResolvedOptions<T>) => Promise<V>,
): Promise<V> {
  const options = resolveHere(given)
  const engines = await loadEngines(options)
  try {
    return await use(engines, options)
  } finally {
    await engines.close()
  }
}
