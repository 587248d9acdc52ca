import { mkdtempSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createExecutor, type Events, type ExecuteOptions, execute } from 'pawl'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { openLatch, range, sharedCells, whenSet } from '../execute/calls.ts'
import { spin } from '../fixtures/tasks/where.mjs'

/** Loads in some threads; in others its import waits for ever. */
const SOME = { module: new URL('../fixtures/tasks/loads-some.mjs', import.meta.url), export: 'run' }

/** So many items of 10 ms take a thread four times as long as another may be late. */
const PLENTY = 1000

const ONE_BY_ONE: ExecuteOptions = { mode: 'threads', workers: 2, chunkSize: 1 }

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pawl-late-'))
  vi.stubEnv('LOADS_IN', directory)
})
afterEach(() => vi.unstubAllEnvs())

/** What items of SOME share. */
const newCells = (items = 2 * PLENTY) => ({ starts: sharedCells(items), met: sharedCells(1), latch: sharedCells(1) })

/** So many threads have begun to import the task SOME. */
const imported = (count: number) => vi.waitFor(() => expect(readdirSync(directory).length).toBe(count), 30_000)

/** `first`, then `work` until `isDone`, or PLENTY of it: no thread is ever idle. */
function* busy<T>(first: readonly T[], work: T, isDone: () => boolean): Generator<T> {
  yield* first
  for (let count = 0; count < PLENTY && !isDone(); count++) yield work
}

/** Knows when all items before `count` have settled. */
function settledBefore(count: number) {
  let left = count
  const outcome = ({ index }: Events['outcome']) => {
    if (index < count) left--
  }
  return { outcome, isDone: () => left === 0 }
}

describe('while no thread is idle', () => {
  test('a suspect whose own thread does not come up runs in another', async () => {
    vi.stubEnv('LOADS', '2')
    const first = ['meet', ...range(20).map(() => 'fine'), 'die']
    const shared = newCells()
    const { outcome, isDone } = settledBefore(first.length)
    const options = { ...ONE_BY_ONE, shared, on: { outcome } }
    const { results, stats } = await execute<string, number>(SOME, busy(first, 'work', isDone), options)
    expect(results.length).toBeLessThan(PLENTY)
    expect(readdirSync(directory)).toHaveLength(3)
    expect(new Set(results).size).toBe(2)
    expect(shared.starts[21]).toBe(2)
    expect(stats).toMatchObject({ succeeded: results.length, attempts: results.length + 1, crashes: 1 })
  })

  test.each([1, 4])('what was sent to a thread that does not come up runs in another, in chunks of %i', async (chunkSize) => {
    vi.stubEnv('LOADS', '1')
    const shared = newCells()
    const { outcome, isDone } = settledBefore(200)
    const options = { ...ONE_BY_ONE, chunkSize, shared, on: { outcome } }
    const { results, stats } = await execute<string, number>(SOME, busy([], 'work', isDone), options)
    expect(results.length).toBeLessThan(PLENTY)
    expect(readdirSync(directory)).toHaveLength(2)
    expect(new Set(results).size).toBe(1)
    expect(stats).toMatchObject({ succeeded: results.length, attempts: results.length })
  })

  test('what waits behind a task that does not come up runs in another thread', async () => {
    await using executor = createExecutor(ONE_BY_ONE)
    await leaveLate(executor)
    const { outcome, isDone } = settledBefore(200)
    const { results } = await executor.execute(spin, busy([], 10, isDone), { on: { outcome } })
    expect(results.length).toBeLessThan(PLENTY)
    expect(new Set(results.map(({ threadId }) => threadId)).size).toBe(1)
  })
})

test('a task that loads for long in every thread, also in those of suspects, runs each item once', async () => {
  vi.stubEnv('LOADS', '9')
  vi.stubEnv('LOADS_FOR', '3000')
  const items = ['meet', 'fine', 'die', 'die', ...range(600).map(() => 'work')]
  const shared = newCells(items.length)
  const { stats } = await execute<string, number>(SOME, items, { ...ONE_BY_ONE, shared })
  expect([...shared.starts]).toEqual(items.map((item) => (item === 'die' ? 2 : 1)))
  expect(stats).toMatchObject({ succeeded: items.length, attempts: items.length + 2, crashes: 2 })
})

describe('a thread that loads the task of a run that is over', () => {
  beforeEach(() => {
    // As far as pawl knows the time, which goes on only while the test waits for something of its own, and where it is advanced.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  })
  afterEach(() => void vi.useRealTimers())

  // Of two items that which waits is in the thread that is up, behind the other; of four one has been sent to the late thread.
  test.each([2, 4])('is ended 10 s later, and replaced in a run of %i items', async (count) => {
    await using executor = createExecutor(ONE_BY_ONE)
    await leaveLate(executor)
    vi.stubEnv('LOADS', '9')
    const exits: Events['workerExit'][] = []
    const shared = newCells(count)
    const items = ['wait', ...range(count - 1).map(() => 'fine')]
    const run = executor.execute<string, number>(SOME, items, { shared, on: { workerExit: (it) => void exits.push(it) } })
    await whenSet(shared.starts, 0)
    vi.advanceTimersByTime(11_000)
    await whenSet(shared.starts, count - 1)
    openLatch(shared.latch)
    const { results, stats } = await run
    expect(results.at(-1)).not.toBe(results[0])
    expect(stats).toMatchObject({ succeeded: count, attempts: count, crashes: 0 })
    const reason = { message: 'the worker was ended: it was loading the task of a run that is over, or was told to stop' }
    expect(exits).toMatchObject(count === 2 ? [] : [{ index: undefined, reason }])
  })
})

/** A run of SOME on two threads, in the second of which it never comes up. */
async function leaveLate(executor: Pick<ReturnType<typeof createExecutor>, 'execute'>): Promise<void> {
  vi.stubEnv('LOADS', '1')
  const shared = newCells(3)
  const run = executor.execute(SOME, ['wait', 'fine', 'fine'], { shared })
  await Promise.all([whenSet(shared.starts, 0), imported(2)])
  openLatch(shared.latch)
  expect(new Set((await run).results).size).toBe(1)
}
