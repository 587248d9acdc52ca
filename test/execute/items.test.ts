import { createReadStream, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Worker } from 'node:worker_threads'
import { createExecutor, execute, memoryStore, plan, stream } from 'pawl'
import { describe, expect, test } from 'vitest'
import { MAX_PULLED_ITEMS } from '../../src/plan/plan.ts'
import task from '../fixtures/tasks/arithmetic.mjs'
import { counted, waitForLatch } from '../fixtures/tasks/counted.mjs'
import { gate, openLatch, range, sharedCells, whenSet } from './calls.ts'

function* count(to: number): Generator<number> {
  for (let i = 0; i < to; i++) yield i
}

async function* countSlowly(to: number): AsyncGenerator<number> {
  for (let i = 0; i < to; i++) {
    if (i % 7 === 0) await new Promise((resolve) => setImmediate(resolve))
    yield i
  }
}

const SQUARES = range(50).map((n) => n * n)

describe('execute() takes items from', () => {
  test.each<[string, () => Iterable<number> | AsyncIterable<number>]>([
    ['an array', () => range(50)],
    ['a Float64Array', () => Float64Array.from(range(50))],
    ['a Uint8Array', () => Uint8Array.from(range(50))],
    ['a Buffer', () => Buffer.from(range(50))],
    ['a Set', () => new Set(range(50))],
    ['the values of a Map', () => new Map(range(50).map((n) => [`${n}`, n])).values()],
    ['a generator', () => count(50)],
    ['an async generator', () => countSlowly(50)],
    ['an iterable object', () => ({ [Symbol.iterator]: () => count(50) })],
    ['an iterator without return()', () => ({ [Symbol.iterator]: () => ({ next: count(50).next.bind(count(50)) }) })],
  ])('%s', async (_, items) => {
    for (const mode of ['threads', 'inline', 'auto'] as const) {
      const report = await execute(task, items(), { mode, workers: 2 })
      expect(report.results).toEqual(SQUARES)
      expect(report.status).toBe('complete')
      expect(report.stats.items).toBe(50)
    }
  })

  test.each<[string, () => Iterable<number> | AsyncIterable<number>]>([
    ['an empty array', () => []],
    ['an empty typed array', () => new Float32Array()],
    ['an empty generator', () => count(0)],
    ['an empty async generator', () => countSlowly(0)],
  ])('%s: a complete run of nothing', async (_, items) => {
    for (const mode of ['threads', 'inline', 'auto'] as const) {
      const report = await execute(task, items(), { mode })
      expect(report).toMatchObject({ status: 'complete', results: [], failures: [], stats: { items: 0, attempts: 0 } })
    }
  })

  test.each<[string, (items: number[]) => void]>([
    ['emptied', (items) => items.splice(0)],
    ['shortened', (items) => items.splice(10)],
    ['lengthened', (items) => items.push(...range(100))],
    ['reversed', (items) => items.reverse()],
  ])('an array as it was at the call, though it is %s meanwhile', async (_, change) => {
    await using executor = createExecutor({ workers: 2 })
    for (const mode of ['threads', 'inline'] as const) {
      const settled = [range(50), range(50), range(50), range(50)] as const
      const outcomes = stream(task, settled[1], { mode, chunkSize: 2, workers: 2 })
      const runs = [
        execute(task, settled[0], { mode, chunkSize: 2, workers: 2 }),
        outcomes.report,
        executor.execute(task, settled[2], { chunkSize: 2 }),
        execute(task, settled[3], { mode, chunkSize: 2, workers: 2, on: { progress: () => change(settled[3]) } }),
      ]
      for (const items of settled.slice(0, 3)) change(items)
      for (const report of await Promise.all(runs)) {
        expect(report).toMatchObject({ status: 'complete', results: SQUARES, stats: { items: 50, attempts: 50 } })
      }
    }
  })

  test('a typed array as it was at the call, though its buffer is given away meanwhile', async () => {
    const items = Float64Array.from(range(50))
    const run = execute(task, items)
    structuredClone(items, { transfer: [items.buffer] })
    expect((await run).results).toEqual(SQUARES)
  })

  test('the lines of a readline interface, all of them, though they come before anybody asks for one', async () => {
    const file = fileURLToPath(import.meta.url)
    const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1)
    const read = () => createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })
    const length = (line: string) => line.length
    const expected = lines.map(length)
    expect((await execute(length, read())).results).toEqual(expected)
    expect((await stream(length, read()).report).results).toEqual(expected)
    await using executor = createExecutor()
    expect((await executor.execute(length, read())).results).toEqual(expected)
    expect((await executor.stream(length, read()).report).results).toEqual(expected)
    expect((await executor.plan(length, read())).reason).not.toBe('')
  })

  test('an array of one item', async () => {
    const report = await execute(task, [12])
    expect(report).toMatchObject({ status: 'complete', results: [144], stats: { items: 1 } })
  })

  test('an array with holes and undefined items, each of which is an item', async () => {
    const items = [1, , undefined, 4] as unknown as number[]
    const { results } = await execute((n: number | undefined) => (n === undefined ? 'none' : n), items, { mode: 'threads' })
    expect(results).toEqual([1, 'none', 'none', 4])
  })

  test.each(['threads', 'inline', 'auto'] as const)('an array of a million: %s', async (mode) => {
    const items = range(1_000_000)
    const { results, stats } = await execute(task, items, { mode, workers: 2 })
    expect(results.length).toBe(1_000_000)
    expect(results.every((it, i) => it === i * i)).toBe(true)
    expect(stats).toMatchObject({ succeeded: 1_000_000, attempts: 1_000_000 })
  })

  test('a generator of a million', async () => {
    const { results } = await execute(task, count(1_000_000), { workers: 2 })
    expect(results.length).toBe(1_000_000)
    expect(results.every((it, i) => it === i * i)).toBe(true)
  })

  test.each([[null], [undefined], [5], ['text'], [{}], [() => []]])(
    'nothing but what has items: %s is refused',
    async (items) => {
      await expect(execute(task, items as never)).rejects.toMatchObject({ code: 'ERR_PAWL_INVALID_OPTION', option: 'items' })
    },
  )
})

describe('execute() pulls an iterable', () => {
  test.each(['sync', 'async'])('no faster than it is worked on: %s', async (kind) => {
    const [latch, started] = [sharedCells(1), sharedCells(1000)]
    let pulled = 0
    function* watched() {
      for (; pulled < 1000; ) yield pulled++
    }
    async function* watchedSlowly() {
      yield* watched()
    }
    const run = execute(waitForLatch, kind === 'sync' ? watched() : watchedSlowly(), {
      mode: 'threads',
      workers: 2,
      chunkSize: 5,
      shared: { latch, started },
    })
    await whenSet(started, 0)
    for (let turns = 0; turns < 200; turns++) await new Promise((resolve) => setImmediate(resolve))
    expect(pulled).toBeLessThanOrEqual(2 * 2 * 5 + 5) // Two chunks a worker, and one in hand.
    openLatch(latch)
    const { results } = await run
    expect(results).toEqual(range(1000))
    expect(pulled).toBe(1000)
  })

  test.each([5, 0, undefined, null])('and ends when its next() gives %s', async (given) => {
    for (const symbol of [Symbol.iterator, Symbol.asyncIterator]) {
      const items = { [symbol]: () => ({ next: () => given }) } as unknown as Iterable<number>
      await expect(execute(task, items)).rejects.toMatchObject({
        code: 'ERR_PAWL_ABORTED',
        message: expect.stringContaining(`Iterator result ${given} is not an object`),
      })
    }
  })

  test('and never holds more than a bounded part of it, with chunks that grow', async () => {
    let [pulled, settled, widest] = [0, 0, 0]
    function* watched() {
      while (pulled < 200_000) {
        widest = Math.max(widest, pulled - settled)
        yield pulled++
      }
    }
    await execute(task, watched(), { mode: 'threads', workers: 2, on: { outcome: () => void settled++ } })
    expect(settled).toBe(200_000)
    expect(widest).toBeLessThanOrEqual(5 * MAX_PULLED_ITEMS) // Two chunks a worker, and one in hand.
  })

  test('and sends on what is there while the next item lets itself be waited for', async () => {
    const { passed: held, open: release } = gate()
    async function* items() {
      yield 1
      yield 2
      await held
      yield 3
    }
    const seen: number[] = []
    const report = await execute(task, items(), {
      chunkSize: 100,
      on: {
        outcome: ({ index }) => {
          seen.push(index)
          if (seen.length === 2) release() // Without the first two nobody would ever let the third one go.
        },
      },
    })
    expect(report.results).toEqual([1, 4, 9])
  })

  test.each(['threads', 'inline'] as const)(
    'and tries an item again while the next waits for what comes of it: %s',
    async (mode) => {
      const { passed: told, open: tell } = gate()
      async function* items() {
        yield 5
        await told
        yield 6
      }
      const shared = { calls: sharedCells(2), fails: [1] }
      const options = { mode, workers: 1, retry: { retries: 1, minTimeout: 20 }, on: { outcome: () => tell() } }
      expect((await execute(counted, items(), { ...options, shared })).results).toEqual([10, 12])
      expect([...shared.calls]).toEqual([2, 1])
    },
  )
})

describe('execute() and an iterable that misbehaves', () => {
  test.each(['sync', 'async'])('one that throws ends the run with report and cause: %s', async (kind) => {
    const cause = new Error('line 11 is no JSON')
    function* items() {
      yield* range(10)
      throw cause
    }
    async function* slowItems() {
      yield* items()
    }
    const error = await execute(task, kind === 'sync' ? items() : slowItems(), { chunkSize: 3 }).catch((it) => it)
    expect(error.message).toContain('line 11 is no JSON')
    expect(error).toMatchObject({ name: 'RunAbortedError', code: 'ERR_PAWL_ABORTED', cause })
    expect(error.report).toMatchObject({ status: 'partial', failures: [] })
    expect(error.report.stats.failed).toBe(0)
  })

  test('one made of a run that failed ends with that as its cause, and the report of each is its own', async () => {
    const shared = { calls: sharedCells(4), fails: [0, 9] }
    const outcomes = stream(counted, range(4), { mode: 'threads', workers: 1, chunkSize: 1, shared, runId: 'first' })
    async function* items() {
      for await (const { index } of outcomes) yield index
    }
    const error = await execute(task, items(), { runId: 'second' }).catch((it) => it)
    const first = await outcomes.report.catch((it) => it)
    expect(error).toMatchObject({ name: 'RunAbortedError', report: { runId: 'second', failures: [] } })
    expect(error.cause).toBe(first)
    expect(first).toMatchObject({ code: 'ERR_PAWL_RUN_FAILED', report: { runId: 'first', failures: [{ index: 1 }] } })
  })

  const cause = new Error('no connection')
  const fail = () => {
    throw cause
  }
  const failing: [string, Iterable<number> | AsyncIterable<number>][] = [
    ['[Symbol.iterator]() throws', { [Symbol.iterator]: fail }],
    ['[Symbol.asyncIterator]() throws', { [Symbol.asyncIterator]: fail }],
    ['the getter of [Symbol.iterator] throws', Object.defineProperty({}, Symbol.iterator, { get: fail }) as Iterable<number>],
    [
      'the getter of [Symbol.asyncIterator] throws',
      Object.defineProperty({}, Symbol.asyncIterator, { get: fail }) as AsyncIterable<number>,
    ],
    ['next() throws', { [Symbol.iterator]: () => ({ next: fail }) }],
  ]
  const told = {
    ...{ name: 'RunAbortedError', code: 'ERR_PAWL_ABORTED', cause },
    message: expect.stringMatching(/^Cannot read the next item: .*: no connection/),
  }
  test.each(failing)('one of which %s ends a run with report and cause, and a plan with the cause', async (_, items) => {
    const error = await execute(task, items).catch((it) => it)
    expect(error).toMatchObject({ ...told, report: { status: 'partial', stats: { attempts: 0 } } })
    const streamed = stream(task, items, { checkpoint: memoryStore(), runId: 'run' })
    const read = async () => {
      for await (const _ of streamed);
    }
    await expect(read()).rejects.toMatchObject({ ...told, report: { stats: { attempts: 0 } } })
    await expect(plan(task, items)).rejects.toMatchObject(told)
  })

  test('return() is called when the run ends early, and not when it was read to its end', async () => {
    const returned: string[] = []
    function* items(name: string, many: number) {
      try {
        yield* range(many)
      } finally {
        returned.push(name)
      }
    }
    await execute(task, items('read to its end', 5))
    expect(returned).toEqual(['read to its end'])
    const failing = execute(counted, items('ended early', 100_000), { shared: { calls: sharedCells(100_000), fails: [1] } })
    await expect(failing).rejects.toMatchObject({ code: 'ERR_PAWL_RUN_FAILED' })
    expect(returned).toEqual(['read to its end', 'ended early'])
  })

  const ways = {
    execute: (...[ref, items, options]: Parameters<typeof execute<number, number>>) => execute(ref, items, options),
    plan: (...[ref, items, options]: Parameters<typeof plan<number, number>>) => plan(ref, items, options),
    stream: (...[ref, items, options]: Parameters<typeof stream<number, number>>) => stream(ref, items, options).report,
  }
  test.each([
    { way: 'execute', of: 'pawl', ref: './no-such-task.mjs', options: {} },
    { way: 'stream', of: 'pawl', ref: './no-such-task.mjs', options: {} },
    { way: 'plan', of: 'pawl', ref: './no-such-task.mjs', options: {} },
    { way: 'execute', of: 'pawl', ref: task, options: { chunkSize: 0 } },
    { way: 'execute', of: 'pawl', ref: task, options: { checkpoint: memoryStore(), runId: 'run', resume: 'require' } },
    { way: 'execute', of: 'an executor', ref: task, options: { chunkSize: 0 } },
    { way: 'stream', of: 'an executor', ref: task, options: { chunkSize: 0 } },
    { way: 'plan', of: 'an executor', ref: task, options: { chunkSize: 0 } },
    { way: 'execute', of: 'pawl', ref: task, options: { maxFailures: 0, key: () => 'one for all' } },
    { way: 'execute', of: 'pawl', ref: task, options: { signal: AbortSignal.abort() } },
  ] as const)('return() of an async one is called once where a run is refused: $way of $of, $options', async (given) => {
    const { way, of, ref, options } = given
    const calls: string[] = []
    const items: AsyncIterable<number> = {
      [Symbol.asyncIterator]: () => ({
        next: async () => ({ done: false, value: 1 }),
        return: async () => {
          calls.push('return')
          return { done: true, value: undefined }
        },
      }),
    }
    await using executor = createExecutor()
    const { execute, plan, stream } = executor
    const called =
      of === 'pawl' ? ways[way] : { execute, plan, stream: (...them: Parameters<typeof stream>) => stream(...them).report }[way]
    await expect(called(ref as never, items, options as never)).rejects.toThrow()
    expect(calls).toEqual(['return'])
  })

  test('a generator that takes its time is left now and then, so that the event loop turns', async () => {
    let [pulled, most, isOver] = [0, 0, false]
    const onTurn = () => {
      pulled = 0
      if (!isOver) setImmediate(onTurn)
    }
    onTurn()
    function* items() {
      for (let item = 0; item < 3000; item++) {
        for (const until = performance.now() + 0.2; performance.now() < until; );
        most = Math.max(most, ++pulled)
        yield item
      }
    }
    const { stats } = await execute(task, items(), { mode: 'threads', workers: 1, chunkSize: 3000 })
    isOver = true
    expect(stats).toMatchObject({ succeeded: 3000 })
    expect(most).toBeLessThan(300)
  })

  test('return() that throws takes nothing away from the error that ended the run', async () => {
    function* items() {
      try {
        yield* range(100_000)
      } finally {
        throw new Error('thrown while closing')
      }
    }
    const failing = execute(counted, items(), { shared: { calls: sharedCells(100_000), fails: [1] } })
    await expect(failing).rejects.toMatchObject({ code: 'ERR_PAWL_RUN_FAILED', report: { status: 'partial' } })
  })

  test.each(['threads', 'inline'] as const)('an async one that never answers does not hold up an abort: %s', async (mode) => {
    const abort = new AbortController()
    async function* items() {
      yield 1
      await new Promise(() => {})
      yield 2
    }
    const run = execute(task, items(), { mode, signal: abort.signal, on: { outcome: () => abort.abort(new Error('enough')) } })
    const error = await run.catch((it) => it)
    expect(error).toMatchObject({ code: 'ERR_PAWL_ABORTED', cause: new Error('enough') })
    expect(error.report.results).toEqual([1])
  })
})

test('what are no items starts no thread', async () => {
  const started: Worker[] = []
  const note = (worker: Worker) => void started.push(worker)
  process.on('worker', note)
  try {
    for (const items of [undefined, null, 7, {}] as never[]) {
      await expect(execute(task, items, { mode: 'threads' })).rejects.toMatchObject({ option: 'items' })
      await expect(plan(task, items, { mode: 'threads' })).rejects.toMatchObject({ option: 'items' })
      await expect(stream(task, items, { mode: 'threads' }).report).rejects.toMatchObject({ option: 'items' })
    }
    expect(started).toEqual([])
    await execute(task, [1], { mode: 'threads' })
    expect(started).not.toEqual([])
  } finally {
    process.off('worker', note)
  }
})
