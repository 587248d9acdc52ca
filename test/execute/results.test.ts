import fc from 'fast-check'
import { type ExecuteOptions, execute } from 'pawl'
import { describe, expect, test } from 'vitest'
import { counted } from '../fixtures/tasks/counted.mjs'
import { range, sharedCells } from './calls.ts'

const WAYS: [string, ExecuteOptions<number>][] = [
  ['auto', {}],
  ['threads', { mode: 'threads', workers: 2 }],
  ['inline', { mode: 'inline' }],
  ['chunks of 1', { mode: 'threads', workers: 2, chunkSize: 1 }],
  ['chunks of 7', { mode: 'threads', workers: 3, chunkSize: 7 }],
  ['one chunk', { mode: 'threads', workers: 2, chunkSize: 1000 }],
]

describe('execute()', () => {
  test.each(WAYS)('gives each result its place and calls the task once per item: %s', async (_, options) => {
    const items = range(500)
    const calls = sharedCells(500)
    const outcomes: number[] = []

    const report = await execute(counted, items, {
      ...options,
      shared: { calls },
      on: { outcome: ({ index }) => void outcomes.push(index) },
    })

    expect(report.status).toBe('complete')
    expect(report.results).toEqual(items.map((n) => n * 2))
    expect(report.failures).toEqual([])
    expect([...calls]).toEqual(items.map(() => 1))
    expect(outcomes.sort((a, b) => a - b)).toEqual(items)
    expect(report.stats).toMatchObject({ items: 500, dispatched: 500, restored: 0, succeeded: 500, failed: 0, attempts: 500 })
    expect(report.stats).toMatchObject({
      retries: 0,
      crashes: 0,
      timeouts: 0,
      checkpoints: 0,
      bytesWritten: 0,
      damaged: 0,
      conflicts: 0,
    })
  })

  test('gives the same results however the items were cut and wherever they ran, failures included', async () => {
    const waysToRun = fc.record({
      mode: fc.constantFrom('auto', 'threads', 'inline'),
      workers: fc.integer({ min: 1, max: 3 }),
      chunkSize: fc.oneof(fc.constant('auto'), fc.integer({ min: 1, max: 60 })),
      retries: fc.integer({ min: 0, max: 2 }),
      fails: fc.array(fc.constantFrom(0, 0, 0, 1, 2, 3), { maxLength: 50 }),
    })
    await fc.assert(
      fc.asyncProperty(waysToRun, async ({ mode, workers, chunkSize, retries, fails }) => {
        const calls = sharedCells(fails.length)
        const report = await execute(counted, range(fails.length), {
          ...({ mode, workers, chunkSize } as ExecuteOptions<number>),
          retry: { retries, minTimeout: 0 },
          maxFailures: '100%',
          shared: { calls, fails },
        })
        const failing = range(fails.length).filter((i) => (fails[i] as number) > retries)
        expect(report.status).toBe('complete')
        expect(report.results).toHaveLength(fails.length)
        expect(report.results.map((it) => it)).toEqual(fails.map((many, i) => (many > retries ? undefined : i * 2)))
        expect(report.failures.map((it) => it.index)).toEqual(failing)
        expect(report.failures.map((it) => it.attempts)).toEqual(failing.map(() => retries + 1))
        expect([...calls].slice(0, fails.length)).toEqual(fails.map((many) => Math.min(many, retries) + 1))
      }),
      { numRuns: 40 },
    )
  })

  test('counts in stats what happened', async () => {
    const calls = sharedCells(10)
    const report = await execute(counted, range(10), {
      mode: 'threads',
      workers: 2,
      chunkSize: 5,
      retry: { retries: 1, minTimeout: 0 },
      maxFailures: 1,
      shared: { calls, fails: [1, 0, 0, 2] },
    })
    expect(report.stats).toMatchObject({ items: 10, dispatched: 10, succeeded: 9, failed: 1, attempts: 12, retries: 2 })
    expect(report.stats.wallTime).toBeGreaterThan(0)
    expect(report.stats.utilization).toBeGreaterThanOrEqual(0)
    expect(report.stats.utilization).toBeLessThanOrEqual(1)
    expect(report.stats.chunks).toBeGreaterThanOrEqual(2)
  })

  test('keeps no values with collect: false, and tells them to listeners all the same', async () => {
    const seen: unknown[] = []
    const report = await execute(counted, range(20), {
      collect: false,
      shared: { calls: sharedCells(20) },
      on: { outcome: (outcome) => void seen.push(outcome.status === 'fulfilled' ? outcome.value : outcome.reason) },
    })
    expect(report.results).toEqual([])
    expect(report.stats.succeeded).toBe(20)
    expect((seen as number[]).sort((a, b) => a - b)).toEqual(range(20).map((n) => n * 2))
  })

  test('runs only the items of its shard, and all shards together run all of them', async () => {
    const calls = sharedCells(100)
    const reports = await Promise.all(
      (['1/3', '2/3', '3/3'] as const).map((shard) => execute(counted, range(100), { shard, mode: 'inline', shared: { calls } })),
    )
    expect([...calls]).toEqual(range(100).map(() => 1))
    for (const report of reports) {
      expect(report.status).toBe('complete')
      expect(report.stats.items).toBe(report.stats.succeeded)
      expect(report.stats.items).toBeGreaterThan(0)
    }
    expect(range(100).map((i) => reports.map((it) => it.results[i]).find((it) => it !== undefined))).toEqual(
      range(100).map((n) => n * 2),
    )
  })
})
