import { type ExecuteOptions, execute, memoryStore, type RunFailedError } from 'pawl'
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

describe('a result that never comes to an end while it is packed', () => {
  test.each(COMBINATIONS)(
    'ends its thread within one timeout and is named exactly, in chunks of %i, recorded as %s',
    async (chunkSize, format) => {
      const options = { chunkSize, timeout: TIMEOUT, ...checkpointOf(format) }
      const { report, calls, attempts, heldFor, losses } = await run(1000, { 40: 'endless' }, options)
      expect(report.failures).toMatchObject([{ index: 40, kind: 'timeout', crashes: 0 }])
      expect(report.results.map((it) => it)).toEqual(resultsWithout(1000, [40]))
      expect(report.stats).toMatchObject({ timeouts: 1, crashes: 0, attempts: calls.reduce((sum, it) => sum + it) })
      expect(attempts).toEqual(calls)
      expect(Math.max(...calls)).toBe(chunkSize === 1 ? 1 : 2)
      expect(losses).toBe(chunkSize === 1 ? 1 : 2)
      expect(heldFor).toBeGreaterThanOrEqual(TIMEOUT - 2) // Clocks of whole milliseconds.
      expect(heldFor).toBeLessThan(10 * TIMEOUT)
    },
  )

  test('is found among others of its chunk in the same pass', async () => {
    const culprits = [0, 3, 7, 9]
    const trapped = Object.fromEntries(culprits.map((i) => [i, 'endless']))
    const { report, calls, attempts, losses } = await run(10, trapped, { chunkSize: 10, workers: 1, timeout: TIMEOUT })
    expect(report.failures.map(({ index, kind }) => [index, kind])).toEqual(culprits.map((i) => [i, 'timeout']))
    expect(report.results.map((it) => it)).toEqual(resultsWithout(10, culprits))
    expect(calls).toEqual(range(10).map(() => 2))
    expect(attempts).toEqual(calls)
    expect(losses).toBe(5)
  })

  test('is a failed attempt under retry', async () => {
    const retry = { retries: 1, minTimeout: 0 }
    const { report, calls, attempts } = await run(10, { 4: 'endless' }, { chunkSize: 10, timeout: TIMEOUT, retry })
    expect(report.failures).toMatchObject([{ index: 4, kind: 'timeout', attempts: calls[4] }])
    expect(report.stats).toMatchObject({ timeouts: 2, retries: 1 })
    expect(attempts).toEqual(calls)
  })
})

describe('a result that takes the worker down while it is packed', () => {
  const SMALL_HEAP = { resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 4 } }

  test.each(COMBINATIONS)('is given up after maxCrashes, in chunks of %i, recorded as %s', async (chunkSize, format) => {
    const { report, calls, attempts } = await run(1000, { 40: 'exit' }, { chunkSize, ...checkpointOf(format) })
    expect(report.failures).toMatchObject([{ index: 40, kind: 'crash', crashes: 2, attempts: calls[40] }])
    expect(report.results.map((it) => it)).toEqual(resultsWithout(1000, [40]))
    expect(attempts).toEqual(calls)
    expect(report.stats).toMatchObject({ crashes: 2, attempts: calls.reduce((sum, it) => sum + it) })
    expect(calls[40]).toBe(chunkSize === 1 ? 2 : 3)
    expect(Math.max(...calls.filter((_, i) => i !== 40))).toBeLessThanOrEqual(2)
  })

  test.each(CARRIERS)('for want of memory is a failure of that kind, recorded as %s', async (format) => {
    const options = { chunkSize: 30, ...SMALL_HEAP, ...checkpointOf(format) }
    const { report, calls, attempts } = await run(30, { 13: 'memory' }, options)
    expect(report.failures).toMatchObject([{ index: 13, kind: 'memory', crashes: 2 }])
    expect(report.results.map((it) => it)).toEqual(resultsWithout(30, [13]))
    expect(attempts).toEqual(calls)
  })
})

test.each(CARRIERS)(
  'results that only together take longer than timeout are nobody’s failure, recorded as %s',
  async (format) => {
    const trapped = Object.fromEntries(range(90).map((i) => [i, 'slow']))
    const options = { chunkSize: 30, workers: 1, timeout: 500, ...checkpointOf(format) }
    const { report, calls, attempts, losses } = await run(90, trapped, options)
    expect(report.results).toEqual(range(90).map(() => ({ trap: 'seen' })))
    expect(report.stats).toMatchObject({ failed: 0, timeouts: 0 })
    expect(attempts).toEqual(calls)
    expect(losses).toBe(2) // From then on they are packed one by one at once.
  },
)

test('a result that this thread cannot read ends the run with a sentence, and what was read before is in the report', async () => {
  // V8 writes it, but has not the stack to read it back. How deep that is depends on the stack that this process has.
  const task = (depth: number) => {
    let nested: unknown[] = []
    for (let level = 0; level < depth; level++) nested = [nested]
    return nested
  }
  let error: RunFailedError | undefined
  for (let depth = 1000; depth < 100_000 && error?.code !== 'ERR_PAWL_SERIALIZATION'; depth = Math.ceil(depth * 1.2)) {
    error = await execute(task, [1, 1, 1, depth, 1], { mode: 'threads', workers: 1, chunkSize: 1 }).then(
      () => undefined,
      (reason) => reason,
    )
  }
  if (!error) return expect.unreachable()
  expect(error).toMatchObject({ code: 'ERR_PAWL_SERIALIZATION', report: { status: 'partial' } })
  expect(error.message).toMatch(/^Cannot read the results of item 3: expected values .* nested too deeply/)
  expect(error.report?.results.slice(0, 3)).toEqual([[[]], [[]], [[]]])
})
