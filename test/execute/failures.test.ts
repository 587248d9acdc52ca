import { createExecutor, execute, NonRetryableError } from 'pawl'
import { describe, expect, test } from 'vitest'
import { counted } from '../fixtures/tasks/counted.mjs'
import { spin } from '../fixtures/tasks/where.mjs'
import { gate, openLatch, range, sharedCells } from './calls.ts'

/** Runs `counted` on `count` items of which those at `failing` fail for good. */
const failing = (count: number, at: readonly number[]) => {
  const fails: number[] = []
  for (const i of at) fails[i] = 1000
  return { items: range(count), shared: { calls: sharedCells(count), fails } }
}

describe('retry', () => {
  test('tries again what failed, with the attempt counted from 1, until it succeeds', async () => {
    for (const mode of ['threads', 'inline'] as const) {
      const calls = sharedCells(6)
      const attempts = new Map<number, number>()
      const retries: { index: number; attempt: number; delay: number; message: string }[] = []
      const report = await execute(counted, range(6), {
        mode,
        chunkSize: 3,
        retry: { retries: 3, minTimeout: 1, factor: 2 },
        shared: { calls, fails: [0, 1, 3] },
        on: {
          outcome: (it) => void attempts.set(it.index, it.attempts),
          retry: ({ index, attempt, delay, error }) => void retries.push({ index, attempt, delay, message: error.message }),
        },
      })
      expect(report.results).toEqual([0, 2, 4, 6, 8, 10])
      expect([...calls]).toEqual([1, 2, 4, 1, 1, 1])
      expect(range(6).map((i) => attempts.get(i))).toEqual([1, 2, 4, 1, 1, 1])
      expect(retries.sort((a, b) => a.index - b.index || a.attempt - b.attempt)).toEqual([
        { index: 1, attempt: 1, delay: 1, message: 'item 1 failed in attempt 1' },
        { index: 2, attempt: 1, delay: 1, message: 'item 2 failed in attempt 1' },
        { index: 2, attempt: 2, delay: 2, message: 'item 2 failed in attempt 2' },
        { index: 2, attempt: 3, delay: 4, message: 'item 2 failed in attempt 3' },
      ])
      expect(report.stats).toMatchObject({ retries: 4, attempts: 10, failed: 0 })
    }
  })

  test('as a number means as many retries; a TypeError is retried like any other', async () => {
    const task = (n: number, { attempt }: { attempt: number }) => {
      if (attempt < 2) throw new TypeError('not yet')
      return n
    }
    const report = await execute(task, [1, 2], { retry: { retries: 1, minTimeout: 0 } })
    expect(report.results).toEqual([1, 2])
    const once = await execute(task, [1, 2], { retry: 0, maxFailures: 2 })
    expect(once.failures.map((it) => it.attempts)).toEqual([1, 1])
  })

  test("asks shouldRetry on the main thread, with p-retry's context, index and key", async () => {
    const asked: Record<string, unknown>[] = []
    const { items, shared } = failing(4, [1, 3])
    const report = await execute(counted, items, {
      key: (n) => `item-${n}`,
      maxFailures: 2,
      retry: {
        retries: 2,
        minTimeout: 0,
        shouldRetry: (context) => {
          asked.push({ ...context, error: context.error.message })
          return context.index === 1
        },
      },
      shared,
    })
    expect([...shared.calls]).toEqual([1, 3, 1, 1])
    expect(report.failures.map(({ index, key, attempts }) => ({ index, key, attempts }))).toEqual([
      { index: 1, key: 'item-1', attempts: 3 },
      { index: 3, key: 'item-3', attempts: 1 },
    ])
    expect(asked).toHaveLength(3)
    expect(asked).toContainEqual({
      error: 'item 1 failed in attempt 1',
      attemptNumber: 1,
      retriesLeft: 2,
      retriesConsumed: 0,
      index: 1,
      key: 'item-1',
    })
  })

  test('holds no place while it waits: others run meanwhile', async () => {
    const order: number[] = []
    const calls = sharedCells(50)
    await execute(counted, range(50), {
      mode: 'threads',
      workers: 1,
      chunkSize: 1,
      retry: { retries: 1, minTimeout: 300 },
      shared: { calls, fails: [1] },
      on: { outcome: ({ index }) => void order.push(index) },
    })
    expect(order).toHaveLength(50)
    expect(order.indexOf(0)).toBeGreaterThan(1)
  })

  test('spends no more than its budget, and says so once', async () => {
    const { items, shared } = failing(100, range(100))
    const warnings: string[] = []
    const report = await execute(counted, items, {
      maxFailures: 100,
      retry: { retries: 5, minTimeout: 0, budget: 0.2 },
      shared,
      on: { warning: ({ code }) => void warnings.push(code) },
    })
    expect(report.stats.failed).toBe(100)
    expect(report.stats.retries).toBeLessThanOrEqual(20)
    expect(report.stats.retries).toBeGreaterThanOrEqual(10)
    expect(warnings).toEqual(['RETRY_BUDGET'])
  })
})

describe('maxFailures', () => {
  test.each([
    [0, [], true],
    [0, [5], false],
    [3, [1, 5, 9], true],
    [3, [1, 5, 9, 11], false],
    ['10%', [1, 5], true],
    ['10%', [1, 5, 9], false],
    ['0%', [1], false],
    ['100%', range(20), true],
  ] as const)('%s, with %j failing of 20: tolerated %s', async (maxFailures, at, isTolerated) => {
    const { items, shared } = failing(20, at)
    const run = execute(counted, items, { maxFailures, chunkSize: 20, shared })
    const { report } = isTolerated ? { report: await run } : await run.catch((it) => it)
    expect(report.failures.map((it: { index: number }) => it.index)).toEqual([...at])
    expect(report.stats.failed).toBe(at.length)
    if (isTolerated) return expect(report.status).toBe('complete')
    await expect(run).rejects.toMatchObject({ name: 'RunFailedError', code: 'ERR_PAWL_RUN_FAILED' })
    await expect(run).rejects.toThrow(/maxFailures/)
  })

  test.each([
    ['29%', 100, 29],
    ['7%', 100, 7],
    ['0.57%', 10_000, 57],
  ] as const)('%s of %i tolerates %i, and not one more', async (maxFailures, count, most) => {
    for (const failed of [most, most + 1]) {
      const task = (n: number, { shared }: { shared: unknown }) => (n < (shared as number) ? Promise.reject(new Error('no')) : n)
      const run = execute(task, range(count), { maxFailures, chunkSize: count, shared: failed })
      if (failed === most) await expect(run).resolves.toMatchObject({ status: 'complete', stats: { failed } })
      else await expect(run).rejects.toThrow(`expected at most ${maxFailures} failures (maxFailures), got ${failed} items`)
    }
  })

  test('as a share stays exceeded, though what settles while the run drains for it brings it below again', async () => {
    const drained = gate()
    async function* items() {
      yield* range(300) // Three chunks: no more is to have settled by then, or it were no excess.
      await drained.passed
      yield* range(700)
    }
    // What fails begins when the other thread is at the last item of its chunk: a chunk nobody has begun would go back. Items take
    // a little, so that their chunk, where it waits behind that item, is worth being taken by the thread that has nothing to do.
    const task = (n: number, { shared }: { shared: unknown }) => {
      const { latch, held } = shared as { latch: Int32Array; held: Int32Array }
      for (const end = performance.now() + 0.02; performance.now() < end; );
      if (n === 199) {
        Atomics.store(held, 0, 1)
        Atomics.notify(held, 0)
        Atomics.wait(latch, 0, 0)
      }
      if (n === 200) Atomics.wait(held, 0, 0)
      if (n >= 200 && n < 215) throw new Error('no')
      return n
    }
    await using executor = createExecutor({ workers: 2, mode: 'threads' })
    await executor.execute(
      spin,
      range(8).map(() => 20),
    )
    const shared = { latch: sharedCells(1), held: sharedCells(1) }
    const drain = () => {
      drained.open()
      openLatch(shared.latch)
    }
    const options = { maxFailures: '5%', chunkSize: 100, shared, on: { drain } } as const
    const error = await executor.execute(task, items(), options).catch((it) => it)
    expect(error).toMatchObject({ code: 'ERR_PAWL_RUN_FAILED', report: { status: 'partial', stats: { failed: 15 } } })
    expect(error.report.stats.succeeded).toBeGreaterThanOrEqual(285)
  })

  test('is told in one sentence, however the reason ends', async () => {
    const run = execute((message: string) => Promise.reject(new Error(message)), ['It ended.'])
    await expect(run).rejects.toThrow('first item 0: It ended. All that finished')
  })

  test('stops soon after it is exceeded, and keeps what finished', async () => {
    const { items, shared } = failing(100_000, range(20))
    const error = await execute(counted, items, { maxFailures: 5, workers: 2, mode: 'threads', shared }).catch((it) => it)
    expect(error.report.status).toBe('partial')
    expect(error.report.stats.failed).toBeGreaterThan(5)
    expect(error.report.stats.succeeded).toBeLessThan(99_000)
    expect(error.report.results.filter((it: unknown) => it !== undefined)).toHaveLength(error.report.stats.succeeded)
  })

  test('as a share of an iterable counts only after 100 items have settled', async () => {
    function* items() {
      yield* range(400)
    }
    const few = failing(400, [0, 1, 2])
    await expect(execute(counted, items(), { maxFailures: '5%', chunkSize: 1, shared: few.shared })).resolves.toMatchObject({
      status: 'complete',
    })
    const many = failing(400, range(50))
    const error = await execute(counted, items(), { maxFailures: '5%', chunkSize: 1, shared: many.shared }).catch((it) => it)
    expect(error.code).toBe('ERR_PAWL_RUN_FAILED')
    expect(error.report.stats.failed + error.report.stats.succeeded).toBeGreaterThanOrEqual(100)
  })
})

describe('breaker', () => {
  test('that opens for the last time with the last outcome there is holds back nothing', async () => {
    const task = (n: number) => Promise.reject(new Error(`no ${n}`))
    const breaker = { volumeThreshold: 3, maxOpens: 1 }
    const states: string[] = []
    const options = {
      breaker,
      chunkSize: 1,
      workers: 1,
      on: { breaker: ({ state }: { state: string }) => void states.push(state) },
    }
    const report = await execute(task, range(3), { ...options, maxFailures: 10 })
    expect(report).toMatchObject({ status: 'complete', stats: { failed: 3 } })
    expect(states).toEqual(['open'])
    await expect(execute(task, range(3), { ...options, maxFailures: 2 })).rejects.toMatchObject({ code: 'ERR_PAWL_RUN_FAILED' })
    await expect(execute(task, range(50), { ...options, maxFailures: 50 })).rejects.toMatchObject({
      code: 'ERR_PAWL_CIRCUIT_OPEN',
      report: { status: 'partial' },
    })
  })
})

test('a NonRetryableError is an Error with code and cause', () => {
  const error = new NonRetryableError('no', { cause: 5 })
  expect(error).toBeInstanceOf(Error)
  expect(error).toMatchObject({ name: 'NonRetryableError', code: 'ERR_PAWL_NON_RETRYABLE', cause: 5 })
})
