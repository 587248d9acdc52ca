import { createExecutor, type Events, execute } from 'pawl'
import { describe, expect, test } from 'vitest'
import { range, sharedCells, whenSet } from '../execute/calls.ts'
import { spin } from '../fixtures/tasks/where.mjs'

/** Item AT leaves something behind in its thread that runs for ever; it opens `latch` as it begins. `starts` tells how often each item began. */
interface Shared {
  readonly as: 'timer' | 'microtask'
  readonly starts: Int32Array<SharedArrayBuffer>
  readonly latch: Int32Array<SharedArrayBuffer>
}

const leaves = (item: number, { shared }: { shared: unknown }) => {
  const { as, starts, latch } = shared as Shared
  const begin = () => {
    Atomics.store(latch, 0, 1)
    Atomics.notify(latch, 0)
  }
  const loop = () => {
    begin()
    queueMicrotask(loop)
  }
  if (item < 20) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2) // Long enough for another thread to be started.
  if (Atomics.add(starts, item, 1) > 0 || item !== 20) return item * 2
  if (as === 'timer')
    setTimeout(() => {
      begin()
      for (;;);
    }, 1)
  else queueMicrotask(loop)
  return item * 2
}

const REASON =
  'the worker was ended: it ran none of the next items, and something that earlier ones left behind instead, such as a timer'
const COUNT = 600
const DOUBLED = range(COUNT).map((item) => item * 2)
const newShared = (as: Shared['as']): Shared => ({ as, starts: sharedCells(COUNT), latch: sharedCells(1) })

/** The items: those behind 20 when what that left behind runs. */
async function* items({ latch }: Shared): AsyncGenerator<number> {
  yield* range(21)
  await whenSet(latch, 0)
  yield* range(COUNT).slice(21)
}

/** What a run tells of threads that end. */
function hearExits() {
  const exits: Events['workerExit'][] = []
  return { exits, on: { workerExit: (it: Events['workerExit']) => void exits.push(it) } }
}

describe('what an item leaves behind in its thread, and runs there for ever', () => {
  const inChunks = (['timer', 'microtask'] as const).flatMap((as) => [1, 8].map((chunkSize) => ({ as, chunkSize })))
  test.each(inChunks)(
    'has the thread ended under `timeout`, and nobody charged: $as, chunks of $chunkSize',
    async ({ as, chunkSize }) => {
      const { exits, on } = hearExits()
      const shared = newShared(as)
      const options = { mode: 'threads', workers: 1, timeout: 1000, chunkSize, shared, on } as const
      const { results, stats } = await execute(leaves, items(shared), options)
      expect(results).toEqual(DOUBLED)
      expect(exits).toMatchObject([{ index: undefined, reason: { message: REASON } }])
      expect(stats).toMatchObject({ succeeded: COUNT, attempts: COUNT, crashes: 0, timeouts: 0 })
      expect(new Set(shared.starts)).toEqual(new Set([1]))
    },
  )

  test('has the thread ended without `timeout`, too, where no other can do its work', async () => {
    const { exits, on } = hearExits()
    const shared = newShared('timer')
    const { results } = await execute(leaves, items(shared), { mode: 'threads', workers: 1, chunkSize: 8, shared, on })
    expect(results).toEqual(DOUBLED)
    expect(exits).toMatchObject([{ index: undefined, reason: { message: REASON } }])
  })

  test('leaves what the thread was sent to another, which does not wait for its end', async () => {
    const { exits, on } = hearExits()
    const shared = newShared('timer')
    const { results, stats } = await execute(leaves, items(shared), { mode: 'threads', workers: 2, chunkSize: 1, shared, on })
    expect(results).toEqual(DOUBLED)
    expect(exits).toEqual([])
    expect(stats).toMatchObject({ succeeded: COUNT, attempts: COUNT, crashes: 0 })
  })
})

describe('what an item of an earlier run left behind in its thread, and runs there for ever', () => {
  // What a run shares may take long to read, and has the thread given its time for that.
  test.each([
    { timeout: 1000, shares: false },
    { timeout: undefined, shares: true },
  ])('has the thread ended in a later run, which takes its task for none that loads: %o', async ({ timeout, shares }) => {
    await using executor = createExecutor({ mode: 'threads', workers: 1, chunkSize: 1 })
    const { exits, on } = hearExits()
    const warnings: string[] = []
    const shared = newShared('timer')
    expect((await executor.execute(leaves, [20], { shared })).results).toEqual([40])
    await whenSet(shared.latch, 0)
    const heard = { ...on, warning: ({ code }: Events['warning']) => void warnings.push(code) }
    const own = shares ? { shared: newShared('timer') } : { timeout }
    const { results, stats } = await executor.execute(spin, [0, 0, 0], { ...own, on: heard })
    expect(results).toHaveLength(3)
    expect(stats).toMatchObject({ attempts: 3, crashes: 0, timeouts: 0 })
    expect(exits).toMatchObject([{ index: undefined, reason: { message: REASON } }])
    expect(warnings).toEqual([])
  })
})

test('a task that takes longer to load than a thread may be deaf is waited for, in a thread that ran others', async () => {
  await using executor = createExecutor({ mode: 'threads', workers: 1 })
  await executor.execute(spin, [0])
  const { exits, on } = hearExits()
  const task = new URL('../fixtures/tasks/loads-busily.mjs', import.meta.url)
  const { results } = await executor.execute<number, number>(task, [1, 2, 3], { timeout: 1000, on })
  expect(results).toEqual([2, 4, 6])
  expect(exits).toEqual([])
})
