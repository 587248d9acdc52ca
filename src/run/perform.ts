import { AsyncResource } from 'node:async_hooks'
import { deriveRunId } from '../checkpoint/identity/fingerprint.ts'
import type { Session, Settled } from '../checkpoint/session/session.ts'
import { systemClock } from '../clock.ts'
import { createDrain, onAbort, untilDrained } from '../drain.ts'
import type { Engines } from '../engines.ts'
import { isPawlError } from '../errors.ts'
import { createEmitter } from '../events.ts'
import { isArrayLike, type Source } from '../items/items.ts'
import { listKeys } from '../items/keys.ts'
import { readShard } from '../items/shard.ts'
import type { ResolvedOptions } from '../options/options.ts'
import { resolveTask } from '../task/resolve-task.ts'
import type { TaskRef } from '../task/task.ts'
import type { Report } from '../types.ts'
import { loadCodec } from '../values/codec.ts'
import { option, worded, wording } from '../wording.ts'
import { createCollector } from './collector.ts'
import { dispatchAll } from './dispatch-all.ts'
import { identify } from './identity.ts'
import type { Counts, Journey, Run, RunOrigin } from './journey.ts'
import { openPlanner } from './open-planner.ts'
import { openRecord } from './open-record.ts'
import { finish } from './report.ts'
import { restoreOutcomes } from './restore.ts'
import { refuseTooMany } from './result-places.ts'
import { warnOfSize } from './result-size.ts'
import { type Selected, selectItems } from './select.ts'

/** One run from its options to its report: what `execute` and `stream` have in common. */
export async function performRun<T, R>(
  ref: TaskRef<T, R>,
  items: Iterable<T> | AsyncIterable<T>,
  options: ResolvedOptions<T>,
  engines: Engines,
  origin: RunOrigin<R>,
): Promise<Report<R, T>> {
  const clock = origin.clock ?? systemClock
  const began = clock.now()
  const task = await resolveTask(ref)
  const emitter = createEmitter(options.on)
  const drain = createDrain(emitter.emit)
  const alive = setInterval(() => {}, KEEP_ALIVE_MS)
  // Nothing is to be done until somebody takes outcomes: like a paused stream of Node, that is no reason for the process to stay.
  const backlog = () => {
    const pause = origin.backlog?.()
    if (pause) alive.unref()
    return pause && untilDrained(drain.signal, pause).finally(() => alive.ref()) // Whoever takes outcomes may have stopped.
  }
  const run: Run<T, R> = {
    task,
    options,
    engines,
    origin: { ...origin, backlog },
    clock,
    emitter,
    drain,
    began,
    saveNow: () => {},
    unsaved: undefined,
  }
  const stopWatching = await watchReasons(run)
  try {
    await engines.breathe()
    return await carryOut(run, items)
  } catch (error) {
    // Whoever left the loop over a stream may never ask for its report.
    const isUnheard = run.unsaved !== error || origin.abandoned?.aborted
    if (run.unsaved && isUnheard) emitter.emit('warning', { code: 'CHECKPOINT_FAILED', message: run.unsaved.message })
    throw error
  } finally {
    clearInterval(alive)
    stopWatching()
  }
}

const TOO_MANY = wording`more items failed than ${option('maxFailures', 'maxFailures')} tolerates`

/** A run that only waits has nothing else that keeps the process alive. Any long time will do, in ms. */
const KEEP_ALIVE_MS = 2 ** 30

/**
 * How often it is seen to it that files of the run are there as it ends. More often than twice only if they go on being deleted
 * while a store that fails is written to: whoever does that for longer has the rest run again.
 */
const MAX_LOOKS = 4

/** Drains when the signal aborts, when the machine is about to go, or when nobody takes the outcomes any more. */
async function watchReasons<T, R>(run: Run<T, R>): Promise<() => void> {
  const { drain, emitter } = run
  const { signal, preempt } = run.options
  const hasten = AsyncResource.bind(drain.hasten) // All runs may have one signal: whoever aborts it does so for none of them.
  const hearers = { onNotice: hasten, onAdvice: AsyncResource.bind(() => run.saveNow()), emit: emitter.emit }
  const watch = preempt && (await import('../preempt/preempt.ts')).watchPreemption(preempt, hearers)
  const stops = [signal, run.origin.abandoned].map((it) => onAbort(it, hasten))
  return () => {
    for (const stop of stops) stop()
    watch?.close()
  }
}

async function carryOut<T, R>(run: Run<T, R>, items: Iterable<T> | AsyncIterable<T>): Promise<Report<R, T>> {
  const { task, options, engines, origin, emitter, drain } = run
  const array = isArrayLike<T>(items) ? items : undefined
  const keys = array && options.key ? listKeys(array, options.key, origin.keys) : undefined
  const shard = readShard(options.shard, process.env)
  const identity = await identify(task, array, options, origin, emitter.emit)
  const session = await openRecord(run, identity, shard, array !== undefined)
  let isClosed = false
  let source: Source<T> | undefined
  try {
    const selected = selectItems(items, keys, session, shard, options)
    source = selected.source
    const journey = await prepare(run, options.runId ?? deriveRunId(identity, session !== undefined), session, selected)
    await origin.onOpen?.()
    if (session) await restoreFrom(session, run, journey, !array && options.key !== undefined)
    const recordItems = () => recordWhich(journey, array !== undefined)
    if (array) recordItems()
    await engines.breathe()
    await dispatchAll(run, journey)
    if (!array) recordItems()
    const { counts, excess } = journey.collector
    const hasFailed = excess() !== undefined
    if (session) await confirmAll(session, run, journey, hasFailed, recordItems)
    isClosed = true
    // A run of nothing, of a task that cannot be run, would only be in the way.
    const isVoid = isPawlError(drain.error(), 'ERR_PAWL_TASK_LOAD') && counts.succeeded + counts.failed === 0
    await session?.close(hasFailed, isVoid).catch(drain.fail)
    return finish(run, journey)
  } finally {
    await source?.close() // Also where nothing was begun with it.
    // The error that led here is the one the run ends with. What could not be written is told beside it.
    if (!isClosed) await session?.close().catch(() => {})
  }
}

/** Answers from the record what has settled before. */
async function restoreFrom<T, R>(
  { restored }: Session,
  { options, origin, drain }: Run<T, R>,
  { collector, selected }: Journey<T, R>,
  isKeyedIterable: boolean,
): Promise<void> {
  const kept = { keepFailures: options.retryFailed === false, isKeyedIterable, backlog: origin.backlog }
  await restoreOutcomes(restored, collector, selected, kept).catch((error: unknown) => {
    // What was read before the store failed is in the report.
    if (!isPawlError(error, 'ERR_PAWL_CHECKPOINT_WRITE')) throw error
    drain.fail(error)
  })
}

/** Sees to it that all that has settled is on record; `recordItems` is called again with each look that found otherwise. */
async function confirmAll<T, R>(
  session: Session,
  { drain }: Run<T, R>,
  journey: Journey<T, R>,
  hasFailed: boolean,
  recordItems: () => void,
): Promise<void> {
  const isAgain = () => session.confirm(settledIn(journey), hasFailed).catch(drain.fail)
  for (let looks = 0; looks < MAX_LOOKS && (await isAgain()); looks++) recordItems()
}

/** Records which items there are, once that is known. */
function recordWhich<T, R>({ session, source, selected: { keys } }: Journey<T, R>, isArray: boolean): void {
  if (source.total === undefined) return
  if (keys) session?.recordItems(keys)
  // Of an array their number is part of what the run is, unless they may come and go.
  if (keys || !isArray) session?.recordEnd(source.total)
}

/** As the session asks for it when files of the run are gone. */
function settledIn<T, R>({ collector, source, selected }: Journey<T, R>): Settled {
  const { results, attempts, failures, counts } = collector
  const isComplete = counts.succeeded + counts.failed === selected.total
  const complete = isComplete ? source.total : undefined
  return { results, attempts, failures, keys: selected.keys, complete, succeeded: counts.succeeded, isMine: selected.isMine }
}

async function prepare<T, R>(
  { task, options, engines, origin, clock, emitter, drain }: Run<T, R>,
  runId: string,
  session: Session | undefined,
  selected: Selected<T>,
): Promise<Journey<T, R>> {
  const { source } = selected
  refuseTooMany(options, source.total)
  const planner = openPlanner(task, options, engines)
  const collector = createCollector<T, R>({
    options,
    emitter,
    clock,
    session,
    codec: options.checkpoint && (await loadCodec(options.checkpoint.format)),
    onOutcomes: origin.onOutcomes,
    isLeft: () => origin.abandoned?.aborted === true,
    length: () => source.total,
    areNumbers: source.areNumbers ?? false,
    total: () => selected.total,
    onTooManyFailures: () => drain.begin(worded(TOO_MANY, (message) => new Error(message))),
    onSample: (values) => {
      if (options.collect) warnOfSize(values, source.total, planner.warn)
    },
  })
  const counts: Counts = { attempts: 0, crashes: 0, timeouts: 0, chunks: 0, taskTime: 0, retries: 0 }
  return { runId, session, source, selected, planner, collector, counts, pending: source.left }
}
