import type { Place } from '../../src/checkpoint/claims/place.ts'
import { createPool } from '../../src/engine/pool.ts'
import type { Engines } from '../../src/engines.ts'
import { resolveOptions } from '../../src/options/resolve-options.ts'
import { performRun } from '../../src/run/perform.ts'
import type { Outcome, Report } from '../../src/types.ts'
import { deedOf, keyOf, type TrueItem } from './items.ts'
import type { Life } from './life.ts'
import type { Oracle } from './oracle.ts'
import type { Scenario } from './scenario.ts'
import type { SimulatedStore } from './store.ts'
import { type Stage, simulatedPiscina } from './workers.ts'
import type { World } from './world.ts'

/** What a session of a history needs. */
export interface Session {
  readonly world: World
  readonly scenario: Scenario
  readonly oracle: Oracle
  readonly life: Life
  readonly store: SimulatedStore
  readonly abort: AbortController
  /** Of the task: each history has its own, since the planner remembers tasks. */
  readonly name: string
  readonly place: Place
}

export type RunError = Error & { code?: string; report?: Report }

/** What a session came to: one of the two. */
export interface End {
  readonly report: Report | undefined
  readonly error: RunError | undefined
}

/** Runs a session as its process would, up to its report or error, and lets go of its workers. */
export async function performSession(session: Session): Promise<End> {
  const { world, scenario, life, store, abort, name, place } = session
  const { process } = life
  const { clock } = process
  const pool = createPool(
    simulatedPiscina(world, process, stageOf(session)),
    { resourceLimits: undefined, record: undefined },
    clock,
  )
  const engines: Engines = {
    ...{
      pool: async () => pool,
      warm: async () => {},
      inline: pool,
      isUp: false,
      worked: 0,
      breathe: async () => {},
      maxWorkers: scenario.workers,
    },
    close: () => pool.close(),
  }
  const options = resolveOptions({
    ...optionsOf(scenario, life),
    signal: abort.signal,
    on: listenersOf(session),
    checkpoint: { ...checkpointOf(scenario), store },
  })
  const ref = { module: `data:text/javascript,export default ${name}` }
  const claim = { place, isLeaseIgnored: scenario.isLeaseIgnored }
  const run = performRun<unknown, unknown>(ref, givenItems(scenario, life, world), options, engines, { clock, claim })
  let error: RunError | undefined
  const report = await run.catch((reason) => {
    error = reason
    return undefined
  })
  await engines.close()
  return { report, error }
}

/** The items, as the session's workers find them. */
function stageOf({ world, scenario, oracle, life }: Session): Stage {
  const itemOf = (given: unknown) => scenario.items[(given as { id: number }).id] as TrueItem
  return {
    start: (given, attempt) => {
      const item = itemOf(given)
      item.starts++
      const deed = deedOf(item)
      world.trace(() => `item ${item.id} starts, attempt ${attempt}: ${deed.kind}`)
      oracle.started(life, item, attempt)
      return deed
    },
    end: (given, deed) => {
      const item = itemOf(given)
      if (deed.kind === 'crash') item.crashes++
      oracle.ended(life, item, deed)
    },
  }
}

/** Whether a session may end so, after what befell it. */
export function isExpected(error: RunError, life: Life, lives: readonly Life[], scenario: Scenario): boolean {
  const { isRemote, maxFailures, breaker } = scenario
  switch (error.code) {
    case 'ERR_PAWL_RUN_LOCKED': {
      const wasThere = (other: Life) =>
        other !== life && other.endedAt + (isRemote && !other.process.isAlive ? 60_000 : 0) >= life.beganAt
      return lives.some(wasThere)
    }
    case 'ERR_PAWL_ABORTED':
      return life.isDrained
    case 'ERR_PAWL_RUN_FAILED':
      return [...life.settled, ...life.restored.values()].filter(({ status }) => status === 'rejected').length > maxFailures
    case 'ERR_PAWL_CIRCUIT_OPEN':
      return breaker !== undefined
    case 'ERR_PAWL_CHECKPOINT_WRITE':
      return life.hasStorms
    case 'EIO':
    case 'ENOSPC':
      return life.hasStorms
    default:
      return false
  }
}

/** Tells the oracle what the run tells its user. */
function listenersOf({ world, oracle, life }: Session) {
  return {
    outcome: (outcome: Outcome) => {
      world.trace(
        () =>
          `item at ${outcome.index} ${outcome.restored ? 'restored' : 'settles'}: ${outcome.status}, ${outcome.attempts} attempts`,
      )
      oracle.settled(life, outcome)
    },
    beforeCheckpoint: (event: { runId: string; pending: number }) => oracle.beforeCheckpoint(life, event),
    afterCheckpoint: (event: { runId: string; recorded: number; bytes: number; duration: number }) => {
      world.trace(() => `checkpoint: ${event.recorded} recorded`)
      oracle.afterCheckpoint(life, event)
    },
    workerExit: ({ index, reason }: { index: number | undefined; reason: Error }) => {
      world.trace(() => `a worker is lost at ${index}: ${reason.message}`)
      life.losses++
    },
    warning: ({ code, message }: { code: string; message: string }) => {
      world.trace(() => `warning ${code}: ${message}`)
      life.warnings.add(code)
      if (code === 'LISTENER_FAILED') oracle.blame(message)
    },
  }
}

function optionsOf(scenario: Scenario, life: Life) {
  const { workers, chunkSize, retry, breaker, timeout, maxCrashes, maxFailures, retryFailed, isKeyed, source, shards, collect } =
    scenario
  return {
    ...{ workers, retry, timeout, maxCrashes, maxFailures, retryFailed, collect, drainTimeout: 500 },
    ...(chunkSize ? { chunkSize } : {}),
    ...(breaker ? { breaker: { ...breaker, maxOpens: 20 } } : {}),
    ...(isKeyed ? { key: (item: unknown) => keyOf((item as { id: number }).id) } : {}),
    ...(source !== 'array' || isKeyed ? { runId: 'run' } : {}),
    ...(life.shard !== undefined ? { shard: `${life.shard + 1}/${shards}` as const } : {}),
  }
}

function checkpointOf({ format, every, interval, durability, keep, onError }: Scenario) {
  return { format, every, interval, durability, keep, onError }
}

function givenItems({ source }: Scenario, { order, process }: Life, world: World): Iterable<unknown> | AsyncIterable<unknown> {
  const items = order.map(({ id }) => ({ id }))
  if (source === 'array') return items
  if (source === 'iterable') return items.values()
  return (async function* () {
    for (const item of items) {
      if (item.id % 4 === 0) await new Promise<void>((resolve) => world.in(item.id % 3, process, resolve))
      yield item
    }
  })()
}
