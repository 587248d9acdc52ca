import { deriveRunId } from './checkpoint/manifest.ts'
import type { Session, SessionOptions } from './checkpoint/session.ts'
import { loadCodec } from './checkpoint/values/codec.ts'
import { type Clock, systemClock } from './clock.ts'
import { type Collector, createCollector } from './collector.ts'
import { createDrain, type Drain } from './drain.ts'
import type { Engine, EngineRun, EngineRunOptions, Tally } from './engine/engine.ts'
import type { Engines } from './engines.ts'
import { createEmitter, type Emitter } from './events.ts'
import { startGrowth } from './growth.ts'
import { identify, openCheckpoint } from './identity.ts'
import { arraySource, checkItems, createKeys, isArrayLike, iterableSource, type Source } from './items.ts'
import type { ResolvedOptions } from './options.ts'
import { createPlanner, type Planner } from './plan.ts'
import { watchPreemption } from './preempt/preempt.ts'
import { loadHere, type ResolvedTask, resolveTask } from './resolve-task.ts'
import { createSelection, restoreOutcomes, type Selected } from './restore.ts'
import { warnOfSize } from './result-size.ts'
import { createRoom, runLoop } from './run.ts'
import { readShard } from './shard.ts'
import { breaker } from './stages/breaker.ts'
import { checkpoint } from './stages/checkpoint.ts'
import { retry } from './stages/retry.ts'
import { compose, type Dispatch, type RunContext, type Stage } from './stages/stage.ts'
import type { TaskRef } from './task.ts'
import type { Json, Outcome, Report, Stats, TaskFunction } from './types.ts'

/** What a caller knows of a run that the options do not say. */
export interface RunOrigin<R = unknown> {
  /** Kept in the manifest, for `pawl resume`. */
  readonly command?: Json
  /** `runId` was derived by the caller. */
  readonly derived?: boolean
  /** The field `key` reads, as part of the fingerprint. */
  readonly keyLabel?: string
  /** A result that JSON cannot hold is a failure of its item. */
  readonly jsonResults?: boolean
  /** Takes each outcome as it settles; restored ones first. */
  readonly onOutcomes?: (outcomes: Outcome<R>[]) => void
  /** A promise while whoever takes the outcomes cannot take more. */
  readonly backlog?: () => Promise<void> | undefined
  /** Aborts when nobody wants the outcomes any more. */
  readonly abandoned?: AbortSignal
  /** Time and chance; the machine's own when not given. Given, like `claim`, by simulations. */
  readonly clock?: Clock
  readonly claim?: Pick<SessionOptions, 'place' | 'isLeaseIgnored'>
}

/** One run from its options to its report: what `execute` and `stream` have in common. */
export async function performRun<T, R>(
  ref: TaskRef<T, R>,
  items: Iterable<T> | AsyncIterable<T>,
  options: ResolvedOptions<T>,
  engines: Engines,
  origin: RunOrigin<R>,
): Promise<Report<R, T>> {
  checkItems(items)
  const clock = origin.clock ?? systemClock
  const began = clock.now()
  const task = await resolveTask(ref)
  const emitter = createEmitter(options.on)
  const drain = createDrain(emitter.emit)
  const run: Run<T, R> = { task, options, engines, origin, clock, emitter, drain, began, saveNow: () => {} }
  const stopWatching = watchReasons(run)
  const alive = setInterval(() => {}, KEEP_ALIVE_MS)
  try {
    return await carryOut(run, items)
  } finally {
    clearInterval(alive)
    stopWatching()
  }
}

/** A run that only waits has nothing else that keeps the process alive. Any long time will do, in ms. */
const KEEP_ALIVE_MS = 2 ** 30

/** Drains when the signal aborts, when the machine is about to go, or when nobody takes the outcomes any more. */
function watchReasons<T, R>(run: Run<T, R>): () => void {
  const { drain, emitter } = run
  const { signal, preempt } = run.options
  const { abandoned } = run.origin
  const onAbort = () => drain.begin(signal?.reason)
  const onAbandon = () => drain.begin(abandoned?.reason)
  const hearers = { onNotice: drain.begin, onAdvice: () => run.saveNow(), emit: emitter.emit }
  const watch = preempt ? watchPreemption(preempt, hearers) : undefined
  signal?.addEventListener('abort', onAbort, { once: true })
  abandoned?.addEventListener('abort', onAbandon, { once: true })
  if (signal?.aborted) onAbort()
  return () => {
    signal?.removeEventListener('abort', onAbort)
    abandoned?.removeEventListener('abort', onAbandon)
    watch?.close()
  }
}

/** What every part of a run needs. */
interface Run<T, R> {
  readonly task: ResolvedTask<T, R>
  readonly options: ResolvedOptions<T>
  readonly engines: Engines
  readonly origin: RunOrigin<R>
  readonly clock: Clock
  readonly emitter: Emitter
  readonly drain: Drain
  /** When it began, on the clock's monotonic time, in ms. */
  readonly began: number
  /** Starts a flush, once there is a session to flush: the machine may go before long. */
  saveNow: () => void
}

/** Counts kept by the engines and the retry stage. */
type Counts = Tally & { retries: number }

async function carryOut<T, R>(run: Run<T, R>, items: Iterable<T> | AsyncIterable<T>): Promise<Report<R, T>> {
  const { task, options, origin, clock, emitter, drain } = run
  const array = isArrayLike<T>(items) ? items : undefined
  const keys = array && options.key ? Array.from(array, createKeys(options.key)) : undefined
  const shard = readShard(options.shard, process.env)
  const identity = await identify(task, array, options, origin.keyLabel, emitter.emit)
  const session = await openCheckpoint({
    task,
    identity,
    options,
    shard,
    isArray: array !== undefined,
    command: origin.command,
    isDerived: origin.derived ?? false,
    clock,
    claim: origin.claim,
    emit: emitter.emit,
    fail: drain.fail,
  })
  let isClosed = false
  // A flush that fails is told by the session itself.
  if (session) run.saveNow = () => void session.flush().catch(() => {})
  try {
    const selected = createSelection(array, keys, session, shard, options)
    const source = array
      ? arraySource(array, keys, selected.selection, selected.pending)
      : iterableSource(items, options.key && createKeys(options.key), selected.selection)
    const journey = await prepare(run, options.runId ?? deriveRunId(identity), session, source, selected)
    if (session) {
      const kept = { keepFailures: options.retryFailed === false, isKeyedIterable: !array && options.key !== undefined }
      await restoreOutcomes(session.restored, journey.collector, selected, kept)
    }
    if (keys) session?.recordEnd(keys.length) // Keyed items come and go, so their number is not part of what the run is.
    await dispatchAll(run, journey)
    if (source.total !== undefined && !array) session?.recordEnd(source.total)
    isClosed = true
    await session?.close().catch(drain.fail)
    return finish(run, journey, selected.total(source))
  } finally {
    if (!isClosed) await session?.close().catch(() => {}) // The error that led here is the one to be told.
  }
}

/** A run on its way. */
interface Journey<T, R> {
  readonly runId: string
  readonly session: Session | undefined
  readonly source: Source<T>
  readonly planner: Planner
  readonly collector: Collector<T, R>
  readonly counts: Counts
  /** Items that were to be dispatched when it set out; undefined when nobody knew. */
  readonly pending: number | undefined
}

async function prepare<T, R>(
  { task, options, engines, origin, clock, emitter, drain }: Run<T, R>,
  runId: string,
  session: Session | undefined,
  source: Source<T>,
  selected: Selected<T>,
): Promise<Journey<T, R>> {
  const planner = createPlanner({
    task: `${task.identity.module}#${task.identity.export}`,
    mode: options.mode,
    needsThreads: options.timeout !== undefined || options.resourceLimits !== undefined || session !== undefined,
    maxWorkers: engines.maxWorkers,
    chunkSize: options.chunkSize,
  })
  const collector = createCollector<T, R>({
    options,
    emitter,
    clock,
    session,
    codec: options.checkpoint && (await loadCodec(options.checkpoint.format)),
    onOutcomes: origin.onOutcomes,
    length: () => source.total,
    total: () => selected.total(source),
    onTooManyFailures: () => drain.begin(new Error('more items failed than maxFailures tolerates')),
    onSample: (values) => {
      if (options.collect) warnOfSize(values, source.total, planner.warn)
    },
  })
  const counts: Counts = { attempts: 0, crashes: 0, timeouts: 0, chunks: 0, taskTime: 0, retries: 0 }
  return { runId, session, source, planner, collector, counts, pending: source.left }
}

/** Sends all pending items down the stages. */
async function dispatchAll<T, R>(run: Run<T, R>, journey: Journey<T, R>): Promise<void> {
  const { options, engines, drain, emitter, origin } = run
  const { source, planner, collector, session, counts } = journey
  if (drain.signal.aborted || (source.left === 0 && source.total !== undefined)) return
  const opened = new Map<Engine, EngineRun<T, R>>()
  const circuit = options.breaker && breaker<T, R>(options.breaker)
  if (circuit) warnOfIdleBreaker(options, emitter)
  const stages: Stage<T, R>[] = [
    retry<T, R>(options.retry, counts),
    ...(circuit ? [circuit.stage] : []),
    ...(session ? [checkpoint<T, R>(session, options.maxCrashes)] : []),
  ]
  const dispatches = new Map<Engine, Dispatch<T, R>>()
  const dispatchOf = (engine: Engine): Dispatch<T, R> => {
    const known = dispatches.get(engine)
    if (known) return known
    const engineRun = engine.start<T, R>(describeRun(run, journey, () => growth.measured()))
    const dispatch = compose(stages, engineRun.dispatch)
    opened.set(engine, engineRun)
    dispatches.set(engine, dispatch)
    return dispatch
  }

  const growth = await startGrowth({
    planner,
    engines,
    unsettled: () => journey.pending && journey.pending - collector.counts.dispatched,
    onPlan: () => emitter.emit('plan', planner.describe(source.left)),
    fail: drain.fail,
  })

  const context: Omit<RunContext<T, R>, 'rest'> = {
    draining: drain.signal,
    clock: run.clock,
    emit: emitter.emit,
    settle: collector.settle,
    fail: drain.fail,
  }
  try {
    await runLoop<T, R>({
      source,
      context,
      room: createRoom(drain.signal),
      route: () => {
        const engine = growth.pool && planner.mode(source.left) === 'threads' ? growth.pool : engines.inline
        return { places: engine.places, dispatch: dispatchOf(engine) }
      },
      chunkSize: () => planner.chunkSize(source.left),
      backlog: () => session?.backlog ?? origin.backlog?.(),
      saved: async () => session?.flush(),
    })
  } finally {
    growth.close()
    circuit?.close()
    for (const engineRun of opened.values()) engineRun.end()
    await source.close()
  }
}

/** Without retries and without tolerance the first failure ends the run, so a breaker has nothing to do. */
function warnOfIdleBreaker({ retry, maxFailures }: Pick<ResolvedOptions, 'retry' | 'maxFailures'>, { emit }: Emitter): void {
  const tolerated = 'count' in maxFailures ? maxFailures.count : maxFailures.share
  if (retry.retries > 0 || tolerated > 0) return
  const message =
    "The breaker cannot act: with 'retry: 0' and 'maxFailures: 0' the first failure ends the run. Allow retries or failures"
  emit('warning', { code: 'BREAKER_IDLE', message })
}

/** What an engine is told of the run. */
function describeRun<T, R>(run: Run<T, R>, { runId, planner, counts }: Journey<T, R>, onMeasured: () => void): EngineRunOptions {
  const { task, options, origin, emitter } = run
  return {
    setup: {
      runId,
      task: task.spec,
      shared: options.shared,
      seed: options.seed,
      record: options.checkpoint?.format,
      jsonResults: origin.jsonResults ?? false,
      timed: options.timeout !== undefined,
    },
    load: () => loadHere(task) as Promise<TaskFunction<unknown, unknown>>,
    timeout: options.timeout,
    maxCrashes: options.maxCrashes,
    drainTimeout: options.drainTimeout,
    observe: (measured) => {
      planner.observe({ ...measured, now: run.clock.now() })
      onMeasured()
    },
    tally: counts,
    workerExit: (threadId, index, reason) => emitter.emit('workerExit', { threadId, index, reason }),
    itemTime: () => planner.itemTime,
  }
}

/** The report, or the error that carries it. */
function finish<T, R>(run: Run<T, R>, journey: Journey<T, R>, total: number | undefined): Report<R, T> {
  const { collector, planner, runId } = journey
  const { counts: settled } = collector
  collector.finish(journey.source.total)
  const isComplete = total !== undefined && settled.succeeded + settled.failed === total
  const plan = planner.describe(journey.pending)
  const report: Report<R, T> = {
    runId,
    status: isComplete ? 'complete' : 'partial',
    results: collector.results,
    failures: collector.failures,
    plan,
    stats: countUp(journey, total ?? settled.succeeded + settled.failed, run.clock.now() - run.began, plan.workers),
  }
  const error = (run.drain.isFatal && run.drain.error()) || collector.excess() || (isComplete ? undefined : run.drain.error())
  if (!error) return report
  throw Object.assign(error, { report })
}

function countUp(journey: Journey<unknown, unknown>, items: number, wallTime: number, workers: number): Stats {
  const { collector, session, counts } = journey
  const { succeeded, failed, restored, dispatched } = collector.counts
  return {
    items,
    dispatched,
    restored,
    succeeded,
    failed,
    attempts: counts.attempts,
    retries: counts.retries,
    crashes: counts.crashes,
    timeouts: counts.timeouts,
    chunks: counts.chunks,
    checkpoints: session?.stats.checkpoints ?? 0,
    bytesWritten: session?.stats.bytesWritten ?? 0,
    damaged: session?.restored.damaged ?? 0,
    conflicts: session?.restored.conflicts ?? 0,
    wallTime,
    taskTime: counts.taskTime,
    utilization: wallTime > 0 ? Math.min(1, counts.taskTime / (workers * wallTime)) : 0,
  }
}
