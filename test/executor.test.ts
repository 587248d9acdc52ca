import { AsyncLocalStorage } from 'node:async_hooks'
import { getEventListeners } from 'node:events'
import { createExecutor, execute } from 'pawl'
import { describe, expect, test } from 'vitest'
import { gate, openLatch, range, sharedCells, whenSet } from './execute/calls.ts'
import arithmetic, { cube } from './fixtures/tasks/arithmetic.mjs'
import { counted, tell, waitForLatch } from './fixtures/tasks/counted.mjs'
import { die } from './fixtures/tasks/deaths.mjs'
import nested from './fixtures/tasks/nested.mjs'
import { sumTo } from './fixtures/tasks/recursive.mjs'
import { spin } from './fixtures/tasks/where.mjs'

/** A value that knows how often it was cloned. */
function watched(values: number[]) {
  const value = {
    get values() {
      watch.reads++
      return watch.values
    },
  }
  const watch = { value, values, reads: 0 }
  return watch
}

describe('createExecutor()', () => {
  test('keeps its threads from one run to the next', async () => {
    await using executor = createExecutor({ workers: 1, mode: 'threads' })
    const first = await executor.execute(tell, [1, 2])
    const second = await executor.execute(tell, [3])
    const third = await executor.execute(cube, [2])
    const threads = [...first.results, ...second.results].map((it) => it.threadId)
    expect(new Set(threads).size).toBe(1)
    expect(third.results).toEqual([8])
  })

  test('takes a task, and options, as they are at the call', async () => {
    await using executor = createExecutor({ workers: 1, mode: 'threads' })
    const ref = { module: new URL('./fixtures/tasks/arithmetic.mjs', import.meta.url), export: 'half' }
    const options = { maxFailures: 1 }
    const runs = [executor.execute(ref, [8], options), executor.stream(ref, [8], options).report, execute(ref, [8], options)]
    Object.assign(ref, { module: './nowhere.mjs', export: 'nothing' })
    Object.assign(options, { maxFailures: 'none' })
    expect((await Promise.all(runs)).map(({ results }) => results)).toEqual([[4], [4], [4]])
  })

  test('calls what a run was given in the asynchronous context of its call, whoever started the threads or aborts the signal', async () => {
    const caller = new AsyncLocalStorage<string>()
    await using executor = createExecutor({ workers: 1, mode: 'threads' })
    await caller.run('first', () => executor.execute(cube, [1]))
    const heard = new Set<string>()
    const note = (event: string) => () => void heard.add(`${event} ${caller.getStore()}`)
    // Of one chunk that takes so long that what came of it is told before its end; then the thread is lost.
    const slow = (isLast: number) => {
      const end = Date.now() + 60
      while (Date.now() < end);
      if (isLast) process.exit()
    }
    const items = [0, 0, 0, 0, 0, 0, 0, 0, 1]
    const abort = new AbortController()
    const options = { chunkSize: items.length, maxCrashes: 1, maxFailures: 1, signal: abort.signal }
    const on = { outcome: note('outcome'), progress: note('progress'), workerExit: note('workerExit'), drain: note('drain') }
    await caller.run('second', () => executor.execute(slow, items, { ...options, on }))
    expect([...heard].sort()).toEqual(['outcome second', 'progress second', 'workerExit second'])
    const { passed, open } = gate()
    const third = caller.run('third', () => executor.execute(slow, items, { ...options, on: { plan: open, drain: on.drain } }))
    await passed
    caller.run('fourth', () => abort.abort())
    await expect(third).rejects.toMatchObject({ code: 'ERR_PAWL_ABORTED' })
    expect([...heard].at(-1)).toBe('drain third')
  })

  test('gives each run its own shared value, seed and outcomes', async () => {
    await using executor = createExecutor({ workers: 1, mode: 'threads', seed: 5 })
    const [a, b, c] = await Promise.all([
      executor.execute(tell, ['a'], { shared: 'one' }),
      executor.execute(tell, ['b'], { shared: 'two' }),
      executor.execute(tell, ['c'], { shared: 'one', seed: 6 }),
    ])
    expect(a.results).toMatchObject([{ item: 'a', shared: 'one' }])
    expect(b.results).toMatchObject([{ item: 'b', shared: 'two' }])
    expect(b.results[0]?.numbers).toEqual(a.results[0]?.numbers)
    expect(c.results[0]?.numbers).not.toEqual(a.results[0]?.numbers)
  })

  test.each(['threads', 'inline'] as const)(
    'sends what all its runs share once per worker, and what a run has of its own with each (%s)',
    async (mode) => {
      const table = watched([7])
      await using executor = createExecutor({ workers: 1, mode, shared: table.value })
      for (const _ of range(3)) expect((await executor.execute(tell, ['a'])).results).toMatchObject([{ shared: { values: [7] } }])
      for await (const outcome of executor.stream(tell, ['b']))
        expect(outcome).toMatchObject({ value: { shared: { values: [7] } } })
      expect(table.reads).toBe(1)
      const own = watched([8])
      for (const n of [8, 9]) {
        own.values = [n]
        expect((await executor.execute(tell, ['c'], { shared: own.value })).results).toMatchObject([{ shared: { values: [n] } }])
      }
      expect(own.reads).toBe(2)
      table.values = [6]
      for (const [shared, expected] of [
        [table.value, [6]],
        [undefined, [7]],
      ] as const)
        expect((await executor.execute(tell, ['d'], { shared })).results).toMatchObject([{ shared: { values: expected } }])
    },
  )

  test('sends what all its runs share anew to a thread that takes the place of a lost one', async () => {
    const table = watched([7])
    await using executor = createExecutor({ workers: 1, mode: 'threads', shared: table.value })
    expect((await executor.execute(tell, ['a'])).results).toMatchObject([{ shared: { values: [7] } }])
    const exits = (item: number) => void process.exit(item)
    expect((await executor.execute(exits, [5], { maxFailures: 1, maxCrashes: 1 })).stats.crashes).toBe(1)
    expect((await executor.execute(tell, ['b'])).results).toMatchObject([{ shared: { values: [7] } }])
    expect(table.reads).toBe(2)
  })

  test('sends what all its runs share again where it came with an item that a worker cannot read', async () => {
    const deep = JSON.parse(`${'['.repeat(3000)}${']'.repeat(3000)}`)
    const resourceLimits = { stackSizeMb: 0.5 }
    await using executor = createExecutor({ workers: 1, mode: 'threads', resourceLimits, shared: { values: [7] } })
    const [unread, read, next] = await Promise.all([
      executor.execute(tell, [deep], { maxFailures: 1 }),
      executor.execute(tell, ['b']),
      executor.execute(tell, ['c'], { shared: 'own' }),
    ])
    expect(unread.failures).toMatchObject([{ kind: 'serialization' }])
    expect(read.results).toMatchObject([{ item: 'b', attempt: 1, shared: { values: [7] } }])
    expect(next.results).toMatchObject([{ item: 'c', attempt: 1, shared: 'own' }])
    expect((await executor.execute(tell, ['d'])).results).toMatchObject([{ shared: { values: [7] } }])
  })

  test('lets concurrent runs take turns by chunk: a long one does not keep a short one waiting', async () => {
    await using executor = createExecutor({ workers: 1, mode: 'threads', chunkSize: 1 })
    const [latch, started] = [sharedCells(1), sharedCells(2000)]
    let settled = 0
    const long = executor.execute(waitForLatch, range(2000), {
      shared: { latch, started },
      on: { outcome: () => void settled++ },
    })
    await whenSet(started, 0)
    const short = executor.execute(arithmetic, range(5)).then(({ results }) => ({ results, settledBy: settled }))
    await new Promise((resolve) => setImmediate(resolve))
    openLatch(latch)
    const { results, settledBy } = await short
    expect(results).toEqual([0, 1, 4, 9, 16])
    expect(settledBy).toBeLessThan(100)
    expect((await long).results).toEqual(range(2000))
  })

  test.each(['threads', 'inline'] as const)('keeps no run waiting for others that wait for their source: %s', async (mode) => {
    await using executor = createExecutor({ workers: 1, mode })
    let asked = 0
    const { passed: fed, open: feed } = gate()
    async function* items() {
      asked++
      await fed
      yield 3
    }
    const waiting = range(2).map(() => executor.execute(cube, items()))
    while (asked < 2) await new Promise((resolve) => setImmediate(resolve))
    expect((await executor.execute(cube, [2])).results).toEqual([8])
    feed()
    for (const run of waiting) expect((await run).results).toEqual([27])
  })

  test.each(['threads', 'inline'] as const)(
    'runs runs inside of one another, where they are inline: task on %s',
    async (mode) => {
      expect((await execute(sumTo, [4, 5], { mode, workers: 1 })).results).toEqual([10, 15])
    },
  )

  test('one signal may be for any number of runs, and none listens to it any more when they are over', async () => {
    const warned: string[] = []
    const onWarning = ({ name }: Error) => void warned.push(name)
    process.on('warning', onWarning)
    const { signal } = new AbortController()
    await using executor = createExecutor({ workers: 1, mode: 'threads', signal })
    const runs = range(20).map(() => executor.execute(arithmetic, [3]))
    const plans = range(20).map(() => executor.plan(arithmetic, [3]))
    for (const { results } of await Promise.all(runs)) expect(results).toEqual([9])
    await Promise.all(plans)
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', onWarning)
    expect(warned).toEqual([])
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  test('one signal ends all runs that have it', async () => {
    const abort = new AbortController()
    await using executor = createExecutor({ workers: 1, mode: 'threads', signal: abort.signal })
    async function* items() {
      await new Promise(() => {})
      yield 1
    }
    const runs = range(20).map(() => executor.execute(arithmetic, items()).catch((error) => error))
    abort.abort(new Error('enough'))
    for (const error of await Promise.all(runs))
      expect(error).toMatchObject({ code: 'ERR_PAWL_ABORTED', cause: { message: 'enough' } })
  })

  test('runs a task that calls execute beside a run whose task cannot be loaded, in the same thread', async () => {
    await using executor = createExecutor({ workers: 1, mode: 'threads' })
    const { passed: fed, open: feed } = gate()
    async function* items() {
      yield 3
      await fed
      yield 3
    }
    const failing = async () => {
      await expect(executor.execute('data:text/javascript,throw 5', [1])).rejects.toMatchObject({ code: 'ERR_PAWL_TASK_LOAD' })
      feed()
    }
    const failed: Promise<void>[] = []
    const { results } = await executor.execute(nested, items(), { on: { outcome: () => void failed.push(failing()) } })
    expect(results).toMatchObject([{ results: [0, 1, 4] }, { results: [0, 1, 4] }])
    await Promise.all(failed)
  })

  test('starts another thread once its runs together are worth one, though none of them is', async () => {
    await using executor = createExecutor({ workers: 2, mode: 'threads' })
    const threads = new Set<number>()
    for (let runs = 0; runs < 100 && threads.size < 2; runs++) {
      const { results } = await executor.execute(spin, new Array(20).fill(1))
      for (const { threadId } of results) threads.add(threadId)
    }
    expect(threads.size).toBe(2)
    const { plan } = await executor.execute(spin, new Array(20).fill(1))
    expect(plan.workers).toBe(2)
  })

  test('ends no other run for one whose task ends each thread as it is loaded', async () => {
    await using executor = createExecutor({ workers: 2, mode: 'threads' })
    const shared = { latch: sharedCells(1), started: sharedCells(1) }
    const waiting = executor.execute(waitForLatch, [7], { shared })
    await whenSet(shared.started, 0)
    const ends = new URL('./fixtures/tasks/exits-on-import.mjs', import.meta.url)
    await expect(executor.execute(ends, [1, 2, 3])).rejects.toMatchObject({ code: 'ERR_PAWL_TASK_LOAD' })
    openLatch(shared.latch)
    expect((await waiting).results).toEqual([7])
  })

  test('ends one whose task ends each thread also while items of another come to an end all the time', async () => {
    await using executor = createExecutor({ workers: 2, mode: 'threads', chunkSize: 1 })
    const begun = gate()
    let isOver = false
    function* items() {
      while (!isOver) yield 1
    }
    const busy = executor.execute(spin, items(), { on: { outcome: begun.open } })
    await begun.passed
    const ends = new URL('./fixtures/tasks/exits-on-import.mjs', import.meta.url)
    await expect(executor.execute(ends, [1])).rejects.toMatchObject({ code: 'ERR_PAWL_TASK_LOAD' })
    isOver = true
    expect((await busy).failures).toEqual([])
  })

  test('ends each of several runs whose tasks end each thread with an error, and a report, of its own', async () => {
    await using executor = createExecutor({ workers: 1, mode: 'threads' })
    const ends = new URL('./fixtures/tasks/exits-on-import.mjs', import.meta.url)
    const ids = ['first', 'second']
    const runs = await Promise.allSettled(ids.map((runId) => executor.execute(ends, [1], { runId })))
    expect(runs).toMatchObject(
      ids.map((runId) => ({ status: 'rejected', reason: { code: 'ERR_PAWL_TASK_LOAD', report: { runId } } })),
    )
  })

  test('ends no run that is under way for one whose task ends each thread, also where each was sent both', async () => {
    await using executor = createExecutor({ workers: 2, mode: 'threads', chunkSize: 1 })
    const shared = { latch: sharedCells(1), started: sharedCells(1) }
    const firstWaits = (item: number, { shared: cells }: { shared: unknown }) => {
      const { latch, started } = cells as typeof shared
      if (item > 0) return item
      Atomics.store(started, 0, 1)
      Atomics.notify(started, 0)
      Atomics.wait(latch, 0, 0, 30_000)
      return item
    }
    let isOver = false
    function* items() {
      for (let item = 0; !isOver; item++) yield item
    }
    const waiting = executor.execute(firstWaits, items(), { shared })
    await whenSet(shared.started, 0)
    const ends = new URL('./fixtures/tasks/exits-on-import.mjs', import.meta.url)
    await expect(executor.execute(ends, [1])).rejects.toMatchObject({ code: 'ERR_PAWL_TASK_LOAD' })
    isOver = true
    openLatch(shared.latch)
    const { results } = await waiting
    expect(results).toEqual(range(results.length))
  })

  test('goes on where a task freezes what is global in its thread', async () => {
    await using executor = createExecutor({ workers: 1, mode: 'threads' })
    // As Object.freeze does, which Node 24 itself does not survive: what it adds to its globals when they are looked at has no place any more.
    const freezes = (item: number) => {
      for (const name of Object.getOwnPropertySymbols(globalThis)) {
        const isData = 'value' in (Object.getOwnPropertyDescriptor(globalThis, name) as PropertyDescriptor)
        if (isData) Object.defineProperty(globalThis, name, { writable: false, configurable: false })
      }
      Object.preventExtensions(globalThis)
      return item
    }
    for (let run = 0; run < 2; run++) {
      expect((await executor.execute(freezes, range(4))).results).toEqual(range(4))
      expect((await executor.execute(cube, [2])).results).toEqual([8])
    }
  })

  test('goes on after a run that failed, one that crashed its worker, and one that could not load its task', async () => {
    await using executor = createExecutor({ workers: 1, mode: 'threads' })
    const shared = { calls: sharedCells(2), fails: [9] }
    await expect(executor.execute(counted, [1, 2], { shared })).rejects.toMatchObject({ code: 'ERR_PAWL_RUN_FAILED' })
    await expect(executor.execute(die, ['exit', 'fine'], { shared, maxFailures: 1 })).resolves.toMatchObject({
      results: [undefined, 1],
      failures: [{ kind: 'crash' }],
    })
    await expect(executor.execute('./missing.mjs', [1])).rejects.toMatchObject({ code: 'ERR_PAWL_TASK_LOAD' })
    await expect(executor.execute('data:text/javascript,throw 5', [1])).rejects.toMatchObject({ code: 'ERR_PAWL_TASK_LOAD' })
    await expect(executor.execute(arithmetic, [5])).resolves.toMatchObject({ results: [25] })
  })

  test('tells of which item a thread died only the run that has it', async () => {
    await using executor = createExecutor({ workers: 1, mode: 'threads' })
    const [begun, fed] = [gate(), gate()]
    async function* items() {
      yield 1
      await fed.passed
      yield 2
    }
    const exits: [run: string, index: number | undefined][] = []
    const other = executor.execute(cube, items(), {
      on: { outcome: begun.open, workerExit: ({ index }) => void exits.push(['other', index]) },
    })
    await begun.passed
    await executor.execute(die, ['exit', 'fine'], {
      ...{ shared: { calls: sharedCells(2) }, maxFailures: 1, maxCrashes: 1 },
      on: { workerExit: ({ index }) => void exits.push(['dying', index]) },
    })
    fed.open()
    expect((await other).results).toEqual([1, 8])
    expect(exits.sort()).toEqual([
      ['dying', 0],
      ['other', undefined],
    ])
  })

  test('goes on however many tasks could not be loaded by the same worker', async () => {
    await using executor = createExecutor({ workers: 1, mode: 'threads' })
    for (let run = 0; run < 5; run++) {
      const failing = executor.execute(new URL('./fixtures/tasks/throws-on-import.mjs', import.meta.url), range(6), {
        chunkSize: 1,
      })
      await expect(failing).rejects.toMatchObject({ code: 'ERR_PAWL_TASK_LOAD' })
    }
    expect((await executor.execute(cube, [2])).results).toEqual([8])
  })

  test('what a task posts to its parentPort is not taken for an answer', async () => {
    await using executor = createExecutor({ workers: 1, mode: 'threads' })
    const forged = '{ id: 1, from: 0, to: 1, end: true, values: ["forged"], taskTime: 0 }'
    const source = `import { parentPort } from "node:worker_threads"; export default (n) => { parentPort.postMessage(${forged}); return n }`
    const chatty = `data:text/javascript,${source}`
    expect((await executor.execute(chatty, range(20), { chunkSize: 2 })).results).toEqual(range(20))
  })

  test('a run aborted does not touch the one beside it', async () => {
    await using executor = createExecutor({ workers: 2, mode: 'threads', chunkSize: 1 })
    const abort = new AbortController()
    const shared = { latch: sharedCells(1), started: sharedCells(100) }
    const calls = sharedCells(500)
    const aborted = executor.execute(waitForLatch, range(100), { signal: abort.signal, shared, drainTimeout: 30_000 })
    await whenSet(shared.started, 0)
    const other = executor.execute(counted, range(500), { shared: { calls } })
    abort.abort()
    openLatch(shared.latch)
    await expect(aborted).rejects.toMatchObject({ code: 'ERR_PAWL_ABORTED' })
    expect(await other).toMatchObject({
      status: 'complete',
      results: range(500).map((n) => n * 2),
      stats: { crashes: 0, attempts: 500 },
    })
    expect([...calls]).toEqual(range(500).map(() => 1))
  })

  test('streams and plans on its pool', async () => {
    await using executor = createExecutor({ workers: 1, mode: 'threads' })
    const values: unknown[] = []
    for await (const outcome of executor.stream(arithmetic, [1, 2, 3]))
      values.push(outcome.status === 'fulfilled' && outcome.value)
    expect(values).toEqual([1, 4, 9])
    expect(await executor.plan(arithmetic, range(100))).toMatchObject({ mode: 'threads', workers: 1 })
  })

  test.each(['workers', 'resourceLimits', 'mode'] as const)('refuses %s per run', async (option) => {
    await using executor = createExecutor({ workers: 1 })
    const value = { workers: 1, resourceLimits: {}, mode: 'inline' }[option]
    const expected = { code: 'ERR_PAWL_INVALID_OPTION', option }
    await expect(executor.execute(arithmetic, [1], { [option]: value } as object)).rejects.toMatchObject(expected)
    await expect(executor.plan(arithmetic, [1], { [option]: value } as object)).rejects.toMatchObject(expected)
    await expect(executor.stream(arithmetic, [1], { [option]: value } as object).report).rejects.toMatchObject(expected)
    await expect(executor.execute(arithmetic, [3], { [option]: undefined } as object)).resolves.toMatchObject({ results: [9] })
  })

  test("a run's undefined keeps the executor's own value", async () => {
    await using executor = createExecutor({ maxFailures: 5 })
    const shared = { calls: sharedCells(2), fails: [9] }
    await expect(executor.execute(counted, [1, 2], { maxFailures: undefined, shared })).resolves.toMatchObject({
      status: 'complete',
    })
  })
})

describe('close()', () => {
  test('waits for the runs under way, and refuses further ones', async () => {
    const executor = createExecutor({ workers: 1, mode: 'threads' })
    const [latch, started] = [sharedCells(1), sharedCells(1)]
    const run = executor.execute(waitForLatch, [7], { shared: { latch, started } })
    await whenSet(started, 0)
    let isClosed = false
    const closed = executor.close().then(() => {
      isClosed = true
    })
    await expect(executor.execute(arithmetic, [1])).rejects.toMatchObject({
      code: 'ERR_PAWL_INVALID_OPTION',
      message: "Cannot use this executor: expected it to be open, got 'closed'",
    })
    expect(isClosed).toBe(false)
    await expect(executor.stream(arithmetic, [1]).report).rejects.toMatchObject({ code: 'ERR_PAWL_INVALID_OPTION' })
    openLatch(latch)
    expect((await run).results).toEqual([7])
    await closed
    expect(isClosed).toBe(true)
    await executor.close()
  })

  test('waits for no loop over a stream that has not begun', async () => {
    const executor = createExecutor({ workers: 1, mode: 'threads', chunkSize: 1000 })
    let settled = 0
    const isPaused = new Promise<void>((resolve) => {
      const outcome = () => void (++settled === 4096 && setImmediate(resolve))
      executor.stream(arithmetic, range(100_000), { on: { outcome } })
    })
    await isPaused
    await executor.close()
    expect(settled).toBe(100_000)
  })

  test('waits for one that has, which takes its time', async () => {
    const executor = createExecutor({ workers: 1, mode: 'threads', chunkSize: 1000 })
    const on = { outcome: () => void settled++ }
    let settled = 0
    let taken = 0
    let isClosed = false
    for await (const _ of executor.stream(arithmetic, range(100_000), { on })) {
      if (++taken > 1) continue
      void executor.close().then(() => {
        isClosed = true
      })
      const before: number[] = []
      while (before.length < 3 || before.at(-1) !== before.at(-3)) {
        await new Promise((resolve) => setTimeout(resolve, 50))
        before.push(settled)
      }
      expect(settled).toBeLessThan(60_000)
      expect(isClosed).toBe(false)
    }
    expect(taken).toBe(100_000)
    await executor.close()
  })

  test('is what `await using` does', async () => {
    let kept: ReturnType<typeof createExecutor>
    {
      await using executor = createExecutor({ workers: 1, mode: 'threads' })
      kept = executor
      await executor.execute(arithmetic, [1])
    }
    await expect(kept.execute(arithmetic, [1])).rejects.toThrow(/closed/)
  })

  test('of an executor never used is nothing', async () => {
    await createExecutor().close()
  })
})
