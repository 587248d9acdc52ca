import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mock } from 'node:test'
import { createExecutor, execute, plan, stream } from 'pawl'
import { afterEach, expect, test, vi } from 'vitest'
import arithmetic from '../fixtures/tasks/arithmetic.mjs'
import { range } from './calls.ts'

afterEach(() => {
  vi.useRealTimers()
  mock.timers.reset()
})

async function* pulled() {
  yield* range(50)
}

test.each([
  ['vitest', () => vi.useFakeTimers()],
  ['node:test', () => mock.timers.enable()],
])('runs settle while time is that of %s, which stands still', async (_, fake) => {
  const checkpoint = mkdtempSync(join(tmpdir(), 'pawl-fake-timers-'))
  fake()
  const expected = range(50).map((n) => n * n)
  expect((await execute(arithmetic, range(50))).results).toEqual(expected)
  const inline = await execute(arithmetic, range(50), { mode: 'inline' })
  expect(inline.results).toEqual(expected)
  expect((await execute(arithmetic, pulled(), { workers: 2, mode: 'threads' })).results).toEqual(expected)
  for (const restored of [0, 50]) {
    const { stats, results } = await execute(arithmetic, range(50), { checkpoint })
    expect([stats.restored, results]).toEqual([restored, expected])
  }
  let yielded = 0
  for await (const { status } of stream(arithmetic, range(50))) yielded += Number(status === 'fulfilled')
  expect(yielded).toBe(50)
  await expect(plan(arithmetic, range(50))).resolves.toBeDefined()
  await using executor = createExecutor({ workers: 2 })
  expect((await executor.execute(arithmetic, range(50), { timeout: 60_000 })).results).toEqual(expected)
})
