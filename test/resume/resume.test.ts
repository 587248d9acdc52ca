import { type CheckpointOptions, type ExecuteOptions, execute, fileStore, memoryStore } from 'pawl'
import { describe, expect, test } from 'vitest'
import { described, noted } from '../fixtures/tasks/noted.mjs'
import { errorOf, interrupt, listenForWarnings, newPlace, range } from './place.ts'

const ITEMS = range(100)
const DOUBLED = ITEMS.map((n) => n * 2)

describe('execute() with a checkpoint', () => {
  test('dispatches nothing when a finished run is called again, and answers from the store', async () => {
    const { runs, starts } = newPlace()
    const first = await execute(noted, ITEMS, { checkpoint: runs })
    expect(first).toMatchObject({ status: 'complete', stats: { dispatched: 100, restored: 0 } })
    expect(first.stats.checkpoints).toBeGreaterThan(0)
    expect(first.stats.bytesWritten).toBeGreaterThan(0)

    const again = await execute(noted, ITEMS, { checkpoint: runs })
    expect(again).toMatchObject({ runId: first.runId, status: 'complete', results: DOUBLED, failures: [] })
    expect(again.stats).toMatchObject({
      items: 100,
      dispatched: 0,
      restored: 100,
      succeeded: 100,
      attempts: 0,
      damaged: 0,
      conflicts: 0,
    })
    expect(again.stats.bytesWritten).toBe(0)
    expect(starts()).toHaveLength(100)
  })

  test('goes on where an interrupted run stopped, each item run once over both sessions', async () => {
    const { runs, starts } = newPlace()
    const first = await interrupt(noted, ITEMS, { checkpoint: runs })
    expect(first.status).toBe('partial')
    const settled = first.stats.succeeded
    expect(settled).toBeGreaterThanOrEqual(20)
    expect(settled).toBeLessThan(100)
    expect(starts()).toHaveLength(settled)

    const second = await execute(noted, ITEMS, { checkpoint: runs })
    expect(second).toMatchObject({ runId: first.runId, status: 'complete', results: DOUBLED })
    expect(second.stats).toMatchObject({ restored: settled, dispatched: 100 - settled, succeeded: 100 })
    expect(starts().sort((a, b) => a - b)).toEqual(ITEMS)
  })

  test.each([
    ['json', 'msgpack'],
    ['msgpack', 'json'],
  ] as const)('resumes a run made with %s in %s', async (from, to) => {
    const { runs } = newPlace()
    const records = ITEMS.map((n) => ({ id: n, name: `user ${n}`, score: n / 8, isActive: n % 3 === 0 }))
    const first = await interrupt(described, ITEMS, { checkpoint: { store: runs, format: from } })
    const second = await interrupt(described, ITEMS, { checkpoint: { store: runs, format: to } })
    expect(second.stats.restored).toBe(first.stats.succeeded)
    const third = await execute(described, ITEMS, { checkpoint: { store: runs, format: from } })
    expect(third.stats.restored).toBe(second.stats.succeeded)
    expect(third.results).toEqual(records)
    const fourth = await execute(described, ITEMS, { checkpoint: { store: runs, format: to } })
    expect(fourth.stats.dispatched).toBe(0)
    expect(fourth.results).toEqual(records)
  })

  test.each([{ format: 'msgpack' }, { format: 'json' }] as const)(
    'reads gzip whether or not it writes it: $format',
    async ({ format }) => {
      const { runs } = newPlace()
      const zipped: CheckpointOptions = { store: runs, format, compress: 'gzip' }
      const first = await interrupt(noted, ITEMS, { checkpoint: zipped })
      const second = await interrupt(noted, ITEMS, { checkpoint: { store: runs, format } })
      expect(second.stats.restored).toBe(first.stats.succeeded)
      const third = await execute(noted, ITEMS, { checkpoint: zipped })
      expect(third.stats.restored).toBe(second.stats.succeeded)
      expect(third.results).toEqual(DOUBLED)
    },
  )

  const ways: [string, (directory: string) => NonNullable<ExecuteOptions['checkpoint']>][] = [
    ['a directory', (directory) => directory],
    ['a store', (directory) => fileStore(directory)],
    ['options with a directory', (directory) => ({ store: directory, durability: 'none' })],
    ['options with a store', (directory) => ({ store: fileStore(directory), every: 1, interval: 1 })],
  ]
  test.each(ways)('takes %s, all of which are the same place', async (_, way) => {
    const { runs } = newPlace()
    const { stats } = await interrupt(noted, ITEMS, { checkpoint: way(runs) })
    const report = await execute(noted, ITEMS, { checkpoint: runs })
    expect(report.stats.restored).toBe(stats.succeeded)
    expect(report.results).toEqual(DOUBLED)
  })

  test('resumes from a memory store within one process', async () => {
    newPlace()
    const store = memoryStore()
    const { stats } = await interrupt(noted, ITEMS, { checkpoint: store })
    const report = await execute(noted, ITEMS, { checkpoint: store })
    expect(report.stats).toMatchObject({ restored: stats.succeeded, dispatched: 100 - stats.succeeded })
    expect(report.results).toEqual(DOUBLED)
    expect((await execute(noted, ITEMS, { checkpoint: memoryStore() })).stats.restored).toBe(0)
  })

  test('keeps runs of one store apart by runId', async () => {
    const { runs } = newPlace()
    await execute(noted, ITEMS, { checkpoint: runs, runId: 'one' })
    const other = await execute(noted, ITEMS, { checkpoint: runs, runId: 'two' })
    expect(other).toMatchObject({ runId: 'two', stats: { restored: 0, dispatched: 100 } })
  })

  test('records an empty run and a run of one item', async () => {
    const { runs } = newPlace()
    for (const items of [[], [7]]) {
      await execute(noted, items, { checkpoint: runs })
      const again = await execute(noted, items, { checkpoint: runs })
      expect(again).toMatchObject({ status: 'complete', results: items.map((n) => n * 2) })
      expect(again.stats).toMatchObject({ dispatched: 0, restored: items.length })
    }
  })

  test('keeps results apart that are undefined, so that they are not run again', async () => {
    const { runs } = newPlace()
    const nothing = () => undefined
    await execute(nothing, ITEMS, { checkpoint: runs })
    const again = await execute(nothing, ITEMS, { checkpoint: runs })
    expect(again.stats.dispatched).toBe(0)
    expect(again.results).toEqual(ITEMS.map(() => undefined))
    expect(again.results).toHaveLength(100)
  })
})

describe("execute() with resume: 'fresh'", () => {
  test('discards the earlier run of this id, and only that', async () => {
    const { runs, starts } = newPlace()
    await execute(noted, ITEMS, { checkpoint: runs, runId: 'one' })
    await execute(noted, ITEMS, { checkpoint: runs, runId: 'other' })
    const fresh = await execute(noted, range(50), { checkpoint: runs, runId: 'one', resume: 'fresh' })
    expect(fresh.stats).toMatchObject({ restored: 0, dispatched: 50 })
    expect(starts()).toHaveLength(250)
    expect((await execute(noted, range(50), { checkpoint: runs, runId: 'one' })).stats.dispatched).toBe(0)
    expect((await execute(noted, ITEMS, { checkpoint: runs, runId: 'other' })).stats.dispatched).toBe(0)
  })

  test('begins a run that is not there', async () => {
    const { runs } = newPlace()
    expect((await execute(noted, ITEMS, { checkpoint: runs, resume: 'fresh' })).stats.dispatched).toBe(100)
  })
})

describe("execute() with resume: 'require'", () => {
  test('fails before anything runs when there is no run of this id', async () => {
    const { runs, starts } = newPlace()
    const error = await errorOf(execute(noted, ITEMS, { checkpoint: runs, resume: 'require', runId: 'gone' }))
    expect(error).toMatchObject({ code: 'ERR_PAWL_RUN_NOT_FOUND' })
    expect(error.message).toMatch(/'gone'.* got none\. /)
    expect(error.message.endsWith(`. 'pawl list --checkpoint ${runs}' shows what is there`)).toBe(true)
    expect(starts()).toEqual([])
    // Nor is there one now.
    expect((await errorOf(execute(noted, ITEMS, { checkpoint: runs, resume: 'require', runId: 'gone' }))).code).toBe(error.code)
  })

  test('goes on with a run that is there', async () => {
    const { runs } = newPlace()
    const { stats } = await interrupt(noted, ITEMS, { checkpoint: runs })
    const report = await execute(noted, ITEMS, { checkpoint: runs, resume: 'require' })
    expect(report.stats.restored).toBe(stats.succeeded)
  })
})

test('a healthy run and its resumption warn of nothing', async () => {
  const { runs } = newPlace()
  const { warnings, on } = listenForWarnings()
  await interrupt(noted, ITEMS, { checkpoint: runs, on })
  await execute(noted, ITEMS, { checkpoint: runs, on })
  await execute(noted, ITEMS, { checkpoint: runs, on })
  expect(warnings).toEqual([])
})
