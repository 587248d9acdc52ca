import { type CheckpointMismatchError, execute, inspectRun } from 'pawl'
import { describe, expect, test } from 'vitest'
import { noted } from '../fixtures/tasks/noted.mjs'
import { errorOf, interrupt, newPlace, range } from './place.ts'

const COUNT = 2500
const OPTIONS = { runId: 'run', workers: 1, chunkSize: 20 }

function* generate(count = COUNT): Generator<number> {
  for (let n = 0; n < count; n++) yield n
}

async function* generateLater(count = COUNT): AsyncGenerator<number> {
  yield* generate(count)
}

const SOURCES: [string, (count?: number) => Iterable<number> | AsyncIterable<number>][] = [
  ['a generator', generate],
  ['an async generator', generateLater],
  ['a Set', (count = COUNT) => new Set(range(count))],
]

describe('a resumed run whose source ends before an item that is on record', () => {
  test.each(SOURCES)('is refused, and goes on with the right one: %s', async (_, source) => {
    for (const [settled, counts] of [
      [100, [0, 20, 99]],
      [1500, [0, 20, 1000, 1499]],
    ] as const) {
      const { runs, starts } = newPlace()
      const options = { ...OPTIONS, checkpoint: runs }
      const first = await interrupt(noted, source(), options, settled)
      const before = starts().length
      for (const count of counts) {
        const error = (await errorOf(execute(noted, source(count), options))) as CheckpointMismatchError
        expect(error).toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_MISMATCH', part: 'items', given: count })
        expect(error.report).toMatchObject({ status: 'partial', stats: { restored: first.stats.succeeded } })
        expect(error.message).toMatch(
          new RegExp(
            `^Cannot resume run 'run': expected the source to give ${error.recorded} items at least, .* on record, got ${count}\\. Give it the same source`,
          ),
        )
        expect(error.recorded).toBeGreaterThanOrEqual(first.stats.succeeded)
        expect(await inspectRun(runs, 'run')).toMatchObject({ status: 'partial', total: undefined })
      }
      expect(starts()).toHaveLength(before)
      const last = await execute(noted, source(), options)
      expect(last).toMatchObject({ status: 'complete', stats: { items: COUNT, restored: first.stats.succeeded } })
      expect(last.results).toEqual(range(COUNT).map((n) => n * 2))
      expect(starts().sort((a, b) => a - b)).toEqual(range(COUNT))
    }
  })

  test('is refused when all that is on record failed', async () => {
    const { runs, spoil, heal } = newPlace()
    spoil(0, 1, 2)
    const options = { ...OPTIONS, checkpoint: runs }
    expect(await errorOf(execute(noted, generate(3), options))).toMatchObject({ code: 'ERR_PAWL_RUN_FAILED' })
    const error = await errorOf(execute(noted, generate(0), options))
    expect(error).toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_MISMATCH', report: { status: 'partial' } })
    heal(0, 1, 2)
    expect(await execute(noted, generate(3), options)).toMatchObject({ status: 'complete', results: [0, 2, 4] })
  })

  test('is refused though the item is of another shard', async () => {
    const { runs } = newPlace()
    const options = { ...OPTIONS, checkpoint: runs }
    await interrupt(noted, generate(), { ...options, shard: '1/2' }, 100)
    const other = { ...options, shard: '2/2' } as const
    expect(await errorOf(execute(noted, generate(50), other))).toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_MISMATCH', given: 50 })
    expect(await execute(noted, generate(), other)).toMatchObject({ status: 'complete' })
    expect(await execute(noted, generate(), options)).toMatchObject({ status: 'complete', stats: { items: COUNT } })
  })

  test('is not refused when items have keys: they may come and go', async () => {
    const { runs } = newPlace()
    const options = { ...OPTIONS, key: String, checkpoint: runs }
    await interrupt(noted, generate(), options, 100)
    expect(await execute(noted, generate(20), options)).toMatchObject({ status: 'complete', stats: { items: 20, dispatched: 0 } })
  })
})

describe('a resumed run whose source goes on behind its end', () => {
  test.each([1000, 1010])('is refused before any such item runs: %d items', async (count) => {
    const { runs, starts } = newPlace()
    const options = { ...OPTIONS, checkpoint: runs }
    await execute(noted, generate(count), options)
    const error = await errorOf(execute(noted, generate(), options))
    expect(error).toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_MISMATCH', part: 'items', recorded: count })
    expect(error.message).toContain(`expected the source to end after ${count} items as before, got 2000 or more`)
    expect(starts()).toHaveLength(count)
    expect(await execute(noted, generate(count), options)).toMatchObject({ status: 'complete', stats: { dispatched: 0 } })
  })
})
