import { existsSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createExecutor, execute } from 'pawl'
import { describe, expect, test } from 'vitest'
import { openLatch, range, sharedCells, whenSet } from '../execute/calls.ts'
import { waitForLatch } from '../fixtures/tasks/counted.mjs'
import { die } from '../fixtures/tasks/deaths.mjs'
import { block } from '../fixtures/tasks/signalled.mjs'

const HANGS = ['endlessLoop', 'regularExpression', 'atomicsWait', 'webAssembly', 'neverSettles']

describe('timeout', () => {
  test.each(HANGS)('ends an item that hangs (%s), named exactly, and its neighbours lose nothing', async (way) => {
    const calls = sharedCells(30)
    const outcomes: number[] = []
    const report = await execute(
      die,
      range(30).map((i) => (i === 13 ? way : 'fine')),
      {
        workers: 2,
        chunkSize: 10,
        timeout: 300,
        maxFailures: 1,
        shared: { calls },
        on: { outcome: ({ index }) => void outcomes.push(index) },
      },
    )
    expect(report.status).toBe('complete')
    expect(report.failures).toHaveLength(1)
    expect(report.failures[0]).toMatchObject({ index: 13, item: way, kind: 'timeout', attempts: 1, crashes: 0 })
    expect(report.failures[0]?.reason).toMatchObject({ name: 'TaskTimeoutError', code: 'ERR_PAWL_TIMEOUT' })
    expect(report.failures[0]?.reason.message).toMatch(/item 13\b.*300 ms/)
    expect(report.results.map((it) => it)).toEqual(range(30).map((i) => (i === 13 ? undefined : i)))
    expect(outcomes.sort((a, b) => a - b)).toEqual(range(30))
    expect(calls[13]).toBe(1)
    expect(report.stats).toMatchObject({ timeouts: 1, crashes: 0, failed: 1, succeeded: 29 })
  })

  test.each(['timeout', 'drainTimeout'])(
    '%s ends an item whose thread hears of nothing, since it waits for a child process',
    async (option) => {
      const file = join(mkdtempSync(join(tmpdir(), 'pawl-')), 'go')
      const abort = new AbortController()
      const started = sharedCells(1)
      const waitFor = (path: string, { shared }: { shared: unknown }) => {
        if (path === '') return 'fine'
        const { execFileSync } = process.getBuiltinModule('node:child_process')
        Atomics.store(shared as typeof started, 0, 1)
        Atomics.notify(shared as typeof started, 0)
        execFileSync('sh', ['-c', 'for i in $(seq 600); do [ -e "$0" ] && exit; sleep 0.05; done; touch "$0"', path])
        return 'late'
      }
      const run = execute(waitFor, [file, '', ''], {
        ...{ mode: 'threads', workers: 1, chunkSize: 1, maxFailures: 1, shared: started },
        ...(option === 'timeout' ? { timeout: 100 } : { drainTimeout: 100, signal: abort.signal }),
      })
      const report = run.catch((error) => error.report as Awaited<typeof run>)
      await whenSet(started, 0)
      abort.abort()
      const { results, failures, stats } = await report
      expect(existsSync(file)).toBe(false) // Nobody waited for the child.
      writeFileSync(file, '')
      if (option === 'timeout') {
        expect(results).toEqual([undefined, 'fine', 'fine'])
        expect(failures).toMatchObject([{ index: 0, kind: 'timeout', attempts: 1 }])
        expect(failures[0]?.reason.message).toMatch(/waits in a call of the system.* at work still.*execFileSync\(/)
      } else expect({ failures, stats }).toMatchObject({ failures: [], stats: { attempts: 0, dispatched: 0 } })
    },
  )

  test('threads that do not come to their end are no more than there is room for, and are replaced once they have', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'pawl-')), 'go')
    const waitFor = (path: string) => {
      const { execFileSync } = process.getBuiltinModule('node:child_process')
      if (path !== '') execFileSync('sh', ['-c', 'for i in $(seq 600); do [ -e "$0" ] && exit; sleep 0.05; done', path])
      return 'fine'
    }
    const resourceLimits = { maxOldGenerationSizeMb: 1_000_000 } // No memory holds any.
    await using executor = createExecutor({ mode: 'threads', workers: 1, chunkSize: 1, resourceLimits })
    const error = await executor.execute(waitFor, [file, file, file, file], { timeout: 50, maxFailures: 4 }).catch((it) => it)
    expect(error).toMatchObject({
      code: 'ERR_PAWL_ABORTED',
      message: expect.stringMatching(/^Cannot start a worker: .*2 threads that were told to end wait in a call/),
      report: { status: 'partial', stats: { timeouts: 2, failed: 2 } },
    })
    const next = executor.execute(waitFor, [''])
    writeFileSync(file, '')
    expect((await next).results).toEqual(['fine'])
  })

  test.each([1, 100])('holds at chunk size %i for the first, a middle and the last item', async (chunkSize) => {
    const hanging = [0, 50, 99]
    const calls = sharedCells(100)
    const report = await execute(
      die,
      range(100).map((i) => (hanging.includes(i) ? 'endlessLoop' : 'fine')),
      {
        workers: 2,
        chunkSize,
        timeout: 200,
        maxFailures: 3,
        shared: { calls },
      },
    )
    expect(report.failures.map(({ index, kind }) => [index, kind])).toEqual(hanging.map((i) => [i, 'timeout']))
    expect(report.results.map((it) => it)).toEqual(range(100).map((i) => (hanging.includes(i) ? undefined : i)))
    expect(report.stats.timeouts).toBe(3)
  })

  test.each([1, 5])('ends one whose result never comes to an end, named exactly, at chunk size %i', async (chunkSize) => {
    const endless = (item: number) => {
      if (item !== 3) return item
      return {
        get trap() {
          for (;;);
        },
      }
    }
    const report = await execute(endless, range(10), { mode: 'threads', workers: 1, chunkSize, timeout: 1000, maxFailures: 1 })
    expect(report.results.map((it) => it)).toEqual(range(10).map((it) => (it === 3 ? undefined : it)))
    expect(report.failures).toMatchObject([{ index: 3, kind: 'timeout' }])
  })

  test('names it also where results go in parts, while others of its chunk are still to be run', async () => {
    const endless = (item: number) => {
      for (const end = performance.now() + 20; performance.now() < end; );
      if (item !== 1) return item
      return {
        get trap() {
          for (;;);
        },
      }
    }
    const report = await execute(endless, range(10), { workers: 1, chunkSize: 10, timeout: 1000, maxFailures: 1 })
    expect(report.results.map((it) => it)).toEqual(range(10).map((it) => (it === 1 ? undefined : it)))
    expect(report.failures).toMatchObject([{ index: 1, kind: 'timeout' }])
  })

  test('does not end a worker whose answer waits for a main thread that is busy', async () => {
    const report = await execute((n: number) => n, range(10), {
      ...{ mode: 'threads', workers: 1, chunkSize: 1, timeout: 50 },
      on: {
        outcome: () => {
          for (const end = performance.now() + 200; performance.now() < end; );
        },
      },
    })
    expect(report.results).toEqual(range(10))
    expect(report.stats.timeouts).toBe(0)
  })

  test('is a failed attempt under retry', async () => {
    const calls = sharedCells(3)
    const retries: number[] = []
    const attempts = new Map<number, number>()
    const report = await execute(die, ['fine', 'once:endlessLoop', 'neverSettles'], {
      timeout: 200,
      retry: { retries: 1, minTimeout: 0 },
      maxFailures: 1,
      shared: { calls },
      on: { retry: ({ index }) => void retries.push(index), outcome: (it) => void attempts.set(it.index, it.attempts) },
    })
    expect(report.results).toEqual([0, 1, undefined])
    expect(report.failures).toMatchObject([{ index: 2, kind: 'timeout', attempts: 2, crashes: 0 }])
    expect(retries.sort()).toEqual([1, 2])
    expect([attempts.get(1), attempts.get(2)]).toEqual([calls[1], calls[2]])
    expect(calls[2]).toBe(2)
    expect(report.stats).toMatchObject({ timeouts: 3, retries: 2 })
  })

  test('leaves items alone that end in time, however long their chunk takes', async () => {
    const report = await execute(
      async (n: number) => {
        await new Promise((resolve) => setTimeout(resolve, 10))
        return n
      },
      range(100),
      { chunkSize: 100, workers: 1, timeout: 500 },
    )
    expect(report.results).toEqual(range(100))
    expect(report.stats.timeouts).toBe(0)
  })

  test('holds in an executor whose worker is busy with a run that has none when the chunk arrives', async () => {
    await using executor = createExecutor({ workers: 1, mode: 'threads' })
    const [latch, started, calls] = [sharedCells(1), sharedCells(1), sharedCells(2)]
    const first = executor.execute(waitForLatch, [7], { shared: { latch, started } })
    await whenSet(started, 0)
    const second = executor.execute(die, ['neverSettles', 'fine'], { timeout: 100, maxFailures: 1, shared: { calls } })
    for (let tick = 0; tick < 10; tick++) await new Promise((resolve) => setTimeout(resolve, 10)) // The watch has looked several times.
    openLatch(latch)
    expect((await first).results).toEqual([7])
    expect(await second).toMatchObject({ results: [undefined, 1], failures: [{ index: 0, kind: 'timeout' }] })
  })

  test('does not touch another run of the executor that waits behind the hung item', async () => {
    await using executor = createExecutor({ workers: 1, mode: 'threads' })
    const calls = sharedCells(1)
    const shared = { started: sharedCells(1), seen: sharedCells(1) }
    const hung = executor.execute(block, ['hung'], { timeout: 200, maxFailures: 1, shared })
    await whenSet(shared.started, 0)
    const other = executor.execute(die, ['fine'], { shared: { calls } })
    expect((await hung).failures).toMatchObject([{ kind: 'timeout' }])
    expect(await other).toMatchObject({ results: [0], stats: { crashes: 0, timeouts: 0 } })
    expect(calls[0]).toBe(1)
  })

  test.each([
    [0, [{ index: 0, kind: 'timeout', attempts: 1 }]],
    [1, []],
  ])('holds while the run drains, as a failed attempt with %i retries', async (retry, failures) => {
    const abort = new AbortController()
    const shared = { started: sharedCells(2), seen: sharedCells(2) }
    const options = { timeout: 500, drainTimeout: 600_000, retry, maxFailures: 1, signal: abort.signal, shared } as const
    const run = execute(block, ['hung', 'behind'], { ...options, mode: 'threads', workers: 1, chunkSize: 2 })
    await whenSet(shared.started, 0)
    abort.abort()
    const error = await run.catch((it) => it)
    expect(error).toMatchObject({
      code: 'ERR_PAWL_ABORTED',
      report: { status: 'partial', failures, stats: { attempts: 1, timeouts: 1, crashes: 0, failed: failures.length } },
    })
    expect(shared.started[1]).toBe(0)
  })
})
