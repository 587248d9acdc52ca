import { unlessAgain } from './engine/program.ts'
import type { Engines } from './engines.ts'
import { InvalidOptionError } from './errors.ts'
import { executeOn, loadEngines, type MayMissResults, planOn, type RunOrigin, resolveHere } from './execute.ts'
import { withItems } from './items/items.ts'
import { checkOptions, dropUndefined } from './options/check-options.ts'
import { isPlain } from './options/option-values.ts'
import type { ExecuteOptions, ResolvedOptions } from './options/options.ts'
import { resolveOptions } from './options/resolve-options.ts'
import { createStream, type OutcomeStream } from './run/stream.ts'
import { type TaskRef, takeTask } from './task/task.ts'
import type { AnyShared, Plan, Report } from './types.ts'

/** Options that belong to the pool, and so cannot be given per run. */
const OF_THE_POOL = ['workers', 'resourceLimits', 'mode'] as const

/** Options of one run of an executor. */
export type RunOptions<T = unknown, S = AnyShared> = Omit<ExecuteOptions<T, S>, (typeof OF_THE_POOL)[number]>

/**
 * One warm pool for many runs. Concurrent runs take turns by chunk. `Missing`: what stands in `results` for an item without a
 * result; `undefined` when the executor's options are such that there may be some.
 */
export interface Executor<Missing extends undefined = never> extends AsyncDisposable {
  /** As the function of that name, on threads that are up. */
  execute<T, R, S = AnyShared>(
    task: TaskRef<T, R, S>,
    items: Iterable<T> | AsyncIterable<T>,
    options: RunOptions<T, S> & MayMissResults,
  ): Promise<Report<R | undefined, T>>
  /** As the function of that name, on threads that are up. */
  execute<T, R, S = AnyShared>(
    task: TaskRef<T, R, S>,
    items: Iterable<T> | AsyncIterable<T>,
    options?: RunOptions<T, S>,
  ): Promise<Report<R | Missing, T>>
  /** As the function of that name, on threads that are up. */
  stream<T, R, S = AnyShared>(
    task: TaskRef<T, R, S>,
    items: Iterable<T> | AsyncIterable<T>,
    options: RunOptions<T, S> & MayMissResults,
  ): OutcomeStream<R, T, R | undefined>
  /** As the function of that name, on threads that are up. */
  stream<T, R, S = AnyShared>(
    task: TaskRef<T, R, S>,
    items: Iterable<T> | AsyncIterable<T>,
    options?: RunOptions<T, S>,
  ): OutcomeStream<R, T, R | Missing>
  /** As the function of that name, on threads that are up. */
  plan<T, R, S = AnyShared>(
    task: TaskRef<T, R, S>,
    items: Iterable<T> | AsyncIterable<T>,
    options?: RunOptions<T, S>,
  ): Promise<Plan>
  /** Waits for the runs under way, also for streams that nobody reads, then ends the threads. Further runs are refused. */
  close(): Promise<void>
}

/**
 * Makes an executor for runs of which some results may be missing.
 *
 * @throws InvalidOptionError as without such options.
 */
export function createExecutor(defaults: ExecuteOptions & MayMissResults): Executor<undefined>
/**
 * Makes an executor. `defaults` are the options of each of its runs, unless a run has its own.
 *
 * @throws InvalidOptionError for an unknown option or a value out of bounds; a run also for an option of the pool, and
 * when the executor was closed.
 */
export function createExecutor(defaults?: ExecuteOptions): Executor
export function createExecutor(given: ExecuteOptions = {}): Executor {
  const defaults = checkOptions(given)
  const opening = loadEngines(resolveOptions(defaults))
  const runs = new Set<Promise<unknown>>()
  let closed: Promise<void> | undefined
  const closing = new AbortController()

  const optionsOf = <T>(options: RunOptions<T> = {}): ExecuteOptions<T> => {
    if (closed) throw new InvalidOptionError('executor', 'it to be open', 'closed', { subject: 'this executor' })
    if (!isPlain(options)) throw new InvalidOptionError('options', 'a plain object', options)
    for (const option of OF_THE_POOL) {
      const value = (options as ExecuteOptions<T>)[option]
      if (value !== undefined) throw new InvalidOptionError(option, 'to be given to createExecutor(), not to a run of it', value)
    }
    return { ...(defaults as ExecuteOptions<T>), ...dropUndefined(options) }
  }
  const { shared: ofAll } = defaults
  /**
   * Whether the run shares what the executor was made with: what a run is given may be another each time, though it is the same
   * object.
   */
  const originOf = ({ shared }: ExecuteOptions<never>, options: RunOptions<never> = {}) => ({
    keepsShared: ofAll !== undefined && shared === ofAll && options.shared === undefined,
  })
  const track = <V>(run: Promise<V>): Promise<V> => {
    runs.add(run)
    const forget = () => runs.delete(run)
    run.then(forget, forget)
    return run
  }
  type Use<T, V> = (engines: Engines, options: ResolvedOptions<T>, own: RunOrigin) => Promise<V>
  /** Takes the options as they are at the call. All that is wrong with them rejects. */
  const begin = async <T, V>(given: RunOptions<T> | undefined, use: Use<T, V>): Promise<V> => {
    const merged = optionsOf(given)
    const own = originOf(merged, given)
    const options = resolveHere(merged)
    return track(opening.then((engines) => use(engines, options, own)))
  }
  const close = async () => {
    closing.abort()
    await Promise.allSettled(runs)
    await (await opening).close()
  }

  return {
    execute: async <T, R>(task: TaskRef<T, R>, items: Iterable<T> | AsyncIterable<T>, options?: RunOptions<T>) => {
      const ref = takeTask(task)
      return unlessAgain(() =>
        withItems(items, (taken) =>
          begin(options, (engines, resolved, own) => executeOn<T, R>(ref, taken, resolved, engines, own)),
        ),
      )
    },
    stream: <T, R>(task: TaskRef<T, R>, items: Iterable<T> | AsyncIterable<T>, options?: RunOptions<T>) => {
      const ref = takeTask(task)
      return createStream<R, T>(
        (origin) =>
          withItems(items, (taken) =>
            begin(options, (engines, resolved, own) => executeOn(ref, taken, resolved, engines, { ...own, ...origin })),
          ),
        closing.signal,
      )
    },
    plan: async (task, items, options) => {
      const ref = takeTask(task)
      return unlessAgain(() =>
        withItems(items, (taken) => begin(options, (engines, resolved) => planOn(ref, taken, resolved, engines))),
      )
    },
    close: () => (closed ??= close()),
    [Symbol.asyncDispose]: () => (closed ??= close()),
  }
}
