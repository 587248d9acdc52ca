import { execute, memoryStore, type Store } from 'pawl'
import { expect, test } from 'vitest'
import type { TaskContext } from '../../src/types.ts'
import { serve } from './metadata-server.ts'

const ACTION = '/latest/meta-data/spot/instance-action'
const REBALANCE = '/latest/meta-data/events/recommendations/rebalance'

/** Item 0 settles at once, the others when the drain starts. */
const task = async (item: number, { signal }: TaskContext) => {
  if (item > 0) await new Promise((resolve) => signal.addEventListener('abort', resolve))
  return item * 10
}

/** A promise, and what fulfils it. */
function signalled() {
  let fulfil = () => {}
  const promise = new Promise<void>((resolve) => {
    fulfil = resolve
  })
  return { promise, fulfil }
}

test("execute() drains at a cloud's notice, and its error names the notice and holds what has finished", async () => {
  const first = signalled()
  const service = await serve({
    [ACTION]: async () => {
      await first.promise
      return { body: { action: 'terminate', time: '2026-01-01T08:22:00Z' } }
    },
  })
  const drains: unknown[] = []
  const run = execute(task, [0, 1, 2, 3], {
    workers: 1,
    mode: 'threads',
    chunkSize: 1,
    preempt: { aws: { baseUrl: service.url } },
    on: { outcome: first.fulfil, drain: ({ reason }) => drains.push(reason) },
  })
  const error = await run.then(
    () => undefined,
    (it) => it,
  )
  expect(error).toMatchObject({
    code: 'ERR_PAWL_ABORTED',
    message: expect.stringContaining('AWS gave notice'),
    cause: { message: 'AWS gave notice that it will terminate this spot instance at 2026-01-01T08:22:00Z' },
    report: { status: 'partial', stats: { failed: 0 } },
  })
  expect(error.report.results[0]).toBe(0)
  expect(error.report.stats.succeeded).toBeLessThan(4)
  expect(drains).toEqual([error.cause])
  await service.untilQuiet()
})

test('execute() saves what has finished when AWS recommends to leave, and goes on', async () => {
  const first = signalled()
  const service = await serve({
    [REBALANCE]: async () => {
      await first.promise
      return { body: { noticeTime: '2026-01-01T08:00:00Z' } }
    },
  })
  const end = new AbortController()
  const recorded: number[] = []
  const run = execute(task, [0, 1], {
    workers: 1,
    mode: 'threads',
    chunkSize: 1,
    // On their own they would save nothing within the time of this test.
    checkpoint: { store: memoryStore(), every: 1_000_000, interval: 3_600_000 },
    preempt: { aws: { baseUrl: service.url } },
    signal: end.signal,
    on: {
      outcome: first.fulfil,
      afterCheckpoint: (saved) => {
        recorded.push(saved.recorded)
        end.abort(new Error('seen to be saved'))
      },
    },
  })
  const outcome = await run.then(
    ({ status }) => status,
    ({ cause }) => cause.message,
  )
  expect(recorded[0]).toBe(1)
  expect(['complete', 'seen to be saved']).toContain(outcome)
})

test("execute() gives up soon, after a cloud's notice, on a store that takes nothing", { timeout: 30_000 }, async () => {
  const failed = signalled()
  const service = await serve({
    [ACTION]: async () => {
      await failed.promise
      return { body: { action: 'terminate', time: '2026-01-01T08:22:00Z' } }
    },
  })
  const { append: _, ...store } = memoryStore()
  const put: Store['put'] = async (key, bytes, options) => {
    if (!key.includes('/seg/')) return store.put(key, bytes, options)
    failed.fulfil()
    throw new Error('no space')
  }
  const began = performance.now()
  const run = execute(task, [0, 1], {
    ...{ workers: 1, mode: 'threads', chunkSize: 1, checkpoint: { store: { ...store, put }, every: 1 } },
    preempt: { aws: { baseUrl: service.url } },
  })
  await expect(run).rejects.toMatchObject({
    code: 'ERR_PAWL_CHECKPOINT_WRITE',
    message: expect.stringMatching(/take it within [\d.]+ s, as the run was told to end, got no space\. /),
  })
  expect(performance.now() - began).toBeLessThan(15_000)
  await service.untilQuiet()
})

test('execute() runs to its end on a cloud that has nothing to say', async () => {
  const service = await serve({ [ACTION]: 'hang', [REBALANCE]: { status: 503 } })
  const { url: baseUrl } = service
  const { results } = await execute((item: number) => item + 1, [1, 2, 3], {
    preempt: { signals: true, aws: { baseUrl }, gcp: { baseUrl }, azure: { baseUrl } },
  })
  expect(results).toEqual([2, 3, 4])
  await service.untilQuiet()
  expect(process.listenerCount('SIGTERM')).toBe(0)
})
