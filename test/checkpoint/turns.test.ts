import { expect, test } from 'vitest'
import { memoryStore } from '../../src/store/memory.ts'
import { IDENTITY, open } from './fixture.ts'

test.each(['none', 'gzip'] as const)(
  'a large record is read in pieces between which the event loop turns: %s',
  async (compress) => {
    const store = memoryStore()
    const identity = { ...IDENTITY, items: { kind: 'keyed' as const }, key: 'function' }
    const first = await open(store, { identity, compress })
    for (let from = 0; from < 100_000; from += 1000) {
      const indices = Uint32Array.from({ length: 1000 }, (_, at) => from + at)
      first.record({
        fulfilled: [{ indices, keys: Array.from(indices, (at) => `item number ${at}`), values: [...indices] }],
        rejected: [],
      })
    }
    await first.close()
    let turns = 0
    let isOver = false
    const count = () => {
      turns++
      if (!isOver) setImmediate(count)
    }
    setImmediate(count)
    const next = await open(store, { identity })
    const opening = turns
    let read = 0
    for await (const { fulfilled } of next.restored.read({ values: true }))
      for (const { indices } of fulfilled) read += indices.length
    isOver = true
    expect(read).toBe(100_000)
    expect(Math.min(opening, turns - opening)).toBeGreaterThan(5)
    await next.close()
  },
)
