import { inspect } from 'node:util'
import fc from 'fast-check'
import { type ExecuteOptions, execute, memoryStore } from 'pawl'
import { describe, expect, test } from 'vitest'
import { shaken } from '../fixtures/tasks/shaken.mjs'
import { range } from '../resume/place.ts'

const COUNT = 40
const ITEMS = range(COUNT)

/** How a run is cut and disturbed. */
const ways = fc.record({
  mode: fc.constantFrom('auto', 'threads', 'inline'),
  workers: fc.integer({ min: 1, max: 3 }),
  chunkSize: fc.oneof(fc.constant('auto'), fc.integer({ min: 1, max: COUNT })),
  format: fc.constantFrom(undefined, 'msgpack', 'json'),
  /** Items that settle in a session before it is aborted; the last session is not. */
  sessions: fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 3 }),
  /** Items that fail, or take their worker down, when they are tried first. */
  failing: fc.uniqueArray(fc.nat(COUNT - 1), { maxLength: 3 }),
  crashing: fc.uniqueArray(fc.nat(COUNT - 1), { maxLength: 1 }),
})

describe('results do not depend on scheduling', () => {
  test('same items, task and seed, same results: any mode, workers, chunks, crash or resume', { timeout: 300_000 }, async () => {
    const expected = new Map<number, unknown>()
    for (const seed of [0, 7])
      expected.set(seed, (await execute(shaken, ITEMS, { seed, mode: 'inline', shared: NOBODY })).results)
    expect(expected.get(0)).not.toEqual(expected.get(7))
    await fc.assert(
      fc.asyncProperty(
        ways,
        fc.constantFrom(0, 7),
        async ({ mode, workers, chunkSize, format, sessions, failing, crashing }, seed) => {
          const isThreaded = mode === 'threads' || format !== undefined
          const store = memoryStore()
          const base = {
            ...{ seed, workers, chunkSize, mode: isThreaded ? 'threads' : mode },
            retry: { retries: 1, minTimeout: 0 },
            shared: { failing, crashing: isThreaded ? crashing : [] },
            ...(format ? { checkpoint: { store, format } } : {}),
          } as ExecuteOptions<number>
          for (const after of format ? sessions : []) {
            const abort = new AbortController()
            let settled = 0
            const outcome = () => void (++settled === after && abort.abort())
            await execute(shaken, ITEMS, { ...base, signal: abort.signal, on: { outcome } }).catch((error) => {
              if (error.code !== 'ERR_PAWL_ABORTED') throw error
            })
          }
          const { results, failures } = await execute(shaken, ITEMS, base)
          expect(failures).toEqual([])
          expect(results).toEqual(expected.get(seed))
        },
      ),
      { numRuns: process.env.PAWL_SOAK ? 500 : 30 },
    )
  })

  test('random() belongs to the seed and the key, not to the place', async () => {
    const options = { seed: 3, key: (n: number) => `item ${n}`, shared: NOBODY }
    const forth = await execute(shaken, ITEMS, { ...options, chunkSize: 1 })
    const back = await execute(shaken, ITEMS.toReversed(), { ...options, mode: 'inline' })
    expect(back.results.toReversed()).toEqual(forth.results)
    const numbers = forth.results.flatMap(({ numbers }) => numbers)
    expect(new Set(numbers).size).toBe(numbers.length)
    for (const number of numbers) expect(number >= 0 && number < 1).toBe(true)
  })

  describe.each(['inline', 'threads'] as const)('nor on what a task does to what it returned, or was given: %s', (mode) => {
    const records = ['oneRecord', 'oneRecordLater'].flatMap((name) =>
      ([undefined, 'msgpack', 'json'] as const).map((format) => [name, format] as const),
    )
    const others = ['oneBuffer', 'oneMap'].flatMap((name) =>
      ([undefined, 'msgpack'] as const).map((format) => [name, format] as const),
    )
    test.each([...records, ...others])('%s, format %s', async (name, format) => {
      const run = async (chunkSize: number) => {
        const checkpoint = format && { store: memoryStore(), format }
        const { results } = await execute<number, unknown>(reusing(name), ITEMS, {
          mode,
          chunkSize,
          ...(checkpoint && { checkpoint }),
        })
        return results
      }
      const expected = await run(1)
      expect(new Set(expected.map((it) => inspect(it))).size).toBe(COUNT)
      for (const chunkSize of [3, COUNT]) expect(await run(chunkSize)).toEqual(expected)
    })

    test('items that refer to one object', async () => {
      const options = { seen: 0 }
      const items = [1, 2, 3, 4].map((id) => ({ id, options }))
      for (const chunkSize of [1, 2, 4])
        expect((await execute(reusing('writeToItem'), items, { mode, chunkSize })).results).toEqual([1, 1, 1, 1])
      expect(options.seen).toBe(0)
    })
  })

  test('inline runs clone items and results as threads do', async () => {
    const shared = { n: 1 }
    const items = [shared, shared, { n: 2 }]
    const change = (item: { n: number }) => {
      item.n += 10
      return [item, item] as const
    }
    for (const [mode, chunkSize] of [
      ['inline', 1],
      ['threads', 1],
      ['inline', 3],
      ['threads', 3],
    ] as const) {
      const { results } = await execute(change, items, { mode, chunkSize })
      expect(results).toEqual([
        [{ n: 11 }, { n: 11 }],
        [{ n: 11 }, { n: 11 }],
        [{ n: 12 }, { n: 12 }],
      ])
      for (const [first, second] of results) expect(first).toBe(second)
      expect(items).toEqual([{ n: 1 }, { n: 1 }, { n: 2 }])
      expect(results[0]?.[0]).not.toBe(items[0])
    }
  })

  test.each(['inline', 'threads'] as const)('what cannot be cloned fails alone, %s', async (mode) => {
    const { results, failures } = await execute((n: number) => (n === 1 ? () => n : n), [0, 1, 2], { mode, maxFailures: 1 })
    expect(results).toEqual([0, undefined, 2])
    expect(failures).toMatchObject([{ index: 1, kind: 'serialization' }])
  })
})

const reusing = (name: string) => ({ module: new URL('../fixtures/tasks/reusing.mjs', import.meta.url), export: name })
const NOBODY = { failing: [], crashing: [] }
