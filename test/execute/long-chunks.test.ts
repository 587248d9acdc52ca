import { execute, memoryStore, stream } from 'pawl'
import { expect, test } from 'vitest'

/** One chunk of two seconds on one worker. */
const items = Array.from({ length: 40 }, (_, index) => index)
const options = { workers: 1, chunkSize: items.length, mode: 'threads' as const }
const slow = (item: number) => {
  const end = Date.now() + 50
  while (Date.now() < end);
  return item
}

test.each(['msgpack', 'json'] as const)(
  'what a chunk has done is recorded before the rest of it is done (%s)',
  async (format) => {
    const recorded: number[] = []
    const { results, stats } = await execute(slow, items, {
      ...options,
      checkpoint: { store: memoryStore(), format, interval: 100 },
      on: { afterCheckpoint: (flush) => recorded.push(flush.recorded) },
    })
    expect(results).toEqual(items)
    expect(stats.succeeded).toBe(items.length)
    expect(recorded[0]).toBeLessThan(items.length)
    expect(recorded.length).toBeGreaterThan(2)
    expect(recorded.at(-1)).toBe(items.length)
  },
)

test('what a chunk has done is streamed before the rest of it is done, each item once, also when others of it are tried again', async () => {
  const task = (item: number, { attempt }: { attempt: number }) => {
    const end = Date.now() + 50
    while (Date.now() < end);
    if (item % 10 === 3 && attempt === 1) throw new Error('once')
    return item
  }
  const began = performance.now()
  const seen: number[] = []
  let first = Number.POSITIVE_INFINITY
  for await (const { index } of stream(task, items, { ...options, retry: { retries: 1, minTimeout: 0 } })) {
    first = Math.min(first, performance.now() - began)
    seen.push(index)
  }
  expect(first).toBeLessThan((performance.now() - began) / 2)
  expect(seen.sort((a, b) => a - b)).toEqual(items)
})
