import { type CheckpointOptions, execute, fileStore, type Store } from 'pawl'
import { describe, expect, test } from 'vitest'
import { described } from '../fixtures/tasks/noted.mjs'
import { interrupt, newPlace, range } from '../resume/place.ts'

const COUNT = process.env.PAWL_SOAK ? 100_000 : 10_000
const ITEMS = range(COUNT)
const BOUND = 2.3
const RECORDS = ITEMS.map((n) => ({ id: n, name: `user ${n}`, score: n / 8, isActive: n % 3 === 0 }))
const JSON_BYTES = RECORDS.reduce((sum, record) => sum + JSON.stringify(record).length + 1, 0)

describe(`everything written over a run stays under ${BOUND} times the results as JSON`, () => {
  const forms = (['msgpack', 'json'] as const).flatMap((format) => [10, 100, 1000].map((every) => ({ format, every })))
  test.each(forms)('$format, every $every items', { timeout: 600_000 }, async ({ format, every }) => {
    const { runs } = newPlace()
    const { store, written } = counting(fileStore(runs))
    const checkpoint: CheckpointOptions = { store, format, every, interval: 10, durability: 'none' }
    const report = await execute(described, ITEMS, { workers: 1, chunkSize: 10, checkpoint })
    expect(report.results).toEqual(RECORDS)
    expect(written().outcomes / JSON_BYTES).toBeLessThan(BOUND)
    expect(report.stats.bytesWritten).toBeGreaterThan(0.2 * JSON_BYTES)
    // The stats tell all of it.
    expect(report.stats.bytesWritten).toBe(written().outcomes)
  })

  test.each(['msgpack', 'json'] as const)('%s, over 30 sessions, compactions included', { timeout: 600_000 }, async (format) => {
    const { runs } = newPlace()
    const { store, written } = counting(fileStore(runs))
    const checkpoint: CheckpointOptions = { store, format, every: 10, durability: 'none' }
    const sessions = 30
    let told = 0
    for (let session = 1; session < sessions; session++) {
      const { stats } = await interrupt(described, ITEMS, { chunkSize: 10, checkpoint }, Math.floor(COUNT / (sessions * 1.5)))
      told += stats.bytesWritten
    }
    const last = await execute(described, ITEMS, { workers: 1, chunkSize: 10, checkpoint })
    expect(last.results).toEqual(RECORDS)
    expect(last.stats.dispatched).toBeGreaterThan(0)
    expect(written().outcomes / JSON_BYTES).toBeLessThan(BOUND)
    expect(told + last.stats.bytesWritten).toBe(written().outcomes)
    // Asking a finished run again writes nothing but the claim on it.
    const before = written().outcomes
    await execute(described, ITEMS, { checkpoint })
    expect(written().outcomes).toBe(before)
  })
})

/** Counts what is written: `outcomes` to seg/ and snap/, `other` to the rest. */
function counting(store: Store): { store: Store; written: () => { outcomes: number; other: number } } {
  const written = { outcomes: 0, other: 0 }
  const count = (key: string, bytes: Uint8Array) => {
    if (/\/(seg|snap)\//.test(key)) written.outcomes += bytes.byteLength
    else written.other += bytes.byteLength
  }
  const counted: Store = {
    ...store,
    put: (key, bytes, options) => {
      count(key, bytes)
      return store.put(key, bytes, options)
    },
    append: async (key) => {
      const log = await (store.append as NonNullable<Store['append']>)(key)
      return {
        ...log,
        write: (bytes) => {
          count(key, bytes)
          return log.write(bytes)
        },
      }
    },
  }
  return { store: counted, written: () => ({ ...written }) }
}
