import { createExecutor, execute, type Log, memoryStore, type Outcome, type Store, stream } from 'pawl'
import { describe, expect, test } from 'vitest'
import { openLatch, range, sharedCells } from './execute/calls.ts'
import arithmetic from './fixtures/tasks/arithmetic.mjs'
import { counted } from './fixtures/tasks/counted.mjs'
import { block } from './fixtures/tasks/signalled.mjs'
import { spin } from './fixtures/tasks/where.mjs'

const MODES = ['threads', 'inline', 'auto'] as const
const valueOf = (outcome: Outcome<number>) => (outcome.status === 'fulfilled' ? outcome.value : outcome.reason.message)

describe('stream()', () => {
  test.each(MODES)('yields each outcome once, and then the report is there: %s', async (mode) => {
    const outcomes = stream(arithmetic, range(2000), { mode, workers: 2 })
    const seen: [number, unknown][] = []
    for await (const outcome of outcomes) seen.push([outcome.index, valueOf(outcome)])
    expect(seen.sort((a, b) => a[0] - b[0])).toEqual(range(2000).map((i) => [i, i * i]))
    await expect(outcomes.report).resolves.toMatchObject({ status: 'complete', stats: { succeeded: 2000 } })
  })

  test('ends the run when it is left before anything has begun', async () => {
    const outcomes = stream(
      spin,
      range(300).map(() => 20),
      { mode: 'threads', workers: 1 },
    )
    const loop = outcomes[Symbol.asyncIterator]()
    const first = loop.next()
    await loop.return?.()
    await first.catch(() => {})
    const error = await outcomes.report.catch((reason) => reason)
    expect(error).toMatchObject({ code: 'ERR_PAWL_ABORTED' })
    expect(error.report.stats.succeeded).toBeLessThan(300)
  })

  test('tells whoever left its loop that the last outcomes could not be recorded', async () => {
    const refuse = async () => {
      throw Object.assign(new Error('EFBIG: file too large'), { code: 'EFBIG' })
    }
    const none: Log = { write: refuse, sync: refuse, close: async () => {} }
    const store: Store = { ...memoryStore(), append: async () => none }
    const warnings: string[] = []
    const on = { warning: ({ code }: { code: string }) => void warnings.push(code) }
    const outcomes = stream(arithmetic, range(100), { workers: 1, checkpoint: { store, interval: 60_000 }, on })
    for await (const _ of outcomes) break
    expect(warnings).toEqual(['CHECKPOINT_FAILED'])
    await expect(outcomes.report).rejects.toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_WRITE' })
  })

  test('gives each outcome to one of several loops, all of which end', async () => {
    const outcomes = stream(arithmetic, range(200), { mode: 'threads', chunkSize: 1 })
    const seen: number[] = []
    const loop = async () => {
      for await (const { index } of outcomes) seen.push(index)
    }
    await Promise.all([loop(), loop(), loop()])
    expect(seen.sort((a, b) => a - b)).toEqual(range(200))
  })

  test.each(['return', 'throw'] as const)(
    'ends the run when an iterator that nothing was asked of is let go: %s()',
    async (how) => {
      const shared = { started: sharedCells(2), seen: sharedCells(1) }
      const outcomes = stream(block, ['a', 'b'], { mode: 'threads', drainTimeout: 0, shared })
      const thrown = new Error('thrown into it')
      const left = outcomes[Symbol.asyncIterator]()[how]?.(how === 'throw' ? thrown : undefined)
      if (how === 'throw') await expect(left).rejects.toBe(thrown)
      else await expect(left).resolves.toEqual({ value: undefined, done: true })
      await expect(outcomes.report).rejects.toMatchObject({ code: 'ERR_PAWL_ABORTED' })
    },
  )

  test('answers outcomes that are asked for all at once, each with another', async () => {
    const outcomes = stream(arithmetic, range(50), { mode: 'threads' })
    const iterator = outcomes[Symbol.asyncIterator]()
    const results = await Promise.all(range(60).map(() => iterator.next()))
    const seen = results.flatMap(({ done, value }) => (done ? [] : [value.index]))
    expect(seen.sort((a, b) => a - b)).toEqual(range(50))
    await expect(iterator.next()).resolves.toEqual({ value: undefined, done: true })
    await expect(outcomes.report).resolves.toMatchObject({ status: 'complete' })
  })

  test('yields nothing of no items', async () => {
    for await (const outcome of stream(arithmetic, [])) expect.unreachable(`got ${outcome.index}`)
  })

  test('yields failures too, and throws in the loop what ends the run, after all that settled', async () => {
    const shared = { calls: sharedCells(4), fails: [0, 9] }
    const tolerant = stream(counted, range(4), { maxFailures: 1, shared })
    const seen: string[] = []
    for await (const outcome of tolerant) seen.push(`${outcome.index} ${outcome.status}`)
    expect(seen.sort()).toEqual(['0 fulfilled', '1 rejected', '2 fulfilled', '3 fulfilled'])

    const strict = stream(counted, range(4), { chunkSize: 4, mode: 'threads', shared })
    const taken: number[] = []
    const loop = async () => {
      for await (const { index } of strict) taken.push(index)
    }
    await expect(loop()).rejects.toMatchObject({ code: 'ERR_PAWL_RUN_FAILED', report: { failures: [{ index: 1 }] } })
    await expect(strict.report).rejects.toMatchObject({ code: 'ERR_PAWL_RUN_FAILED' })
    expect(taken.sort()).toEqual([0, 1, 2, 3])
  })

  test('throws what ends the run once, and is over for whoever asked as well', async () => {
    const shared = { calls: sharedCells(4), fails: [0, 9] }
    const iterator = stream(counted, range(4), { chunkSize: 4, mode: 'threads', shared })[Symbol.asyncIterator]()
    const asked = await Promise.allSettled(range(7).map(() => iterator.next()))
    expect(asked.map((it) => (it.status === 'rejected' ? it.reason.code : it.value.done))).toEqual([
      ...range(4).map(() => false),
      ...['ERR_PAWL_RUN_FAILED', true, true],
    ])
  })

  test.each(['threads', 'inline'] as const)('drains when its loop is left early: %s', async (mode) => {
    const calls = sharedCells(100_000)
    let returned = false
    function* items() {
      try {
        yield* range(100_000)
      } finally {
        returned = true
      }
    }
    const outcomes = stream(counted, items(), { mode, workers: 2, chunkSize: 10, shared: { calls } })
    for await (const outcome of outcomes) if (outcome.index >= 50) break
    expect(returned).toBe(true)
    const callsThen = calls.reduce((sum, it) => sum + it, 0)
    expect(callsThen).toBeLessThan(50_000)
    await expect(outcomes.report).rejects.toMatchObject({ code: 'ERR_PAWL_ABORTED', report: { status: 'partial' } })
    expect(calls.reduce((sum, it) => sum + it, 0)).toBe(callsThen)
  })

  test('passes on what is thrown in its loop', async () => {
    const outcomes = stream(arithmetic, range(1000), { chunkSize: 10 })
    const loop = async () => {
      for await (const _ of outcomes) throw new Error('of the loop')
    }
    await expect(loop()).rejects.toThrow('of the loop')
    await expect(outcomes.report).rejects.toMatchObject({ code: 'ERR_PAWL_ABORTED' })
  })

  test('leaves nothing unhandled when nobody looks at the report', async () => {
    const unhandled: unknown[] = []
    const listener = (reason: unknown) => void unhandled.push(reason)
    process.on('unhandledRejection', listener)
    const loop = async () => {
      for await (const _ of stream('./missing-task.mjs', [1])) expect.unreachable()
    }
    await expect(loop()).rejects.toMatchObject({ code: 'ERR_PAWL_TASK_LOAD' })
    await new Promise((resolve) => setImmediate(resolve)) // Node tells of it before the next turn.
    process.off('unhandledRejection', listener)
    expect(unhandled).toEqual([])
  })

  test('waits with the items while its loop is slow', async () => {
    let pulled = 0
    function* items() {
      while (pulled < 500_000) yield pulled++
    }
    const outcomes = stream(arithmetic, items(), { mode: 'threads', workers: 2, chunkSize: 1000 })
    let taken = 0
    for await (const _ of outcomes) {
      if (++taken === 1) {
        const before: number[] = []
        // Until nothing moves any more: the run waits for this loop.
        while (before.length < 3 || before.at(-1) !== before.at(-3)) {
          await new Promise((resolve) => setTimeout(resolve, 50))
          before.push(pulled)
        }
        expect(pulled).toBeLessThanOrEqual(60_000)
      }
    }
    expect(taken).toBe(500_000)
  })

  test.each([
    { form: 'views', task: () => new Uint8Array(2 ** 20) },
    { form: 'records', task: () => ({ list: Array.from({ length: 300 }, (_, n) => ({ n, text: 'x'.repeat(3000) })) }) },
    { form: 'packed values', task: () => new Uint8Array(2 ** 20), checkpoint: memoryStore() },
  ])('waits with fewer items while its outcomes are large: $form', async ({ task, checkpoint }) => {
    let pulled = 0
    function* items() {
      while (pulled < 300) yield pulled++
    }
    const options = { mode: 'threads', workers: 2, chunkSize: 4, collect: false } as const
    const outcomes = stream(task as () => unknown, items(), { ...options, ...(checkpoint ? { checkpoint, runId: 'large' } : {}) })
    for await (const _ of outcomes) {
      const before: number[] = []
      while (before.length < 3 || before.at(-1) !== before.at(-3)) {
        await new Promise((resolve) => setTimeout(resolve, 100))
        before.push(pulled)
      }
      expect(pulled).toBeLessThan(200)
      break
    }
    await expect(outcomes.report).rejects.toMatchObject({ code: 'ERR_PAWL_ABORTED' })
  })

  test('does not wait for a loop once the report was asked for', async () => {
    const outcomes = stream(arithmetic, range(100_000), { chunkSize: 1000 })
    await expect(outcomes.report).resolves.toMatchObject({ status: 'complete', stats: { succeeded: 100_000 } })
    let taken = 0
    for await (const _ of outcomes) taken++
    expect(taken).toBe(100_000)
  })

  test.each(['threads', 'inline'] as const)('ends when told to, though its loop stands still: %s', async (mode) => {
    const executor = createExecutor({ workers: 1, mode })
    const abort = new AbortController()
    let pulled = 0
    function* items() {
      for (;;) yield pulled++
    }
    const outcomes = executor.stream(arithmetic, items(), { signal: abort.signal, chunkSize: 1000 })
    const loop = outcomes[Symbol.asyncIterator]()
    await loop.next()
    const before: number[] = []
    // Until nothing moves any more: the run waits for the loop.
    while (before.length < 3 || before.at(-1) !== before.at(-3)) {
      await new Promise((resolve) => setTimeout(resolve, 50))
      before.push(pulled)
    }
    abort.abort(new Error('enough'))
    await executor.close()
    const rest = async () => {
      for (;;) if ((await loop.next()).done) return
    }
    await expect(rest()).rejects.toMatchObject({ code: 'ERR_PAWL_ABORTED', cause: new Error('enough') })
  })

  test('takes no more from the checkpoint than its loop can hold', async () => {
    const checkpoint = memoryStore()
    const options = { mode: 'threads', workers: 2, chunkSize: 4, collect: false, checkpoint, runId: 'large' } as const
    const task = () => new Uint8Array(2 ** 20)
    await execute(task, range(300), options)
    let restored = 0
    const on = { outcome: () => void restored++ }
    let taken = 0
    for await (const { index } of stream(task, range(300), { ...options, on })) {
      if (taken++ > 0) continue
      const before: number[] = []
      while (before.length < 3 || before.at(-1) !== before.at(-3)) {
        await new Promise((resolve) => setTimeout(resolve, 100))
        before.push(restored)
      }
      expect(restored, `of the first, ${index}`).toBeLessThan(200)
    }
    expect([taken, restored]).toEqual([300, 300])
  })

  test('ends with what its signal said', async () => {
    const abort = new AbortController()
    const shared = { started: sharedCells(2), seen: sharedCells(1) }
    const outcomes = stream(block, ['a', 'b'], { mode: 'threads', signal: abort.signal, drainTimeout: 0, shared })
    abort.abort(new Error('enough'))
    const loop = async () => {
      for await (const _ of outcomes) expect.unreachable()
    }
    await expect(loop()).rejects.toMatchObject({ code: 'ERR_PAWL_ABORTED', cause: new Error('enough') })
    openLatch(shared.seen)
  })
})

test('an iterator may be handed on from a loop by hand to one of the language, and passes on what is thrown into it', async () => {
  const iterator = stream((n: number) => n, [0, 1, 2, 3])[Symbol.asyncIterator]() as AsyncIterableIterator<Outcome<number>>
  const first = await iterator.next()
  const rest: number[] = []
  for await (const { index } of iterator) rest.push(index)
  expect([first.value?.index, ...rest].sort()).toEqual([0, 1, 2, 3])

  const outcomes = stream((n: number) => n, [0, 1, 2, 3])
  async function* passOn() {
    yield* outcomes
  }
  const passed = passOn()
  await passed.next()
  const thrown = new Error('thrown into it')
  await expect(passed.throw(thrown)).rejects.toBe(thrown)
})
