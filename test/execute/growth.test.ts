import { execute } from 'pawl'
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
})

test('items that turn slow within a chunk leave the main thread with the rest of it', async () => {
  const [cheap, slow] = [300_000, 300]
  const items = Array.from({ length: cheap + slow + cheap }, (_, at) => (at < cheap || at >= cheap + slow ? 0 : 5))
  const { results } = await execute(spin, items, { workers: 2 })
  expect(results.slice(cheap, cheap + slow).filter((it) => it.isMainThread).length).toBeLessThanOrEqual(5)
  expect(results.every((it) => it !== undefined)).toBe(true)
})
