import { once } from 'node:events'
import type { Worker } from 'node:worker_threads'
import { type ExecuteOptions, execute } from 'pawl'
import { describe, expect, test } from 'vitest'
import { range, sharedCells, whenSet } from '../execute/calls.ts'
import { runProgram } from '../fixtures/program.ts'
import { waitForLatch } from '../fixtures/tasks/counted.mjs'
import { die, forget } from '../fixtures/tasks/deaths.mjs'

/** Thirty items of which some kill, as `deadly` says by index. */
async function run(deadly: Record<number, string>, options: ExecuteOptions<string>) {
  const calls = sharedCells(30)
  const items = range(30).map((i) => deadly[i] ?? 'fine')
  const exits: (number | undefined)[] = []
  const report = await execute(die, items, {
    mode: 'threads',
    workers: 2,
    chunkSize: 10,
    maxFailures: 30,
    shared: { calls },
    on: { workerExit: ({ index }) => void exits.push(index) },
    ...options,
  })
  return { report, calls: [...calls], exits }
}

/** All but the culprits have their results, once each. */
function expectNeighbours(report: { results: unknown[]; status: string }, culprits: number[]) {
  expect(report.status).toBe('complete')
  expect(report.results).toHaveLength(30)
  expect(report.results.map((it) => it)).toEqual(range(30).map((i) => (culprits.includes(i) ? undefined : i)))
}

const SMALL_HEAP = { resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 4 } }

const EXIT = '. If its task called process.exit, which ends the thread, have it throw an error instead'
const HEAP = ". Give workers more heap by 'resourceLimits.maxOldGenerationSizeMb', perhaps with fewer of them"

describe('an item that takes its worker down', () => {
  test.each<[string, ExecuteOptions<string>, object, advice?: string]>([
    ['exit', {}, { kind: 'crash', reason: { cause: { message: expect.stringContaining('exit code 3') } } }, EXIT],
    ['exitZero', {}, { kind: 'crash', reason: { cause: { message: expect.stringContaining('exit code 0') } } }, EXIT],
    ['memory', SMALL_HEAP, { kind: 'memory', reason: { cause: { code: 'ERR_WORKER_OUT_OF_MEMORY' } } }, HEAP],
    ['uncaught', {}, { kind: 'crash', reason: { cause: { name: 'RangeError', message: 'thrown by a timer' } } }],
    ['unhandled', {}, { kind: 'crash', reason: { cause: { name: 'RangeError', message: 'rejected, and nobody listened' } } }],
  ])(
    'by %s is named exactly, given up after maxCrashes, and its neighbours have their results',
    async (way, options, failure, advice = '') => {
      const { report, calls, exits } = await run({ 13: way }, options)
      expectNeighbours(report, [13])
      expect(report.failures).toHaveLength(1)
      expect(report.failures[0]).toMatchObject({ index: 13, item: way, attempts: 2, crashes: 2, ...failure })
      expect(report.failures[0]?.reason).toMatchObject({ name: 'WorkerCrashError', code: 'ERR_PAWL_WORKER_CRASH' })
      expect(report.failures[0]?.reason.message).toMatch(/item 13\b.*maxCrashes is 2\)/)
      expect(report.failures[0]?.reason.message.split('maxCrashes is 2)')[1]).toBe(advice)
      expect(report.stats).toMatchObject({ crashes: 2, timeouts: 0, retries: 0, failed: 1 })
      expect(calls[13]).toBe(2)
      expect(exits).toEqual([13, 13])
    },
  )

  test('uses up no retry, and succeeds when it only crashed once', async () => {
    const outcomes: number[] = []
    const { report, calls } = await run(
      { 4: 'once:exit', 5: 'once:uncaught' },
      { retry: 0, on: { outcome: ({ index }) => void outcomes.push(index) } },
    )
    expectNeighbours(report, [])
    expect(report.failures).toEqual([])
    expect(outcomes.sort((a, b) => a - b)).toEqual(range(30))
    expect([calls[4], calls[5]]).toEqual([2, 2])
    expect(report.stats).toMatchObject({ crashes: 2, retries: 0 })
  })

  test('is known for one by memory where errors of Node are of another realm', async () => {
    expect((await runProgram('other-realm.mjs')).json).toEqual({ kinds: ['memory'] })
  })

  test('counts its attempts in its outcome', async () => {
    const attempts = new Map<number, number>()
    await run({ 4: 'once:exit' }, { on: { outcome: (it) => void attempts.set(it.index, it.attempts) } })
    expect(attempts.get(4)).toBe(2)
    expect(attempts.get(25)).toBe(1)
  })

  test('has the starts of its neighbours counted, whose results were lost with it', async () => {
    const attempts = new Map<number, number>()
    const { report, calls } = await run(
      { 4: 'exit', 9: 'once:exit', 13: 'once:uncaught', 27: 'exit' },
      { retry: { retries: 1, minTimeout: 0 }, on: { outcome: (it) => void attempts.set(it.index, it.attempts) } },
    )
    expect(range(30).map((i) => attempts.get(i))).toEqual(calls)
    expect(report.stats.attempts).toBe(calls.reduce((sum, count) => sum + count))
    expect(Math.max(...calls)).toBeGreaterThan(1)
  })

  test('keeps its like off the main thread, however cheap they are, also in later runs', async () => {
    const shared = { calls: sharedCells(3) }
    const first = await execute(die, ['fine', 'exit'], { workers: 1, chunkSize: 1, maxFailures: 1, shared })
    expect(first.failures).toMatchObject([{ index: 1, kind: 'crash' }])
    const second = await execute(die, ['fine', 'fine', 'exit'], { workers: 1, maxFailures: 1, shared })
    expect(second).toMatchObject({ plan: { mode: 'threads' }, failures: [{ index: 2, kind: 'crash' }] })
  })

  test.each([1, 3])('is given up after maxCrashes: %i', async (maxCrashes) => {
    const { report, calls } = await run({ 0: 'exit', 29: 'exit' }, { maxCrashes, retry: { retries: 5, minTimeout: 0 } })
    expectNeighbours(report, [0, 29])
    expect(report.failures.map(({ crashes, attempts }) => [crashes, attempts])).toEqual([
      [maxCrashes, maxCrashes],
      [maxCrashes, maxCrashes],
    ])
    expect([calls[0], calls[29]]).toEqual([maxCrashes, maxCrashes])
    expect(report.stats).toMatchObject({ crashes: 2 * maxCrashes, retries: 0 })
  })

  test.each([1, 7, 30])('does so among others that do, at chunk size %i', async (chunkSize) => {
    const deadly = { 0: 'exit', 1: 'uncaught', 2: 'exitZero', 11: 'once:unhandled', 12: 'exit', 28: 'once:exit', 29: 'unhandled' }
    const { report } = await run(deadly, { chunkSize })
    expectNeighbours(report, [0, 1, 2, 12, 29])
    expect(report.failures.map((it) => it.index)).toEqual([0, 1, 2, 12, 29])
    expect(report.failures.every((it) => it.kind === 'crash' && it.crashes === 2)).toBe(true)
  })

  test.each([1, 7, 30])('only when its result is looked at is found all the same, at chunk size %i', async (chunkSize) => {
    const deadly = (item: number) => {
      if (item !== 4) return item
      return {
        get trap() {
          return process.exit(5)
        },
      }
    }
    const report = await execute(deadly, range(30), { mode: 'threads', workers: 2, chunkSize, maxFailures: 30 })
    expect(report.results.map((it) => it)).toEqual(range(30).map((it) => (it === 4 ? undefined : it)))
    expect(report.failures).toMatchObject([{ index: 4, kind: 'crash', crashes: 2 }])
  })

  test('with a stack overflow is an ordinary failure', async () => {
    const { report } = await run({ 3: 'stackOverflow' }, {})
    expect(report.failures).toMatchObject([{ index: 3, kind: 'error', crashes: 0, reason: { name: 'RangeError' } }])
    expect(report.stats.crashes).toBe(0)
  })

  test('ends the run when no failure is tolerated, with all that finished in the report', async () => {
    const error = await run({ 29: 'exit' }, { maxFailures: 0 }).catch((it) => it)
    expect(error).toMatchObject({ code: 'ERR_PAWL_RUN_FAILED', cause: { code: 'ERR_PAWL_WORKER_CRASH' } })
    expect(error.report.failures).toMatchObject([{ index: 29, kind: 'crash' }])
  })
})

test('a worker that is terminated from outside is replaced, and its item tried again', async () => {
  const [latch, started] = [sharedCells(1), sharedCells(3)]
  const workers: Worker[] = []
  const remember = (worker: Worker) => void workers.push(worker)
  process.on('worker', remember)
  const pending = execute(waitForLatch, [0, 1, 2], { mode: 'threads', workers: 1, chunkSize: 3, shared: { latch, started } })
  await whenSet(started, 0)
  process.off('worker', remember)
  const [worker] = workers as [Worker]
  const gone = once(worker, 'exit')
  worker.terminate()
  await gone
  Atomics.store(latch, 0, 1)
  const report = await pending
  expect(report.results).toEqual([0, 1, 2])
  expect(report.stats).toMatchObject({ crashes: 1, failed: 0 })
})

describe('an exception that surfaces after its item settled, or an exit', () => {
  test.each([
    ['forget', 1],
    ['forget', 2],
    ['forgetExit', 1],
    ['forgetExit', 2],
  ] as const)(
    'makes the running item a suspect that clears itself alone: %s, with maxCrashes %i',
    async (forgetful, maxCrashes) => {
      const calls = sharedCells(4)
      const report = await execute(forget, [forgetful, 'slow', 'fine', 'slow'] as const, {
        mode: 'threads',
        workers: 1,
        chunkSize: 4,
        maxCrashes,
        shared: { calls },
      })
      expect(report.results).toEqual([0, 1, 2, 3])
      expect(report.failures).toEqual([])
      expect(report.stats.crashes).toBe(1)
      expect([...calls].slice(1)).toEqual([2, 1, 1])
    },
  )

  test('does so also where every other worker is about to be hit by one', async () => {
    const calls = sharedCells(40)
    const items = range(40).map((i) => (i % 4 === 0 ? ('forget' as const) : ('slow' as const)))
    const report = await execute(forget, items, { mode: 'threads', workers: 3, chunkSize: 4, shared: { calls } })
    expect(report.results).toEqual(range(40))
  })
})
