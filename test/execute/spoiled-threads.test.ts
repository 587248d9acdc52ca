import { createExecutor, execute, memoryStore, type Outcome, readResults } from 'pawl'
import { describe, expect, test } from 'vitest'
import { ENDLESS, names, replaced, throwingNames } from '../fixtures/tasks/spoiling.mjs'
import { range, sharedCells } from './calls.ts'

const RECORDS = { module: new URL('../fixtures/tasks/spoiling.mjs', import.meta.url), export: 'spoilRecords' }

const recordOf = (n: number) => ({ n, text: `item ${n}` })

const CARRIERS = [undefined, 'msgpack', 'json'] as const

describe('a thread that a task spoiled', () => {
  test.each(names)('gives way to another, and nothing is lost: %s', async (name) => {
    const report = await execute<number, number>(new URL('../fixtures/tasks/spoiling.mjs', import.meta.url), range(60), {
      ...{ mode: 'threads', workers: 1, chunkSize: 7 },
      shared: { name, tried: sharedCells(1) },
    })
    expect(report.results).toEqual(range(60).map((n) => n * 2))
  })

  test.each(names)('loses nothing on record either: %s', async (name) => {
    const report = await execute<number, number>(new URL('../fixtures/tasks/spoiling.mjs', import.meta.url), range(60), {
      ...{ mode: 'threads', workers: 2, checkpoint: { store: memoryStore(), format: 'json' } },
      shared: { name, tried: sharedCells(1) },
    })
    expect(report.results).toEqual(range(60).map((n) => n * 2))
  })

  test('answers later runs of an executor', async () => {
    await using executor = createExecutor({ mode: 'threads', workers: 1 })
    const spoil = (item: number) => {
      Map.prototype.get = () => undefined
      return item * 2
    }
    for (let run = 0; run < 3; run++) expect((await executor.execute(spoil, [1, 2, 3])).results).toEqual([2, 4, 6])
  })

  test.each(CARRIERS.flatMap((format) => names.map((name) => [format, name] as const)))(
    'costs no neighbour its result, and the item its own only when it does so again: recorded as %s, %s',
    async (format, name) => {
      const store = memoryStore()
      const run = (times: number) =>
        execute<number, ReturnType<typeof recordOf>>(RECORDS, range(30), {
          ...{ mode: 'threads', workers: 1, chunkSize: 7, maxFailures: 30, timeout: 5000 },
          shared: { name, tried: sharedCells(1), times },
          ...(format ? { checkpoint: { store, format }, resume: 'fresh' as const, runId: 'run' } : {}),
        })
      expect((await run(1)).results).toEqual(range(30).map(recordOf))
      const { results, failures } = await run(Number.POSITIVE_INFINITY)
      const lost = failures.map(({ index, kind, crashes }) => [index, kind, crashes])
      expect([[], [[5, 'crash', 2]]]).toContainEqual(lost) // Not all that these do reaches what this format uses.
      expect(results.map((it) => it)).toEqual(range(30).map((n) => (lost.length > 0 && n === 5 ? undefined : recordOf(n))))
    },
  )

  test.each(CARRIERS.slice(0, 2).flatMap((format) => replaced.map((name) => [format, name] as const)))(
    'goes on where it only knows other things by a name: recorded as %s, %s',
    async (format, name) => {
      const module = new URL('../fixtures/tasks/spoiling.mjs', import.meta.url)
      const { results, stats } = await execute<number, Map<number, Uint8Array>>({ module, export: 'spoilMaps' }, range(30), {
        ...{ mode: 'threads', workers: 1, chunkSize: 7, timeout: 5000 },
        shared: { name, tried: sharedCells(1), times: Number.POSITIVE_INFINITY },
        ...(format ? { checkpoint: { store: memoryStore(), format } } : {}),
      })
      expect(results).toEqual(range(30).map((n) => new Map([[n, new Uint8Array(Buffer.from(`item ${n}`))]])))
      expect(stats).toMatchObject({ attempts: 30, crashes: 0 })
    },
  )

  test.each([
    ...names.map((name) => ['spoilZeros', 'json', name] as const),
    ...names.map((name) => ['spoilMaps', 'msgpack', name] as const),
  ])(
    'gets no other values on record than the task gave, also of those that are none of the usual: %s as %s, %s',
    async (task, format, name) => {
      const store = memoryStore()
      const module = new URL('../fixtures/tasks/spoiling.mjs', import.meta.url)
      const expectedOf = (n: number) =>
        task === 'spoilZeros' ? { at: [n, -0] } : new Map([[n, new Uint8Array(Buffer.from(`item ${n}`))]])
      const { failures } = await execute<number, unknown>({ module, export: task }, range(30), {
        ...{
          mode: 'threads',
          workers: 1,
          chunkSize: 7,
          maxFailures: 1,
          timeout: 5000,
          checkpoint: { store, format },
          runId: 'run',
        },
        shared: { name, tried: sharedCells(1), times: Number.POSITIVE_INFINITY },
      })
      expect([[], [5]]).toContainEqual(failures.map(({ index }) => index))
      for await (const outcome of readResults(store, 'run'))
        if (outcome.status === 'fulfilled') expect(outcome.value).toEqual(expectedOf(outcome.index))
    },
  )

  test.each(CARRIERS.flatMap((format) => throwingNames.map((name) => [format, name] as const)))(
    'gives way to another when errors do not end it: recorded as %s, %s throws',
    async (format, name) => {
      const module = new URL('../fixtures/tasks/spoiling.mjs', import.meta.url)
      const { results, failures } = await execute({ module, export: 'spoilHeard' }, range(30), {
        ...{ mode: 'threads', workers: 1, chunkSize: 7, maxFailures: 1 },
        shared: { name, tried: sharedCells(1), times: Number.POSITIVE_INFINITY },
        ...(format ? { checkpoint: { store: memoryStore(), format } } : {}),
      })
      expect([[], [[5, 'crash']]]).toContainEqual(failures.map(({ index, kind }) => [index, kind]))
      expect(results.map((it) => it)).toEqual(range(30).map((n) => (failures.length > 0 && n === 5 ? undefined : { n })))
    },
  )

  test('hears of further chunks though iterators of arrays come to no end there', async () => {
    const shared = { name: ENDLESS, tried: sharedCells(1) }
    const { results } = await execute(RECORDS, range(30), { mode: 'threads', workers: 1, chunkSize: 7, shared })
    expect(results).toEqual(range(30).map(recordOf))
  })

  test('refuses what JSON cannot hold though arrays are iterated as if they were empty', async () => {
    const module = new URL('../fixtures/tasks/spoiling.mjs', import.meta.url)
    const shared = { name: 'arrays are iterated as if they were empty', tried: sharedCells(1) }
    const { results, failures } = await execute<number, (number | undefined)[]>({ module, export: 'spoilLists' }, range(30), {
      ...{ mode: 'threads', workers: 1, chunkSize: 7, maxFailures: 30, shared },
      checkpoint: { store: memoryStore(), format: 'json' },
    })
    expect(failures.map(({ index, kind }) => [index, kind])).toEqual(range(10).map((n) => [3 * n, 'serialization']))
    expect(results.filter((list) => list !== undefined)).toEqual(range(30).flatMap((n) => (n % 3 === 0 ? [] : [[n, -0]])))
  })

  test.each(names)('gets no other numbers on record than the task gave: %s', async (name) => {
    const module = new URL('../fixtures/tasks/spoiling.mjs', import.meta.url)
    const { results, failures } = await execute<number, Float64Array>({ module, export: 'spoilNumbers' }, range(30), {
      ...{ mode: 'threads', workers: 1, chunkSize: 7, maxFailures: 1, timeout: 5000, checkpoint: memoryStore() },
      shared: { name, tried: sharedCells(1), times: Number.POSITIVE_INFINITY },
    })
    expect([[], [5]]).toContainEqual(failures.map(({ index }) => index))
    const expected = range(30).map((n) => (failures.length > 0 && n === 5 ? undefined : Float64Array.of(n, n / 2)))
    expect(results.map((it) => it)).toEqual(expected)
  })

  test.each(CARRIERS)('refuses what cannot be carried though no array is visited: recorded as %s', async (format) => {
    const module = new URL('../fixtures/tasks/spoiling.mjs', import.meta.url)
    const shared = { name: 'Array.prototype.forEach visits nothing', tried: sharedCells(1) }
    const { results, failures } = await execute<number, unknown>({ module, export: 'spoilUncarried' }, range(30), {
      ...{ mode: 'threads', workers: 1, chunkSize: 7, maxFailures: 30, shared },
      ...(format ? { checkpoint: { store: memoryStore(), format } } : {}),
    })
    expect(failures.map(({ index, kind }) => [index, kind])).toEqual(range(10).map((n) => [3 * n, 'serialization']))
    expect(results.filter((it) => it !== undefined)).toEqual(range(30).filter((n) => n % 3 !== 0))
  })

  test.each(['msgpack', 'json'] as const)('gets nothing false on record where nobody reads the values: %s', async (format) => {
    const store = memoryStore()
    const shared = { name: 'Array.prototype.push keeps nothing', tried: sharedCells(1) }
    const options = { mode: 'threads', workers: 1, chunkSize: 7, collect: false, shared, checkpoint: { store, format } } as const
    const { runId } = await execute(RECORDS, range(30), options)
    const outcomes: Outcome[] = []
    for await (const outcome of readResults(store, runId)) outcomes.push(outcome)
    expect(outcomes).toMatchObject(range(30).map((index) => ({ index, status: 'fulfilled', value: recordOf(index) })))
  })

  test('is named when the item that spoils every thread is given up', async () => {
    const shared = { name: 'Array.prototype.push keeps nothing', tried: sharedCells(1), times: Number.POSITIVE_INFINITY }
    const { failures, stats } = await execute(RECORDS, range(30), {
      mode: 'threads',
      workers: 1,
      chunkSize: 7,
      maxFailures: 1,
      shared,
    })
    expect(failures).toMatchObject([{ index: 5, kind: 'crash', attempts: 3, crashes: 2 }])
    expect(failures[0]?.reason).toMatchObject({
      code: 'ERR_PAWL_WORKER_CRASH',
      message:
        'Cannot finish item 5: expected its worker to survive it, got an answer without the value of 1 item: the task may have ' +
        'changed what all code of its thread uses, such as Array.prototype.push (2 times, and maxCrashes is 2)',
    })
    expect(stats).toMatchObject({ crashes: 2, failed: 1, succeeded: 29 })
  })

  test('ends the run with the failure of its first item when the task spoils each as it is loaded', async () => {
    const task = new URL('../fixtures/tasks/spoils-arrays-on-import.mjs', import.meta.url)
    await expect(execute(task, range(20), { mode: 'threads', workers: 2 })).rejects.toMatchObject({
      code: 'ERR_PAWL_RUN_FAILED',
      message: expect.stringContaining('the task may have changed what all code of its thread uses'),
    })
  })

  test('ends the run with a sentence when it is spoiled as the task is loaded', async () => {
    const task = new URL('../fixtures/tasks/spoils-on-import.mjs', import.meta.url)
    await expect(execute(task, range(20), { mode: 'threads', workers: 2 })).rejects.toMatchObject({
      code: 'ERR_PAWL_TASK_LOAD',
      message: expect.stringContaining('the worker ran none of the items it was given'),
    })
  })
})
