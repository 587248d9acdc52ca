import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createExecutor, type Events, type ExecuteOptions, execute } from 'pawl'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { openLatch, range, sharedCells } from '../execute/calls.ts'

/** Loads in the first thread that imports it, and in no other. */
const FIRST = { module: new URL('../fixtures/tasks/loads-some.mjs', import.meta.url), export: 'run' }

const LOAD_ERROR = { code: 'ERR_PAWL_TASK_LOAD', message: expect.stringContaining('loads no more') }

const newCells = (items: number) => ({ starts: sharedCells(items), met: sharedCells(1), latch: sharedCells(1) })

beforeEach(() => {
  vi.stubEnv('LOADS_IN', mkdtempSync(join(tmpdir(), 'pawl-load-errors-')))
  vi.stubEnv('LOADS', '1')
  vi.stubEnv('LOADS_THROWS', '1')
  return () => void vi.unstubAllEnvs()
})

/** Both must run at once. */
const meet = (_: number, { shared }: { shared: unknown }) => {
  const met = shared as Int32Array<SharedArrayBuffer>
  if (Atomics.add(met, 0, 1) === 0) return Atomics.wait(met, 0, 1, 20_000)
  Atomics.notify(met, 0)
  return 'ok'
}

describe('a task that cannot be loaded any more', () => {
  test('leaves what came of its run before', async () => {
    const items = [...range(12).map(() => 'work'), 'die']
    const options = { mode: 'threads', workers: 1, chunkSize: items.length, shared: newCells(items.length) } as const
    const error = await execute<string, number>(FIRST, items, options).catch((it) => it)
    expect(error).toMatchObject(LOAD_ERROR)
    expect(error.report.stats.succeeded).toBeGreaterThan(0)
    expect(error.report.results.filter((it: unknown) => it !== undefined)).toHaveLength(error.report.stats.succeeded)
  })

  describe('while an item runs in a thread where it is up', () => {
    const ITEMS = ['wait', 'fine', 'fine', 'fine']
    const ONE_BY_ONE: ExecuteOptions = { mode: 'threads', workers: 2, chunkSize: 1 }

    test('ends the run when that has ended', async () => {
      const shared = newCells(ITEMS.length)
      const on = { drain: () => openLatch(shared.latch) }
      const error = await execute<string, number>(FIRST, ITEMS, { ...ONE_BY_ONE, shared, on }).catch((it) => it)
      expect(error).toMatchObject(LOAD_ERROR)
      expect(error.report.results).toEqual([expect.any(Number), undefined, undefined, undefined])
    })

    test('has that thread ended after `drainTimeout`, for later runs of an executor', async () => {
      await using executor = createExecutor(ONE_BY_ONE)
      const exits: Events['workerExit'][] = []
      const on = { workerExit: (it: Events['workerExit']) => void exits.push(it) }
      const run = executor.execute<string, number>(FIRST, ITEMS, { shared: newCells(ITEMS.length), drainTimeout: 100, on })
      await expect(run).rejects.toMatchObject(LOAD_ERROR)
      const reason = { message: "the worker was ended: what it ran did not end within 'drainTimeout'" }
      expect(exits).toMatchObject([{ index: undefined, reason }])
      const { results } = await executor.execute(meet, range(2), { shared: sharedCells(1) })
      expect(results).toEqual(['ok', 'ok'])
    })
  })
})
