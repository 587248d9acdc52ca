import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createExecutor, execute } from 'pawl'
import { afterEach, expect, test, vi } from 'vitest'
import { openLatch, range, sharedCells, whenSet } from '../execute/calls.ts'
import { waitForLatch, waitForOthers } from '../fixtures/tasks/counted.mjs'
import { spin } from '../fixtures/tasks/where.mjs'

afterEach(() => vi.unstubAllEnvs())

// Item 0 ends only when all others have run: they can only have run elsewhere.
test.each([1000, 500, 100])('the tail behind a slow item is taken by an idle worker, in chunks of %i', async (chunkSize) => {
  const done = sharedCells(1)
  const outcomes: number[] = []
  const report = await execute(waitForOthers, range(1000), {
    mode: 'threads',
    workers: 2,
    chunkSize,
    shared: { done, total: 1000 },
    on: { outcome: ({ index }) => void outcomes.push(index) },
  })
  const [slow, ...others] = report.results
  expect(slow?.others).toBe(999)
  expect(others.some((it) => it.threadId !== slow?.threadId)).toBe(true)
  // What the slow item's worker ran of its own chunk, it ran before nobody else could: the first item is the slow one.
  expect(others.every((it) => it.threadId !== slow?.threadId)).toBe(true)
  expect(done[0]).toBe(999)
  expect(outcomes.sort((a, b) => a - b)).toEqual(range(1000))
  expect(report.stats).toMatchObject({ succeeded: 1000, attempts: 1000, dispatched: 1000 })
})

test('the tail of a chunk whose size the planner chose is taken as well', async () => {
  const done = sharedCells(1)
  const report = await execute(waitForOthers, range(300), { mode: 'threads', workers: 3, shared: { done, total: 300 } })
  expect(report.results[0]?.others).toBe(299)
  expect(report.stats.attempts).toBe(300)
})

// A worker claims short items by sixteen: 22 to 29 are in one claim. They take longer than a thread to come up, on a busy machine as well.
test('slow items that were claimed with short ones are shared when one of them has ended', async () => {
  const items = range(60).map((index) => ((index >= 22 && index < 30) || index === 59 ? 150 : 0))
  const { results, stats } = await execute(spin, items, { mode: 'threads', workers: 2, chunkSize: 30 })
  const threads = results.slice(22, 30).map((it) => it.threadId)
  expect(new Set(threads).size).toBe(2)
  expect(stats.attempts).toBe(60)
})

// What the second thread was sent can only have run in the first, whole chunks of it and the single item of one.
test.each([1, 4])(
  'what was sent to a thread that does not come up is run by one that did, in chunks of %i',
  async (chunkSize) => {
    vi.stubEnv('LOADS_ONCE', join(mkdtempSync(join(tmpdir(), 'pawl-tail-')), 'loaded'))
    const module = new URL('../fixtures/tasks/loads-once.mjs', import.meta.url)
    const sent: number[] = []
    const { results, stats } = await execute<number, number>(
      { module, export: 'spin' },
      range(32).map(() => 10),
      { mode: 'threads', workers: 2, chunkSize, on: { plan: ({ workers }) => void sent.push(workers) } },
    )
    expect(new Set(results).size).toBe(1)
    expect(sent).toContain(2) // Or there would have been no second thread.
    expect(stats).toMatchObject({ succeeded: 32, attempts: 32, crashes: 0 })
  },
)

test('a thread that runs other tasks, and not this one, keeps nothing of it', async () => {
  vi.stubEnv('LOADS_ONCE', join(mkdtempSync(join(tmpdir(), 'pawl-tail-')), 'loaded'))
  const module = new URL('../fixtures/tasks/loads-once.mjs', import.meta.url)
  await using executor = createExecutor({ workers: 2, mode: 'threads' })
  await executor.execute(
    spin,
    range(8).map(() => 20),
  )
  const { results } = await executor.execute<number, number>(
    { module, export: 'spin' },
    range(20).map(() => 5),
  )
  expect(new Set(results).size).toBe(1)
})

test('a short item does not wait behind a long one of another run while a thread is idle', async () => {
  await using executor = createExecutor({ workers: 2, mode: 'threads' })
  await executor.execute(
    spin,
    range(8).map(() => 20),
  )
  const [latch, started] = [sharedCells(1), sharedCells(1)]
  const long = executor.execute(waitForLatch, [0], { shared: { latch, started } })
  await whenSet(started, 0)
  for (let run = 0; run < 20; run++)
    await executor.execute(
      spin,
      range(40).map(() => 0),
    )
  openLatch(latch)
  await long
})
