import { expect, vi } from 'vitest'
import { History } from './history.ts'
import type { Told } from './life.ts'
import { takeOver, type World } from './world.ts'

/** The real one counts from the start of the machine, and rounds, so that a history would not be the same elsewhere. */
vi.mock('../../src/engine/flight-recorder.ts', async (original) => ({
  ...(await original<typeof import('../../src/engine/flight-recorder.ts')>()),
  sharedNow: () => Math.trunc(performance.now()),
}))

/** What goes through the real one comes when the event loop likes. */
vi.mock('node:worker_threads', async (original) => {
  const { SimulatedChannel, SimulatedPort } = await import('./channel.ts')
  const receiveMessageOnPort = (port: InstanceType<typeof SimulatedPort>) => port.take()
  return { ...(await original<typeof import('node:worker_threads')>()), MessageChannel: SimulatedChannel, receiveMessageOnPort }
})

/**
 * A SIMULATION of runs that go wrong. The planner, the run loop, all stages, the pool, the checkpoint's session with its log,
 * leases, compaction and loading, the collector and what restores are the real ones. Simulated are time and chance (world.ts),
 * threads and what runs in them (workers.ts), and the store with the disk behind it (disk.ts): workers crash, hang, slow down,
 * come up late and answer in parts; calls of the store take long, fail for a while, or are done in part; a power cut takes
 * what was not synced; sessions are killed, stopped (SIGSTOP) and drained between any two things that happen to them, and two
 * may be at work at once. What may be expected of that is in oracle.ts: the promises 1, 2, 6, 7, 9 and 10.
 *
 * Each history comes from a seed, and that one again with all that happened in it by
 *
 *     PAWL_SEED=123 npx vitest run test/simulation
 *
 * PAWL_HISTORIES=100000 tells more of them than the 10,000 of every test run. That the simulation sees faults is shown by
 * `node test/simulation/mutations.mjs`, which puts some in; CONTRIBUTING.md tells what caught each.
 */
const ALL = Number(process.env.PAWL_HISTORIES ?? 10_000)
const ONE = process.env.PAWL_SEED === undefined ? undefined : Number(process.env.PAWL_SEED)

/** So many that do not hold are told; more would say the same. */
const MAX_TOLD = Number(process.env.PAWL_MAX_TOLD ?? 5)

/** Tells the histories of every second seed, from `first` on, and expects what was promised to hold in all of them. */
export async function tellHistories(first: 1 | 2): Promise<void> {
  const sums = { histories: 0, sessions: 0, kills: 0, powerCuts: 0, damages: 0, acknowledged: 0 }
  const broken: string[] = []
  await withTeller(async (tell) => {
    for (const seed of seedsFrom(first)) {
      const told = await tell(new History(seed, ONE !== undefined))
      for (const name of ['sessions', 'kills', 'powerCuts', 'damages', 'acknowledged'] as const) sums[name] += told[name]
      sums.histories++
      if (told.violation !== undefined) broken.push(describe(told))
      if (broken.length >= MAX_TOLD) break
    }
  })
  expect(broken, 'histories in which a promise does not hold').toEqual([])
  // A history in which nothing goes wrong, or nothing is at stake, shows nothing.
  if (sums.histories >= 1000) {
    expect(sums.kills).toBeGreaterThan(sums.histories / 3)
    expect(sums.powerCuts).toBeGreaterThan(sums.histories / 10)
    expect(sums.damages).toBeGreaterThan(sums.histories / 100)
    expect(sums.acknowledged).toBeGreaterThan(sums.histories * 3)
  }
}

/**
 * Tells the histories of the first `count` seeds twice, and expects the same to happen in the same order. The second time all
 * modules are new: what pawl remembers for the life of a process would make another history.
 */
export async function tellTwice(count: number): Promise<void> {
  const tellAll = async (): Promise<(readonly string[])[]> => {
    const { History } = await import('./history.ts')
    const all: (readonly string[])[] = []
    await withTeller(async (tell) => {
      for (let seed = 1; seed <= count; seed++) all.push((await tell(new History(seed, true))).lines)
    })
    return all
  }
  const once = await tellAll()
  vi.resetModules()
  const again = await tellAll()
  for (let at = 0; at < count; at++) {
    expect(again[at], `seed ${at + 1}`).toEqual(once[at])
    expect(again[at]?.length).toBeGreaterThan(10)
  }
}

type Tell = (history: History) => Promise<Told>

/** Calls `work` with what tells a history, one at a time, in its own time. */
async function withTeller(work: (tell: Tell) => Promise<void>): Promise<void> {
  await loadAll()
  let history: History | undefined
  let world: World | undefined
  const giveBack = takeOver(() => world)
  const onRejection = (reason: unknown) => history?.blame(`an unhandled rejection: ${(reason as Error)?.stack ?? reason}`)
  const { stackTraceLimit } = Error
  process.on('unhandledRejection', onRejection)
  if (ONE === undefined) Error.stackTraceLimit = 0 // They cost a tenth of the time, and nobody reads them.
  try {
    await work(async (next) => {
      history = next
      world = next.world
      const told = await next.tell()
      world = undefined
      return told
    })
  } finally {
    Error.stackTraceLimit = stackTraceLimit
    process.off('unhandledRejection', onRejection)
    giveBack()
  }
}

function* seedsFrom(first: number): Iterable<number> {
  if (ONE === undefined) for (let seed = first; seed <= ALL; seed += 2) yield seed
  else if (ONE % 2 === first % 2) yield ONE
}

function describe({ seed, violation, lines }: Told): string {
  if (lines.length > 0) console.log(lines.join('\n'))
  return `seed ${seed}: ${violation}\n(again: PAWL_SEED=${seed} npx vitest run test/simulation)`
}

/** What a run loads when it first uses it comes from the real disk, in its own time; once it is there, within a turn. */
async function loadAll(): Promise<void> {
  await Promise.all([import('opossum'), import('p-retry')])
  await Promise.all([import('../../src/checkpoint/session/open.ts'), import('../../src/checkpoint/identity/digest-items.ts')])
  await Promise.all([import('../../src/values/json.ts'), import('../../src/values/msgpack.ts')])
}
