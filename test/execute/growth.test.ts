import { createExecutor, execute, type Plan } from 'pawl'
import { expect, test } from 'vitest'
import { waitForLatch } from '../fixtures/tasks/counted.mjs'
import { spin } from '../fixtures/tasks/where.mjs'
import { openLatch, range, sharedCells, whenSet } from './calls.ts'

test('items that take long get all threads, however short those of an earlier run were', async () => {
  const open = sharedCells(1)
  openLatch(open)
  await execute(waitForLatch, range(20_000), { mode: 'threads', workers: 2, shared: { latch: open } })

  const [latch, started] = [sharedCells(1), sharedCells(2)]
  const run = execute(waitForLatch, [0, 1], { mode: 'threads', workers: 2, shared: { latch, started } })
  await Promise.all([whenSet(started, 0), whenSet(started, 1)])
  openLatch(latch)
  await expect(run).resolves.toMatchObject({ results: [0, 1] })
})

test.each([
  ['with defaults', {}],
  ['in pinned chunks', { chunkSize: 1 }],
])('the last items get a thread each where an earlier run told that they take long, %s', async (_, options) => {
  for (let runs = 0; runs < 3; runs++) {
    const [latch, started] = [sharedCells(1), sharedCells(2)]
    const plans: Plan[] = []
    const on = { plan: (it: Plan) => plans.push(it) }
    const run = execute(waitForLatch, [0, 1], { workers: 2, shared: { latch, started }, on, ...options })
    await Promise.all([whenSet(started, 0), whenSet(started, 1)])
    openLatch(latch)
    await expect(run).resolves.toMatchObject({ results: [0, 1] })
    expect(plans).toMatchObject([{ mode: 'threads', workers: 2 }])
  }
})

test('they do so on an executor that has run nothing yet', async () => {
  const runOn = async (run: typeof execute) => {
    const [latch, started] = [sharedCells(1), sharedCells(2)]
    const running = run(waitForLatch, [0, 1], { shared: { latch, started } })
    await Promise.all([whenSet(started, 0), whenSet(started, 1)])
    openLatch(latch)
    await running
  }
  await runOn(execute)
  await using executor = createExecutor({ workers: 2 })
  await runOn(executor.execute)
})

test('items that take long leave the main thread, where those of an earlier run were cheap', async () => {
  const cheap = await execute(
    spin,
    range(200_000).map(() => 0),
    { workers: 2 },
  )
  expect(cheap.results.every((it) => it !== undefined)).toBe(true)

  const { results } = await execute(
    spin,
    range(40).map(() => 20),
    { workers: 2 },
  )
  expect(results.filter((it) => it.isMainThread).length).toBeLessThanOrEqual(3)
  expect(new Set(results.flatMap((it) => (it.isMainThread ? [] : it.threadId))).size).toBe(2)
})

test('items that turn slow within a chunk leave the main thread with the rest of it', async () => {
  const [cheap, slow] = [300_000, 300]
  const items = Array.from({ length: cheap + slow + cheap }, (_, at) => (at < cheap || at >= cheap + slow ? 0 : 5))
  const { results } = await execute(spin, items, { workers: 2 })
  expect(results.slice(cheap, cheap + slow).filter((it) => it.isMainThread).length).toBeLessThanOrEqual(5)
  expect(results.every((it) => it !== undefined)).toBe(true)
})
