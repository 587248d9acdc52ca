import { mkdtempSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createExecutor, type ExecuteOptions, type Executor, execute, memoryStore, type Outcome, plan, readResults } from 'pawl'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { openLatch, range, sharedCells, whenSet } from '../execute/calls.ts'
import { waitForLatch } from '../fixtures/tasks/counted.mjs'
import { spin } from '../fixtures/tasks/where.mjs'

/** Loads in some threads; in others its import waits for ever. */
const SOME = { module: new URL('../fixtures/tasks/loads-some.mjs', import.meta.url), export: 'run' }
const INLINE = { ...SOME, module: new URL('?inline', SOME.module) }
const NEVER = new URL('../fixtures/tasks/never-loads.mjs', import.meta.url)

/** Long enough for a test that waits for it to fail. */
const DRAIN: ExecuteOptions = { mode: 'threads', chunkSize: 1, drainTimeout: 600_000 }

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pawl-loading-'))
  vi.stubEnv('LOADS_IN', directory)
})
afterEach(() => vi.unstubAllEnvs())

/** What items of SOME share. */
const newCells = (items: number) => ({ starts: sharedCells(items), met: sharedCells(1), latch: sharedCells(1) })

/** So many threads have begun to import the task SOME. */
const imported = (count: number) => vi.waitFor(() => expect(readdirSync(directory).length).toBe(count), 30_000)

/** What a run that was told to stop rejects with. */
const stopped = (run: Promise<unknown>): Promise<any> => run.catch((error) => error)

describe('a suspect', () => {
  test('whose own thread does not come up runs in another', async () => {
    vi.stubEnv('LOADS', '2')
    const items = ['meet', ...range(20).map(() => 'fine'), 'die']
    const shared = newCells(items.length)
    const { results, stats } = await execute<string, number>(SOME, items, { ...DRAIN, workers: 2, shared })
    expect(readdirSync(directory)).toHaveLength(3)
    expect(new Set(results).size).toBe(2)
    expect(shared.starts[21]).toBe(2)
    expect(stats).toMatchObject({ succeeded: items.length, attempts: items.length + 1, crashes: 1 })
  })
})

describe('a drain', () => {
  test('does not wait for a thread in which nothing has begun, and for what has begun it does', async () => {
    vi.stubEnv('LOADS', '1')
    const abort = new AbortController()
    const shared = newCells(8)
    const store = memoryStore()
    const items = ['wait', ...range(7).map(() => 'fine')]
    const options = { ...DRAIN, workers: 2, shared, signal: abort.signal, runId: 'run', checkpoint: store }
    const run = stopped(execute(SOME, items, options))
    await Promise.all([whenSet(shared.starts, 0), imported(2)])
    abort.abort(new Error('enough'))
    openLatch(shared.latch)
    const error = await run
    expect(error).toMatchObject({ code: 'ERR_PAWL_ABORTED', report: { failures: [], stats: { attempts: 1, crashes: 0 } } })
    const recorded: Outcome[] = []
    for await (const outcome of readResults(store, 'run')) recorded.push(outcome)
    expect(recorded).toMatchObject([{ index: 0, status: 'fulfilled', value: error.report.results[0] }])
  })

  test('ends at once when no thread has come up, and is still what ends the run', async () => {
    vi.stubEnv('LOADS', '0')
    const abort = new AbortController()
    const exits: unknown[] = []
    const on = { workerExit: (it: unknown) => void exits.push(it) }
    const options = { ...DRAIN, workers: 5, shared: newCells(20), signal: abort.signal, on }
    const run = stopped(
      execute(
        SOME,
        range(20).map(() => 'fine'),
        options,
      ),
    )
    await imported(5)
    abort.abort(new Error('enough'))
    expect(await run).toMatchObject({ code: 'ERR_PAWL_ABORTED', cause: new Error('enough'), report: { failures: [] } })
    expect(exits).toEqual([])
  })

  test('ends at once inline, too', async () => {
    vi.stubEnv('LOADS', '0')
    const abort = new AbortController()
    const run = stopped(execute(INLINE, ['fine'], { ...DRAIN, mode: 'inline', shared: newCells(1), signal: abort.signal }))
    await imported(1)
    abort.abort(new Error('enough'))
    expect(await run).toMatchObject({ code: 'ERR_PAWL_ABORTED', cause: new Error('enough') })
  })

  test('leaves no thread behind that waits for a task of a run that is over', async () => {
    await using executor = createExecutor({ workers: 1, mode: 'threads', drainTimeout: 600_000 })
    vi.stubEnv('LOADS', '0')
    const abort = new AbortController()
    const run = stopped(executor.execute(SOME, ['fine'], { shared: newCells(1), signal: abort.signal }))
    await imported(1)
    abort.abort()
    expect(await run).toMatchObject({ code: 'ERR_PAWL_ABORTED' })
    await expect(executor.execute(spin, [0, 0])).resolves.toMatchObject({ status: 'complete' })
  })

  test('neither waits for nor ends what another run has in a thread', async () => {
    await using executor = createExecutor({ workers: 1, mode: 'threads', drainTimeout: 600_000 })
    const [latch, started] = [sharedCells(1), sharedCells(1)]
    const long = executor.execute(waitForLatch, [7], { shared: { latch, started } })
    await whenSet(started, 0)
    const abort = new AbortController()
    const run = stopped(executor.execute(NEVER, [1, 2], { signal: abort.signal }))
    setImmediate(() => abort.abort())
    expect(await run).toMatchObject({ code: 'ERR_PAWL_ABORTED' })
    openLatch(latch)
    await expect(long).resolves.toMatchObject({ results: [7], stats: { attempts: 1, crashes: 0 } })
    await expect(executor.execute(spin, [0, 0])).resolves.toMatchObject({ status: 'complete' })
  })
})

describe('plan()', () => {
  const REASON = new Error('enough')
  const told = { code: 'ERR_PAWL_ABORTED', cause: REASON, message: expect.stringContaining('Cannot plan the run') }

  test.each(['threads', 'inline'] as const)('ends when its signal aborts while the task loads: %s', async (mode) => {
    vi.stubEnv('LOADS', '0')
    const abort = new AbortController()
    const task = { ...SOME, module: new URL(`?planned-${mode}`, SOME.module) }
    const planned = stopped(plan(task, ['fine'], { ...DRAIN, mode, shared: newCells(1), signal: abort.signal }))
    await imported(1)
    abort.abort(REASON)
    expect(await planned).toMatchObject(told)
  })

  test.each(['threads', 'inline'] as const)('tells that the task takes its time to load, once: %s', async (mode) => {
    const codes = await codesOf(mode, (executor, options) => executor.plan(unloaded('plan'), ['fine', 'fine'], options))
    expect(codes).toEqual(['TASK_LOADING'])
  })

  test('ends when its signal aborts while it waits for an item', async () => {
    const abort = new AbortController()
    const items = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => abort.abort(REASON)) }) }
    expect(await stopped(plan(spin, items, { mode: 'threads', signal: abort.signal }))).toMatchObject(told)
  })

  test('asks for no item when its signal has aborted', async () => {
    const next = vi.fn()
    const items = { [Symbol.iterator]: () => ({ next }) }
    expect(await stopped(plan(spin, items, { signal: AbortSignal.abort(REASON) }))).toMatchObject(told)
    expect(next).not.toHaveBeenCalled()
  })
})

test('a task that calls execute() when it is imported fails its own run, and none beside it', async () => {
  const task = new URL('../fixtures/tasks/runs-on-import.mjs', import.meta.url)
  await using executor = createExecutor({ workers: 1, mode: 'threads' })
  const bad = stopped(executor.execute(task, [1]))
  const good = executor.execute(spin, [0, 0])
  expect(await bad).toMatchObject({ code: 'ERR_PAWL_TASK_LOAD', message: expect.stringContaining('calls execute() again') })
  await expect(good).resolves.toMatchObject({ status: 'complete' })
})

test.each(['threads', 'inline'] as const)('a task that loads for long in a warm executor is told of, once: %s', async (mode) => {
  const codes = await codesOf(mode, (executor, options) => executor.execute(unloaded('run'), ['fine', 'fine'], options))
  expect(codes).toEqual(['TASK_LOADING'])
})

/** SOME, as nothing before has loaded it here. */
const unloaded = (by: string) => ({ ...SOME, module: new URL(`?${by}`, SOME.module) })

type Begin = (executor: Executor, options: Pick<ExecuteOptions, 'signal' | 'on'>) => Promise<unknown>

/** The warnings within a minute of what `begin` begins in a warm executor, where SOME never loads. There are none before 10 s. */
async function codesOf(mode: 'threads' | 'inline', begin: Begin): Promise<string[]> {
  vi.stubEnv('LOADS', '0')
  await using executor = createExecutor({ workers: 1, mode })
  await executor.execute(spin, [0, 0])
  // As far as pawl knows the time: neither threads nor files care for it.
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  try {
    const abort = new AbortController()
    const codes: string[] = []
    const begun = stopped(begin(executor, { signal: abort.signal, on: { warning: ({ code }) => void codes.push(code) } }))
    const turn = () => new Promise((resolve) => setImmediate(resolve))
    while (readdirSync(directory).length === 0) await turn()
    for (let second = 0; second < 60; second++) {
      vi.advanceTimersByTime(1000)
      for (let turns = 0; turns < 20; turns++) await turn()
      if (second < 9) expect(codes).toEqual([])
    }
    abort.abort()
    await begun
    return codes
  } finally {
    vi.useRealTimers()
  }
}
