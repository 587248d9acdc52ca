import { type ExecuteOptions, execute, type Report, type TaskContext, type TaskRef } from 'pawl'
import { describe, expect, test } from 'vitest'
import task from '../fixtures/tasks/arithmetic.mjs'
import { counted } from '../fixtures/tasks/counted.mjs'
import { block, loop, never, wait, waitAndTell, waitInside } from '../fixtures/tasks/signalled.mjs'
import { range, sharedCells, whenSet } from './calls.ts'

const cells = (items: number) => ({ started: sharedCells(items), seen: sharedCells(1) })

describe('signal', () => {
  test.each(['threads', 'inline', 'auto'] as const)('aborted before the start: nothing runs, %s', async (mode) => {
    const calls = sharedCells(100)
    const reason = new Error('never mind')
    const drains: unknown[] = []
    const run = execute(counted, range(100), {
      mode,
      signal: AbortSignal.abort(reason),
      shared: { calls },
      on: { drain: (it) => void drains.push(it.reason) },
    })
    const error = await run.catch((it) => it)
    expect(error).toMatchObject({ name: 'RunAbortedError', code: 'ERR_PAWL_ABORTED', cause: reason })
    expect(error.report).toMatchObject({ status: 'partial', failures: [], stats: { attempts: 0, dispatched: 0, items: 100 } })
    expect([...calls].every((it) => it === 0)).toBe(true)
    expect(drains).toEqual([reason])
  })

  test.each(['threads', 'inline'] as const)('aborted in the middle: what finished is in the report, %s', async (mode) => {
    const abort = new AbortController()
    const calls = sharedCells(100_000)
    let settled = 0
    const run = execute(counted, range(100_000), {
      mode,
      chunkSize: 10,
      signal: abort.signal,
      shared: { calls },
      on: {
        outcome: () => {
          if (++settled === 100) abort.abort('stop')
        },
      },
    })
    const error = await run.catch((it) => it)
    expect(error).toMatchObject({ code: 'ERR_PAWL_ABORTED', cause: 'stop' })
    const { report } = error
    expect(report.status).toBe('partial')
    expect(report.stats.succeeded).toBe(settled)
    expect(report.stats.succeeded).toBeLessThan(100_000)
    const done = range(100_000).filter((i) => i in report.results)
    expect(done.length).toBe(settled)
    expect(done.every((i) => report.results[i] === i * 2)).toBe(true)
    expect(calls.every((it) => it <= 1)).toBe(true)
    expect(calls.reduce((sum, it) => sum + it, 0)).toBe(settled) // Drained between items: nothing ran in vain.
  })

  test('aborted for a reason that has no text: the error has it, and the report', async () => {
    const reason = Object.create(null)
    const error = await execute(task, range(10), { signal: AbortSignal.abort(reason) }).catch((it) => it)
    expect(error).toMatchObject({ code: 'ERR_PAWL_ABORTED', report: { status: 'partial', stats: { items: 10 } } })
    expect(error.cause).toBe(reason)
  })

  test('aborted when all is done changes nothing', async () => {
    const abort = new AbortController()
    const items = range(10)
    const report = await execute(task, items, { signal: abort.signal })
    abort.abort()
    expect(report.status).toBe('complete')
  })

  test('aborted with the last outcome: a complete run is no failure', async () => {
    const abort = new AbortController()
    let settled = 0
    const on = { outcome: () => void (++settled === 10 && abort.abort()) }
    await expect(execute(task, range(10), { signal: abort.signal, on })).resolves.toMatchObject({ status: 'complete' })
  })
})

test('aborted with the error of another run: each ends in its own, with a report of its own', async () => {
  const abort = new AbortController()
  const shared = cells(2)
  const other = execute(loop, ['a', 'b'], {
    mode: 'threads',
    workers: 1,
    chunkSize: 2,
    signal: abort.signal,
    shared,
    runId: 'other',
  })
  await whenSet(shared.started, 0)
  const fails = () => {
    throw new Error('no luck')
  }
  const failed = await execute(fails, [1], { mode: 'threads', runId: 'failed' }).catch((it) => it)
  abort.abort(failed)
  const error = await other.catch((it) => it)
  expect(error).toMatchObject({ name: 'RunAbortedError', code: 'ERR_PAWL_ABORTED', report: { runId: 'other', failures: [] } })
  expect(error.cause).toBe(failed)
  expect(failed).toMatchObject({ code: 'ERR_PAWL_RUN_FAILED', report: { runId: 'failed', failures: [{ index: 0 }] } })
})

describe('context.signal', () => {
  test('is seen by a loop that never awaits; its outcome still counts', async () => {
    const abort = new AbortController()
    const shared = cells(2)
    const run = execute(loop, ['a', 'b'], { mode: 'threads', workers: 1, chunkSize: 2, signal: abort.signal, shared })
    await whenSet(shared.started, 0)
    abort.abort(new Error('enough'))
    const { report } = await run.catch((it) => it)
    expect(report.results).toEqual(['ended a', undefined])
    expect(shared.seen[0]).toBe(1)
    expect(report.stats).toMatchObject({ succeeded: 1, failed: 0, attempts: 1 })
  })

  test('makes giving up an interruption, not a failure', async () => {
    const abort = new AbortController()
    const shared = cells(1)
    const run = execute(loop, ['give up'], { mode: 'threads', signal: abort.signal, shared, retry: 3 })
    await whenSet(shared.started, 0)
    abort.abort()
    const { report } = await run.catch((it) => it)
    expect(report).toMatchObject({ status: 'partial', failures: [], stats: { failed: 0, attempts: 0, retries: 0, crashes: 0 } })
  })

  test.each([
    ['threads', waitAndTell],
    ['inline', waitAndTell],
    ['threads', waitInside],
  ] as const)('makes it one as well for a task that tells of it in words of its own: %s, %#', async (mode, task) => {
    const abort = new AbortController()
    const shared = cells(1)
    const run = execute<string, unknown>(task, ['sleeper'], { mode, signal: abort.signal, shared, retry: 3 })
    await whenSet(shared.started, 0)
    abort.abort(new Error('enough'))
    const error = await run.catch((it) => it)
    expect(error).toMatchObject({ code: 'ERR_PAWL_ABORTED', cause: new Error('enough') })
    expect(error.report).toMatchObject({ status: 'partial', failures: [], stats: { failed: 0, attempts: 0 } })
  })

  test.each(['threads', 'inline'] as const)('fires for listeners, and for all that takes a signal: %s', async (mode) => {
    const abort = new AbortController()
    const shared = cells(1)
    const run = execute(wait, ['sleeper'], { mode, signal: abort.signal, shared })
    await whenSet(shared.started, 0)
    abort.abort()
    const error = await run.catch((it) => it)
    expect(error).toMatchObject({ code: 'ERR_PAWL_ABORTED', report: { failures: [] } })
    expect(shared.seen[0]).toBe(1)
  })
})

describe('drainTimeout', () => {
  test.each([
    ['threads', never],
    ['threads', block],
    ['inline', never],
  ] as const)('ends the wait for an item that does not end, uncharged: %s', async (mode, task) => {
    const abort = new AbortController()
    const shared = cells(2)
    const options = { mode, drainTimeout: 20, signal: abort.signal, shared, maxCrashes: 1 } as const
    const run = execute<string, unknown>(task, ['hangs', 'behind'], { ...options, chunkSize: 2 })
    await whenSet(shared.started, 0)
    abort.abort(new Error('enough'))
    const error = await run.catch((it) => it)
    expect(error).toMatchObject({ code: 'ERR_PAWL_ABORTED', cause: new Error('enough') })
    expect(error.report).toMatchObject({
      status: 'partial',
      failures: [],
      stats: { attempts: 0, crashes: 0, timeouts: 0, failed: 0 },
    })
  })

  test('lets running items end within it', async () => {
    const abort = new AbortController()
    const shared = cells(2)
    const run = execute(loop, ['a', 'b'], {
      workers: 2,
      mode: 'threads',
      chunkSize: 1,
      drainTimeout: 30_000,
      signal: abort.signal,
      shared,
    })
    await Promise.all([whenSet(shared.started, 0), whenSet(shared.started, 1)])
    abort.abort()
    await expect(run).resolves.toMatchObject({ status: 'complete', results: ['ended a', 'ended b'] })
  })
})

test('inline, items that await are not begun once the drain has started', async () => {
  const abort = new AbortController()
  const started = sharedCells(4)
  const task = async (item: number, { shared }: { shared: Int32Array }) => {
    Atomics.store(shared, item, 1)
    Atomics.notify(shared, item)
    await new Promise((resolve) => setTimeout(resolve, 20))
    return item
  }
  const run = execute(task, range(4), { mode: 'inline', chunkSize: 4, shared: started, signal: abort.signal })
  await whenSet(started, 0)
  abort.abort()
  await expect(run).rejects.toMatchObject({ code: 'ERR_PAWL_ABORTED' })
  expect([...started]).toEqual([1, 0, 0, 0])
})

/** Says that it has begun, and runs until the drain; what its result does then takes its thread down. */
const trapAtStop = (_: number, { signal, shared }: TaskContext<Int32Array>) => {
  Atomics.store(shared, 0, 1)
  Atomics.notify(shared, 0)
  while (!signal.aborted);
  let looks = 0
  return Object.defineProperty(Object.create(null), 'trap', { enumerable: true, get: () => ++looks > 1 && process.exit(5) })
}

/** So does the second item, for longer than results wait for others; what it printed is on its way as its thread ends. */
const printAtStop = (item: number, { signal, shared }: TaskContext<Int32Array>) => {
  if (item === 0) return
  Atomics.store(shared, 0, 1)
  Atomics.notify(shared, 0)
  for (const end = performance.now() + 100; !signal.aborted || performance.now() < end; );
  process.stdout.write('\n')
  setTimeout(() => process.exit(5), 10)
}

describe('a thread that ends before what a drain left of its chunk was answered', () => {
  /** Ends a run of a chunk of three within one of them. */
  const endWithin = async (task: TaskRef<number, unknown>, drain: () => void, options: ExecuteOptions<number> = {}) => {
    const abort = new AbortController()
    const shared = sharedCells(1)
    const given = { ...options, workers: 1, chunkSize: 3, maxFailures: 3, shared, signal: abort.signal, on: { drain } }
    const run = execute(task, range(3), given)
    await whenSet(shared, 0)
    abort.abort()
    return (await run.catch((it) => it)).report as Report<unknown>
  }

  test('is held against the item it ran, and no other was tried', async () => {
    const { failures, stats } = await endWithin(trapAtStop, () => {})
    expect(failures).toEqual([])
    expect(stats).toMatchObject({ dispatched: 1, attempts: 1, crashes: 1, succeeded: 0 })
  })

  test('is held against none that had not begun', async () => {
    // Its thread waits for this one to take what it printed.
    const wait = () => void Atomics.wait(sharedCells(1), 0, 0, 500)
    const { failures, stats } = await endWithin(printAtStop, wait, { maxCrashes: 1 })
    expect(failures).toEqual([])
    expect(stats).toMatchObject({ dispatched: 2, attempts: 2, crashes: 0, succeeded: 2 })
  })
})
