import { cpSync, mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { type ExecuteOptions, execute, fileStore, memoryStore, type Store } from 'pawl'
import { describe, expect, test } from 'vitest'
import { noted } from '../fixtures/tasks/noted.mjs'
import { interrupt, newPlace, range } from '../resume/place.ts'

const ITEMS = range(60)
const DOUBLED = ITEMS.map((n) => n * 2)
const BASE: ExecuteOptions<number> = { runId: 'run', mode: 'threads', workers: 1, chunkSize: 3 }

describe('the set of settled items only grows', () => {
  test('over sessions that are interrupted again and again', async () => {
    const { runs, starts } = newPlace()
    let before = 0
    for (let session = 0; session < 25 && before < 190; session++) {
      const { stats } = await interrupt(noted, range(200), { checkpoint: { store: runs, every: 1 } }, 2)
      expect(stats.restored).toBe(before)
      expect(stats.succeeded).toBeGreaterThan(before)
      before = stats.succeeded
    }
    const last = await execute(noted, range(200), { checkpoint: runs })
    expect(last.stats.restored).toBe(before)
    expect(last.results).toEqual(range(200).map((n) => n * 2))
    expect(starts().sort((a, b) => a - b)).toEqual(range(200))
  })

  test('when files of other processes are added, whatever they hold and in whatever order they come', async () => {
    const part = fc.record({
      shard: fc.constantFrom('1/3', '2/3', '3/3', undefined),
      format: fc.constantFrom('msgpack', 'json'),
      compress: fc.constantFrom('none', 'gzip'),
    })
    const { directory } = newPlace()
    await fc.assert(
      fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 4 }), async (parts) => {
        const places: string[] = []
        const settled = new Set<number>()
        for (const { shard, format, compress } of parts) {
          const place = mkdtempSync(join(directory, 'part-'))
          places.push(place)
          await execute(noted, ITEMS, {
            ...BASE,
            ...(shard ? { shard: shard as '1/3' } : {}),
            checkpoint: { store: place, format: format as 'json', compress: compress as 'gzip', durability: 'none' },
            on: { outcome: ({ index }) => void settled.add(index) },
          })
        }
        for (const order of [places, places.toReversed()]) {
          const merged = mkdtempSync(join(directory, 'merged-'))
          for (const place of order) cpSync(place, merged, { recursive: true })
          const { stats, results } = await execute(noted, ITEMS, { ...BASE, checkpoint: { store: merged, durability: 'none' } })
          expect(stats).toMatchObject({
            restored: settled.size,
            dispatched: ITEMS.length - settled.size,
            conflicts: 0,
            damaged: 0,
          })
          expect(results).toEqual(DOUBLED)
        }
      }),
      { numRuns: 12 },
    )
  }, 120_000)

  test('when two sessions work on one run at once though they should not: both end right, and all is kept', async () => {
    newPlace()
    const store = withoutLease(memoryStore())
    const options = { ...BASE, checkpoint: { store, every: 1 } }
    const reports = await Promise.all([execute(noted, ITEMS, options), execute(noted, ITEMS, options)])
    for (const { results, status } of reports) expect({ results, status }).toEqual({ results: DOUBLED, status: 'complete' })
    const { stats, results } = await execute(noted, ITEMS, options)
    expect(stats).toMatchObject({ restored: ITEMS.length, dispatched: 0, conflicts: 0, damaged: 0 })
    expect(results).toEqual(DOUBLED)
  })

  test('and of two different successes for one item the same one counts everywhere, and it is told', async () => {
    const { directory } = newPlace()
    const places = [0, 1].map(() => mkdtempSync(join(directory, 'part-')))
    const unlike = () => performance.timeOrigin + performance.now() + Math.random()
    const values: number[][] = []
    for (const store of places) values.push((await execute(unlike, ITEMS, { ...BASE, checkpoint: store })).results)
    const counted: number[][] = []
    for (const order of [places, places.toReversed()]) {
      const merged = mkdtempSync(join(directory, 'merged-'))
      for (const place of order) cpSync(place, merged, { recursive: true })
      const { stats, results } = await execute(unlike, ITEMS, { ...BASE, checkpoint: merged })
      expect(stats).toMatchObject({ restored: 60, dispatched: 0, conflicts: 60 })
      counted.push(results)
    }
    expect(counted[0]).toEqual(counted[1])
    ITEMS.forEach((_, index) => expect(values.map((column) => column[index])).toContain(counted[0]?.[index]))
  })

  test('a success counts before a failure of the same item, from wherever they come', async () => {
    const { directory, spoil, heal } = newPlace()
    const [failed, fine] = [0, 1].map(() => mkdtempSync(join(directory, 'part-'))) as [string, string]
    const options = { ...BASE, maxFailures: 60, retryFailed: false }
    spoil(4, 5, 6)
    await execute(noted, ITEMS, { ...BASE, maxFailures: 60, checkpoint: failed })
    heal(4, 5, 6)
    await execute(noted, ITEMS, { ...BASE, shard: '1/2', checkpoint: fine })
    for (const order of [
      [failed, fine],
      [fine, failed],
    ]) {
      const merged = mkdtempSync(join(directory, 'merged-'))
      for (const place of order) cpSync(place, merged, { recursive: true })
      const { stats, failures, results } = await execute(noted, ITEMS, { ...options, checkpoint: merged })
      const known = await execute(noted, ITEMS, { ...options, checkpoint: fine, shard: '1/2' })
      const healed = [4, 5, 6].filter((index) => known.results[index] !== undefined)
      expect(failures.map(({ index }) => index)).toEqual([4, 5, 6].filter((index) => !healed.includes(index)))
      for (const index of healed) expect(results[index]).toBe(index * 2)
      expect(stats).toMatchObject({ restored: 60, dispatched: 0 })
    }
  })

  test('and no session touches the files of an earlier one', async () => {
    const { runs, directory } = newPlace()
    await interrupt(noted, ITEMS, { ...BASE, checkpoint: runs })
    const store = fileStore(runs)
    const before = await contentsOf(store)
    const copy = join(directory, 'copy')
    cpSync(runs, copy, { recursive: true })
    await execute(noted, ITEMS, { ...BASE, checkpoint: { store: runs, keep: 1_000 } })
    const after = await contentsOf(store)
    for (const [key, bytes] of before) expect(after.get(key)).toEqual(bytes)
  })
})

async function contentsOf(store: Store): Promise<Map<string, Uint8Array | undefined>> {
  const contents = new Map<string, Uint8Array | undefined>()
  for (const { key } of await store.list('')) contents.set(key, await store.get(key))
  return contents
}

/** A store in which no session sees the claim of another. */
function withoutLease(store: Store): Store {
  return { ...store, list: async (prefix) => (await store.list(prefix)).filter(({ key }) => !key.includes('/lease/')) }
}
