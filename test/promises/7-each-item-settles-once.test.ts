import fc from 'fast-check'
import { type ExecuteOptions, execute, memoryStore, type Outcome, stream } from 'pawl'
import { describe, expect, test } from 'vitest'
import { noted } from '../fixtures/tasks/noted.mjs'
import { interrupt, newPlace, range } from '../resume/place.ts'

const ITEMS = range(60)

describe('each item settles exactly once, in its place', () => {
  const ways = fc.record({
    mode: fc.constantFrom('auto', 'threads', 'inline'),
    workers: fc.integer({ min: 1, max: 3 }),
    chunkSize: fc.oneof(fc.constant('auto'), fc.integer({ min: 1, max: 60 })),
    count: fc.integer({ min: 0, max: 60 }),
    bad: fc.uniqueArray(fc.nat(59), { maxLength: 4 }),
    source: fc.constantFrom('array', 'generator'),
  })

  test('in the report, in the events and in the stream; the task runs once per item', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(ways, async ({ bad, count, source, ...cut }) => {
        const { starts, spoil } = newPlace()
        spoil(...bad)
        const items = ITEMS.slice(0, count)
        const failing = bad.filter((n) => n < count).sort((a, b) => a - b)
        const told: number[] = []
        const outcomes: Outcome<number>[] = []
        const run = stream(noted, source === 'array' ? items : items.values(), {
          ...(cut as ExecuteOptions<number>),
          maxFailures: 60,
          on: { outcome: ({ index }) => void told.push(index) },
        })
        for await (const outcome of run) outcomes.push(outcome)
        const { results, failures, stats, status } = await run.report
        expect(status).toBe('complete')
        expect(starts().sort((a, b) => a - b)).toEqual(items)
        expect(told.sort((a, b) => a - b)).toEqual(items)
        expect(outcomes.map(({ index }) => index).sort((a, b) => a - b)).toEqual(items)
        expect(failures.map(({ index }) => index)).toEqual(failing)
        expect(Array.from(results)).toEqual(items.map((n) => (bad.includes(n) ? undefined : n * 2)))
        expect(stats).toMatchObject({
          items: count,
          dispatched: count,
          succeeded: count - failing.length,
          failed: failing.length,
          attempts: count,
        })
      }),
      { numRuns: process.env.PAWL_SOAK ? 200 : 25 },
    )
  })

  test('over sessions: restored outcomes are not told again as new, and none is told twice', async () => {
    const { starts } = newPlace()
    const checkpoint = memoryStore()
    await interrupt(noted, ITEMS, { checkpoint })
    const told: { index: number; restored: boolean }[] = []
    const { stats } = await execute(noted, ITEMS, {
      checkpoint,
      on: { outcome: ({ index, restored }) => void told.push({ index, restored }) },
    })
    expect(told.map(({ index }) => index).sort((a, b) => a - b)).toEqual(ITEMS)
    expect(told.filter(({ restored }) => restored)).toHaveLength(stats.restored)
    expect(starts().sort((a, b) => a - b)).toEqual(ITEMS)
  })

  test('over retries: one outcome, one start for each attempt', async () => {
    const { starts, spoil } = newPlace()
    spoil(3)
    const told: number[] = []
    const { failures } = await execute(noted, ITEMS, {
      retry: { retries: 2, minTimeout: 0 },
      maxFailures: 1,
      on: { outcome: ({ index }) => void told.push(index) },
    })
    expect(told.sort((a, b) => a - b)).toEqual(ITEMS)
    expect(failures).toMatchObject([{ index: 3, attempts: 3 }])
    expect(starts().filter((index) => index === 3)).toHaveLength(3)
    expect(starts()).toHaveLength(62)
  })
})
