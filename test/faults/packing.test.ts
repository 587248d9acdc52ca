import { type ExecuteOptions, execute, memoryStore, readResults } from 'pawl'
import { describe, expect, test } from 'vitest'
import { range, sharedCells } from '../execute/calls.ts'
import { trap } from '../fixtures/tasks/trapped.mjs'

const TIMEOUT = 200

const CARRIERS = [undefined, 'msgpack', 'json'] as const
const COMBINATIONS = [1, 64, 1000].flatMap((chunkSize) => CARRIERS.map((format) => [chunkSize, format] as const))

const checkpointOf = (format: (typeof CARRIERS)[number]) => (format ? { checkpoint: { store: memoryStore(), format } } : {})

/** Runs `count` items whose results are trapped as `trapped` says by index. */
async function run(count: number, trapped: Record<number, string>, options: ExecuteOptions<string>) {
  const calls = sharedCells(count)
  const since = new Float64Array(new SharedArrayBuffer(8))
  const attempts = new Map<number, number>()
  let lostAt = 0
  let losses = 0
  const items = range(count).map((i) => trapped[i] ?? 'fine')
  const report = await execute(trap, items, {
    ...{ mode: 'threads', workers: 2, maxFailures: count, shared: { calls, since } },
    on: {
      outcome: (it) => void attempts.set(it.index, it.attempts),
      workerExit: () => {
        lostAt ||= Date.now()
        losses++
      },
    },
    ...options,
  })
  /** How long the first trap held its thread, in ms. */
  const heldFor = lostAt - (since[0] as number)
  return { report, calls: [...calls], attempts: range(count).map((i) => attempts.get(i)), heldFor, losses }
}

/** The results of `count` items, of which `culprits` have none. */
const resultsWithout = (count: number, culprits: number[]) => range(count).map((i) => (culprits.includes(i) ? undefined : i))

/** The last of its chunk is packed as it is; of the others that are not plain copies are made, as the next item begins. */
const lastOf = (chunkSize: number) => chunkSize - 1

describe('a result that never comes to an end while it is packed', () => {
  test.each(COMBINATIONS)(
    'ends its thread within one timeout and is named exactly, in chunks of %i, recorded as %s',
    async (chunkSize, format) => {
      const options = { chunkSize, timeout: TIMEOUT, ...checkpointOf(format) }
      const index = lastOf(chunkSize)
      const { report, calls, attempts, heldFor, losses } = await run(1000, { [index]: 'late endless' }, options)
      expect(report.failures).toMatchObject([{ index, kind: 'timeout', crashes: 0 }])
      expect(report.results.map((it) => it)).toEqual(resultsWithout(1000, [index]))
      expect(report.stats).toMatchObject({ timeouts: 1, crashes: 0, attempts: calls.reduce((sum, it) => sum + it) })
      expect(attempts).toEqual(calls)
      expect(Math.max(...calls)).toBe(chunkSize === 1 ? 1 : 2)
      expect(losses).toBe(chunkSize === 1 ? 1 : 2)
      expect(heldFor).toBeGreaterThanOrEqual(TIMEOUT - 2) // Clocks of whole milliseconds.
      expect(heldFor).toBeLessThan(10 * TIMEOUT)
    },
  )

  test.each(['endless', 'late endless'])('is named as soon as it is returned, or the next item begins: %s', async (what) => {
    const culprits = [0, 3, 7]
    const trapped = Object.fromEntries(culprits.map((i) => [i, what]))
    const { report, calls, attempts, losses } = await run(10, trapped, { chunkSize: 10, workers: 1, timeout: TIMEOUT })
    expect(report.failures.map(({ index, kind }) => [index, kind])).toEqual(culprits.map((i) => [i, 'timeout']))
    expect(report.results.map((it) => it)).toEqual(resultsWithout(10, culprits))
    expect(culprits.map((i) => calls[i])).toEqual([1, 1, 1])
    expect(Math.max(...calls)).toBe(2)
    expect(attempts).toEqual(calls)
    expect(losses).toBe(3)
  })

  test('is a failed attempt under retry', async () => {
    const retry = { retries: 1, minTimeout: 0 }
    const { report, calls, attempts } = await run(10, { 9: 'late endless' }, { chunkSize: 10, timeout: TIMEOUT, retry })
    expect(report.failures).toMatchObject([{ index: 9, kind: 'timeout', attempts: calls[9] }])
    expect(report.stats).toMatchObject({ timeouts: 2, retries: 1 })
    expect(attempts).toEqual(calls)
  })
})

describe('a result that takes the worker down while it is packed', () => {
  const SMALL_HEAP = { resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 4 } }

  test.each(COMBINATIONS)('is given up after maxCrashes, in chunks of %i, recorded as %s', async (chunkSize, format) => {
    const index = lastOf(chunkSize)
    const { report, calls, attempts } = await run(1000, { [index]: 'late exit' }, { chunkSize, ...checkpointOf(format) })
    expect(report.failures).toMatchObject([{ index, kind: 'crash', crashes: 2, attempts: calls[index] }])
    expect(report.results.map((it) => it)).toEqual(resultsWithout(1000, [index]))
    expect(attempts).toEqual(calls)
    expect(report.stats).toMatchObject({ crashes: 2, attempts: calls.reduce((sum, it) => sum + it) })
    expect(calls[index]).toBe(chunkSize === 1 ? 2 : 3)
    expect(Math.max(...calls.filter((_, i) => i !== index))).toBeLessThanOrEqual(2)
  })

  test.each(['exit', 'late exit'])(
    'is known at once where another item begins, and no item runs a third time: %s',
    async (what) => {
      const { report, calls, attempts } = await run(100, { 40: what }, { chunkSize: 64 })
      expect(report.failures).toMatchObject([{ index: 40, kind: 'crash', crashes: 2 }])
      expect(report.results.map((it) => it)).toEqual(resultsWithout(100, [40]))
      expect(attempts).toEqual(calls)
      expect(Math.max(...calls)).toBe(2)
    },
  )

  test.each(CARRIERS)('for want of memory is a failure of that kind, recorded as %s', async (format) => {
    const options = { chunkSize: 30, ...SMALL_HEAP, ...checkpointOf(format) }
    const { report, calls, attempts } = await run(30, { 29: 'late memory' }, options)
    expect(report.failures).toMatchObject([{ index: 29, kind: 'memory', crashes: 2 }])
    expect(report.results.map((it) => it)).toEqual(resultsWithout(30, [29]))
    expect(attempts).toEqual(calls)
  })
})

test.each(CARRIERS)(
  'results that only together take longer than timeout are nobody’s failure, recorded as %s',
  async (format) => {
    const trapped = Object.fromEntries(range(90).map((i) => [i, i % 2 ? 'slow' : 'late slow']))
    const options = { chunkSize: 30, workers: 1, timeout: 500, ...checkpointOf(format) }
    const { report, calls, losses } = await run(90, trapped, options)
    expect(report.results).toEqual(range(90).map(() => ({ trap: 'seen' })))
    expect(report.stats).toMatchObject({ failed: 0, timeouts: 0 })
    expect(calls).toEqual(range(90).map(() => 1))
    expect(losses).toBe(0)
  },
)

describe('a result so deep that a worker can write and this thread not read it', () => {
  const deep = { 3: 'deep', 4: 'deep', 40: 'deep' }
  const culprits = Object.keys(deep).map(Number)

  // What runs once more may wait in the thread that the chunk of 40 is the end of: its items may begin a third time, where 40 has another chunk than 3 and 4.
  test.each([
    [1, 1],
    [7, 3],
    [100, 2],
  ])('fails alone, in chunks of %i', async (chunkSize, mostCalls) => {
    const { report, calls, attempts, losses } = await run(100, deep, { chunkSize })
    expect(report.failures).toMatchObject(culprits.map((index) => ({ index, kind: 'serialization', attempts: calls[index] })))
    expect(report.failures[1]?.reason).toMatchObject({ code: 'ERR_PAWL_SERIALIZATION', index: 4 })
    expect(report.failures[1]?.reason.message).toMatch(
      /^Cannot read the result of item 4: expected a value that can be carried between threads, got .*\. It may be nested too deep: /,
    )
    expect(report.results.map((it) => it)).toEqual(resultsWithout(100, culprits))
    // A thread is ended while it goes on with the next items: one may have been begun, and its task not yet called.
    const uncalled = attempts.map((count, i) => Number(count) - (calls[i] as number))
    expect(uncalled.every((count) => count === 0 || count === 1)).toBe(true)
    expect(uncalled.reduce((sum, it) => sum + it)).toBeLessThanOrEqual(losses)
    expect(report.stats).toMatchObject({ crashes: 0, attempts: attempts.reduce<number>((sum, it) => sum + Number(it), 0) })
    expect(Math.max(...calls)).toBeLessThanOrEqual(mostCalls)
  })

  test('fails alone when all of them are, and a thread ends for a chunk, not for an item', async () => {
    const trapped = Object.fromEntries(range(50).map((i) => [i, 'deep']))
    const { report, losses } = await run(50, trapped, { chunkSize: 50, workers: 1 })
    expect(report.failures.map(({ index, kind }) => [index, kind])).toEqual(range(50).map((i) => [i, 'serialization']))
    expect(losses).toBe(1)
  })

  test.each(['msgpack', 'json'] as const)('is not recorded as %s, and fails alone as well', async (format) => {
    const store = memoryStore()
    const { report, calls } = await run(100, deep, { chunkSize: 25, checkpoint: { store, format } })
    expect(report.failures.map(({ index, kind }) => [index, kind])).toEqual(culprits.map((i) => [i, 'serialization']))
    expect(calls).toEqual(range(100).map(() => 1))
    const read: unknown[] = []
    for await (const it of readResults(store, report.runId)) read.push(it.status === 'fulfilled' ? it.value : undefined)
    expect(read).toEqual(resultsWithout(100, culprits))
  })

  test('fails alone inline, where it cannot be cloned', async () => {
    const { report } = await run(10, { 4: 'deep' }, { mode: 'inline', workers: undefined })
    expect(report.failures).toMatchObject([{ index: 4, kind: 'serialization', attempts: 1 }])
    expect(report.results.map((it) => it)).toEqual(resultsWithout(10, [4]))
  })
})

describe('an item that a worker has not the stack to read', () => {
  const hears = (item: unknown) => {
    if (process.listenerCount('uncaughtException') === 0) process.on('uncaughtException', () => {})
    return Array.isArray(item)
  }

  test.each([
    ['the first of all', 0, 1],
    ['one of a chunk', 20, 8],
    ['one by itself', 20, 1],
  ])('fails by name, alone, in a thread that goes on: %s', async (_, index, chunkSize) => {
    let deep: unknown[] = []
    for (let level = 0; level < 3000; level++) deep = [deep]
    const exits: number[] = []
    const report = await execute(
      hears,
      range(40).map((at) => (at === index ? deep : at)),
      {
        ...{ mode: 'threads', workers: 1, chunkSize, maxFailures: 1, resourceLimits: { stackSizeMb: 0.5 } },
        on: { workerExit: ({ threadId }) => void exits.push(threadId) },
      },
    )
    const reason = {
      message: expect.stringMatching(new RegExp(`^Cannot carry item ${index} to a worker: .*nested too deep for`)),
    }
    expect(report.failures).toMatchObject([{ index, kind: 'serialization', attempts: 0, reason }])
    expect(report.results.map((it) => it)).toEqual(range(40).map((at) => (at === index ? undefined : false)))
    expect(report.stats).toMatchObject({ succeeded: 39, attempts: 39, crashes: 0 })
    expect(exits).toEqual([])
  })
})
