import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Engine } from '../../src/engine/engine.ts'
import type { Engines } from '../../src/engines.ts'
import { createPlanner } from '../../src/plan/plan.ts'
import { startGrowth } from '../../src/run/growth.ts'

/** Engines of which only the number of threads is asked: a stand-in, since when a thread is up is not to be had by the millisecond. */
function watched({ hasBegun = true } = {}) {
  const pool = { workers: 0, hasBegun, up: async () => {} }
  const grow = (count: number) => {
    pool.workers = Math.max(pool.workers, count)
  }
  const engines = { pool: async () => Object.assign(pool, { grow }) as unknown as Engine } as Engines
  return { pool, engines }
}

let tasks = 0
async function begin(items: number, engines: Engines) {
  const planner = createPlanner({
    task: `growth ${++tasks}`,
    mode: 'threads',
    needsThreads: false,
    maxWorkers: 4,
    chunkSize: undefined,
  })
  const told = vi.fn()
  const growth = await startGrowth({ planner, engines, unsettled: () => items, onPlan: told, fail: told })
  const measure = (count: number, taskTime: number) => {
    planner.observe({ items: count, taskTime, sendTime: 0.01, now: 0 })
    growth.measured(taskTime)
  }
  return { growth, measure, told }
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test('one thread is enough for items that only seemed slow the first time', async () => {
  const { pool, engines } = watched()
  const { growth, measure, told } = await begin(1000, engines)
  measure(1, 1)
  for (let chunk = 0; chunk < 10; chunk++) measure(100, 1)
  for (let chunk = 0; chunk < 10; chunk++) {
    await vi.advanceTimersByTimeAsync(50)
    measure(100, 1)
  }
  expect(pool.workers).toBe(1)
  growth.close()
  await vi.advanceTimersByTimeAsync(1000)
  expect(pool.workers).toBe(1)
  expect(told).toHaveBeenCalledOnce()
})

test('one thread was enough for what was measured, and nothing more is heard: others are started', async () => {
  const { pool, engines } = watched()
  const { growth, measure } = await begin(1000, engines)
  for (let chunk = 0; chunk < 10; chunk++) measure(100, 1)
  expect(pool.workers).toBe(1)
  await vi.advanceTimersByTimeAsync(200)
  expect(pool.workers).toBe(4)
  growth.close()
})

test('more are started as soon as enough was measured to tell', async () => {
  const { pool, engines } = watched()
  const { growth, measure } = await begin(1000, engines)
  for (let item = 0; item < 4; item++) measure(1, 1)
  expect(pool.workers).toBe(1)
  measure(1, 1)
  expect(pool.workers).toBe(4)
  growth.close()
})

test('the first items, which run code for the first time, do not speak for those behind them', async () => {
  const { pool, engines } = watched()
  const { growth, measure } = await begin(46, engines)
  for (let item = 0; item < 3; item++) measure(1, 1.3)
  for (let chunk = 0; chunk < 4; chunk++) measure(4, 0.4)
  expect(pool.workers).toBe(1)
  growth.close()
})

test('items that look cheap start no other as long as it is not known how cheap they are', async () => {
  const { pool, engines } = watched()
  const { growth, measure, told } = await begin(1_000_000, engines)
  measure(1000, 0.3)
  measure(9000, 5)
  expect(pool.workers).toBe(1)
  expect(told).not.toHaveBeenCalled()
  measure(10_000, 3)
  expect(pool.workers).toBe(4)
  expect(told).toHaveBeenCalledOnce()
  growth.close()
})

test('items that looked cheap do not hide one that takes its time, nor some that do', async () => {
  const { pool, engines } = watched()
  const { growth, measure } = await begin(1_000_000, engines)
  measure(10_000, 3)
  expect(pool.workers).toBe(1)
  await vi.advanceTimersByTimeAsync(20)
  expect(pool.workers).toBe(4)
  growth.close()

  const later = watched()
  const other = await begin(1000, later.engines)
  other.measure(30_000, 5)
  expect(later.pool.workers).toBe(1)
  for (let item = 0; item < 4; item++) other.measure(1, 20)
  expect(later.pool.workers).toBe(4)
  other.growth.close()
})

test('what is measured after the run is over starts nothing', async () => {
  const { pool, engines } = watched()
  const { growth, measure } = await begin(1000, engines)
  measure(1, 1)
  growth.close()
  for (let item = 0; item < 10; item++) measure(1, 10)
  await vi.advanceTimersByTimeAsync(1000)
  expect(pool.workers).toBe(1)
})

test('an item that takes its time is not waited for, be it the first or a later one', async () => {
  for (const before of [0, 1]) {
    const { pool, engines } = watched()
    const { growth, measure } = await begin(10, engines)
    for (let count = 0; count < before; count++) measure(1, 0.01)
    await vi.advanceTimersByTimeAsync(20)
    expect(pool.workers).toBe(4)
    growth.close()
  }
})

test('more are started with the first where it turned out while that was on its way that there is work for them', async () => {
  const { pool, engines } = watched()
  const planner = createPlanner({
    ...{ task: `growth ${++tasks}`, mode: 'auto', needsThreads: false, maxWorkers: 4, chunkSize: undefined },
  })
  planner.observe({ items: 1, taskTime: 0.001, sendTime: 0.01, now: 0 })
  const growth = await startGrowth({ planner, engines, unsettled: () => 40, onPlan: vi.fn(), fail: vi.fn() })
  expect(growth.mayStayInline()).toBe(true)
  planner.observe({ items: 1, taskTime: 20, sendTime: undefined, now: 0 })
  growth.measured(20)
  await growth.open()
  expect(pool.workers).toBe(4)
  growth.close()
})

test('a task that is being loaded has not begun, and is waited for, but not for ever', async () => {
  const { pool, engines } = watched({ hasBegun: false })
  const { growth } = await begin(10, engines)
  await vi.advanceTimersByTimeAsync(20)
  expect(pool.workers).toBe(1)
  await vi.advanceTimersByTimeAsync(20)
  expect(pool.workers).toBe(4)
  growth.close()
})

test('a run that is over before anything was decided has told its plan', async () => {
  const { engines } = watched()
  const { growth, measure, told } = await begin(1, engines)
  measure(1, 0.01)
  expect(told).not.toHaveBeenCalled()
  growth.close()
  expect(told).toHaveBeenCalledOnce()
})
