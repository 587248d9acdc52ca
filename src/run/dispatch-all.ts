import { AsyncResource } from 'node:async_hooks'
import { type Drain, untilDrained } from '../drain.ts'
import type { Engine, EngineRunOptions } from '../engine/engine.ts'
import { describeShortage } from '../engine/shortage.ts'
import type { Emitter } from '../events.ts'
import { cut } from '../items/chunk.ts'
import type { ResolvedOptions } from '../options/options.ts'
import { breaker } from '../stages/breaker.ts'
import { checkpoint } from '../stages/checkpoint.ts'
import { retry } from '../stages/retry.ts'
import { compose, countOf, type Dispatch, NOTHING, type RunContext, type Stage } from '../stages/stage.ts'
import type { Outcomes } from '../types.ts'
import { wordedWarning } from '../wording.ts'
import { type Growth, startGrowth } from './growth.ts'
import type { Journey, Run } from './journey.ts'
import { runLoop, sourceError } from './loop.ts'
import { describeProgramAgain } from './program-again.ts'
import { setUp } from './setup.ts'
import { watchLoading } from './slow-load.ts'

/**
 * What it is given, in the asynchronous context of the run: a thread is heard in that of the run which started it, and listeners
 * and stores would be told that they are called for that one.
 */
const inRun = AsyncResource.bind

/** Sends all pending items down the stages. */
export async function dispatchAll<T, R>(run: Run<T, R>, journey: Journey<T, R>): Promise<void> {
  const { options, engines, drain, emitter, origin } = run
  const { source, planner, collector, session, counts } = journey
  if (source.left === 0 && source.total !== undefined) return
  if (drain.signal.aborted) return findItems(drain, journey)
  const circuit = options.breaker && breaker<T, R>(options.breaker)
  if (circuit) warnOfIdleBreaker(options, emitter)
  const stages: Stage<T, R>[] = [
    retry<T, R>(options.retry, counts),
    ...(circuit ? [circuit.stage] : []),
    ...(session ? [checkpoint<T, R>(session, options.maxCrashes)] : []),
  ]
  const opened = perEngine((engine) => engine.start<T, R>(describeRun(run, journey, growth)))
  const dispatches = perEngine((engine) => {
    const here = opened.on(engine).dispatch
    const elsewhere = async () => opened.on(await growth.open()).dispatch
    return compose(stages, engine === engines.inline ? moveOn(here, growth, elsewhere) : here)
  })
  const unsettled = () => journey.pending && journey.pending - collector.counts.dispatched
  const growth: Growth = await startGrowth({
    planner,
    engines,
    unsettled,
    onPlan: () => emitter.emit('plan', planner.describe(unsettled())),
    fail: drain.fail,
  })
  const loadingFor = () => Math.max(0, ...Array.from(opened.all(), (engineRun) => engineRun.loadingFor()))
  const stopWatching = watchLoading(loadingFor, emitter.emit)

  const context: Omit<RunContext<T, R>, 'rest' | 'lend'> = {
    draining: drain.signal,
    clock: run.clock,
    emit: emitter.emit,
    settle: inRun(collector.settle),
    setAside: collector.setAside,
    fail: inRun(drain.fail),
  }
  try {
    await runLoop<T, R>({
      source,
      context,
      route: () => {
        const engine = growth.pool && planner.mode(source.left) === 'threads' ? growth.pool : engines.inline
        return { places: opened.on(engine).places, dispatch: dispatches.on(engine) }
      },
      chunkSize: () => planner.chunkSize(source.left),
      backlog: () => session?.backlog ?? origin.backlog?.(),
      saved: async () => session?.flush(),
    })
  } finally {
    growth.close()
    stopWatching()
    circuit?.close()
    for (const engineRun of opened.all()) engineRun.end()
    await source.close()
  }
}

/** Pending items that are pulled at once on the way to others. Higher: more are pulled behind the last of these. */
const PASSED_OVER = 100

/**
 * Where more failures were restored than are tolerated, has an iterable give the items that no record holds. Nothing else of it
 * is used, and whoever wants the run to end does not wait for it.
 */
async function findItems<T, R>({ hastened, fail }: Drain, { collector, source }: Journey<T, R>): Promise<void> {
  try {
    while (!hastened.aborted && source.total === undefined && collector.lacksItems && collector.excess()) {
      const chunk = await untilDrained(hastened, source.next(PASSED_OVER)).catch((error) => fail(sourceError(error)))
      if (!chunk) return
    }
  } finally {
    await source.close()
  }
}

/** What `make` makes for each engine, once it is asked for. */
function perEngine<V>(make: (engine: Engine) => V): { on(engine: Engine): V; all(): Iterable<V> } {
  const made = new Map<Engine, V>()
  return {
    on(engine) {
      const known = made.get(engine)
      if (known !== undefined) return known
      const fresh = make(engine)
      made.set(engine, fresh)
      return fresh
    },
    all: () => made.values(),
  }
}

/**
 * What `here` leaves of a chunk goes to `elsewhere`, unless a drain is the reason; all of it, when what was measured since the
 * chunk was on its way speaks against `here`.
 */
function moveOn<T, R>(here: Dispatch<T, R>, { mayStayInline }: Growth, elsewhere: () => Promise<Dispatch<T, R>>): Dispatch<T, R> {
  return async (chunk, context) => {
    let settled = 0
    const settle = (early: Outcomes<T, R>) => {
      settled += countOf(early)
      context.settle(early)
    }
    const outcomes = mayStayInline() ? await here(chunk, { ...context, settle }) : NOTHING
    settled += countOf(outcomes)
    if (settled === chunk.items.length || context.draining.aborted) return outcomes
    const dispatch = await elsewhere()
    const rest = await dispatch(cut(chunk, settled, chunk.items.length), context)
    return { fulfilled: [...outcomes.fulfilled, ...rest.fulfilled], rejected: [...outcomes.rejected, ...rest.rejected] }
  }
}

/** Without retries and without tolerance the first failure ends the run, so a breaker has nothing to do. */
function warnOfIdleBreaker({ retry, maxFailures }: Pick<ResolvedOptions, 'retry' | 'maxFailures'>, { emit }: Emitter): void {
  const tolerated = 'count' in maxFailures ? maxFailures.count : maxFailures.percentage
  if (retry.retries > 0 || tolerated > 0) return
  const message =
    "The breaker cannot act: with 'retry: 0' and 'maxFailures: 0' the first failure ends the run. Allow retries or failures"
  emit('warning', { code: 'BREAKER_IDLE', message })
}

/** What an engine is told of the run. */
function describeRun<T, R>(
  run: Run<T, R>,
  { runId, planner, counts, collector }: Journey<T, R>,
  growth: Growth,
): EngineRunOptions {
  const { task, options, origin, emitter } = run
  let isTold = false
  let isShort = false
  return {
    ...setUp(task, options, {
      runId,
      ...(origin.keepsShared ? { keepsShared: true } : {}),
      record: options.checkpoint?.format,
      jsonResults: origin.jsonResults ?? false,
    }),
    maxCrashes: options.maxCrashes,
    observe: inRun((measured) => {
      planner.observe({ ...measured, now: run.clock.now() })
      growth.measured(measured.taskTime)
    }),
    readRecord: collector.readRecord,
    tally: counts,
    workerExit: inRun((threadId, index, reason) => {
      if (index !== undefined) planner.beware()
      emitter.emit('workerExit', { threadId, index, reason })
    }),
    ranAgain: inRun((workers) => {
      if (!isTold) emitter.emit('warning', { code: 'PROGRAM_RAN_AGAIN', message: describeProgramAgain(workers) })
      isTold = true
    }),
    onShortage: inRun((count, wanted, error) => {
      if (!isShort) emitter.emit('warning', wordedWarning('WORKERS_SHORT', describeShortage(count, wanted, error)))
      isShort = true
    }),
    itemTime: () => planner.itemTime,
    mayStayInline: growth.mayStayInline,
  }
}
