import { createExecutor, execute, type Log, memoryStore, type Store, stream } from 'pawl'
import { expect, test } from 'vitest'
import arithmetic from '../fixtures/tasks/arithmetic.mjs'
import { gate, range } from './calls.ts'

const ITEMS = range(200)
const REASON = new Error('time to go')

/** A store that does not answer calls of a name once `isSilent`; says when it was asked one. */
function silentStore() {
  const inner = memoryStore()
  const state = { silent: '', asked: () => {} }
  const unless = <V>(name: string, call: () => Promise<V>): Promise<V> => {
    if (name !== state.silent) return call()
    state.asked()
    return new Promise(() => {})
  }
  const append = async (key: string): Promise<Log> => {
    const log = (await unless('append', async () => inner.append?.(key))) as Log
    return {
      write: (bytes) => unless('write', () => log.write(bytes)),
      sync: () => unless('sync', () => log.sync()),
      close: () => unless('close', () => log.close()),
    }
  }
  const store: Store = {
    get: (key, range) => unless('get', () => inner.get(key, range)),
    put: (key, bytes, how) => unless('put', () => inner.put(key, bytes, how)),
    list: (prefix) => unless('list', () => inner.list(prefix)),
    delete: (key) => unless('delete', () => inner.delete(key)),
    append,
  }
  return { store, state }
}

/** A run that is told to end when its store was asked what it does not answer; what it rejects with, and after how long, in ms. */
async function toldToEnd(silent: string, { isResumed = false } = {}) {
  const { store, state } = silentStore()
  const abort = new AbortController()
  const options = { runId: 'run', mode: 'threads', workers: 2, chunkSize: 10, drainTimeout: 600_000, seed: 1 } as const
  const checkpoint = { store, every: 50, interval: 20 }
  if (isResumed) await execute(arithmetic, ITEMS, { ...options, checkpoint })
  let toldAt = Number.NaN
  Object.assign(state, {
    silent,
    asked: () => {
      toldAt = performance.now()
      state.asked = () => {}
      setImmediate(() => abort.abort(REASON))
    },
  })
  const error = await execute(arithmetic, ITEMS, { ...options, checkpoint, signal: abort.signal }).catch((reason) => reason)
  return { error, took: performance.now() - toldAt }
}

test('a store that does not answer is given up when the run is told to end, whatever it was asked', async () => {
  const writing = ['append', 'write', 'sync'].map(async (call) => {
    const { error, took } = await toldToEnd(call)
    expect(error, call).toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_WRITE', report: { runId: 'run', failures: [] } })
    expect(error.message, call).toContain(
      "write the checkpoint of run 'run': expected the store to take it, got no answer within 5.0 s",
    )
    for (const [index, value] of error.report.results.entries()) expect([undefined, index * index]).toContain(value)
    return took
  })
  const opening = ['list', 'put', 'get'].map(async (call) => {
    const { error, took } = await toldToEnd(call, { isResumed: true })
    expect(error, call).toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_WRITE' })
    expect(error.message, call).toContain("checkpoint of run 'run': expected the store to answer, got no answer within 5.0 s")
    return took
  })
  const took = await Promise.all([...writing, ...opening])
  expect(Math.min(...took)).toBeGreaterThan(4900)
  expect(Math.max(...took)).toBeLessThan(15_000)
})

test('a store that does not answer keeps no other run of the executor waiting', async () => {
  const { store, state } = silentStore()
  const abort = new AbortController()
  await using executor = createExecutor({ workers: 1, mode: 'threads', drainTimeout: 600_000 })
  const { passed: hasAsked, open: onAsked } = gate()
  Object.assign(state, { silent: 'write', asked: onAsked })
  const options = { runId: 'run', chunkSize: 10, checkpoint: { store, every: 50, interval: 20 } }
  const waiting = executor.execute(arithmetic, ITEMS, { ...options, signal: abort.signal }).catch((error) => error)
  await hasAsked
  expect((await executor.execute(arithmetic, [3])).results).toEqual([9])
  abort.abort(REASON)
  expect(await waiting).toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_WRITE', report: { stats: { succeeded: 0 } } })
})

test('a store that only does not take its end fails no run that is saved', async () => {
  const { error: report } = await toldToEnd('close')
  expect(report).toMatchObject({ status: 'complete' })
})

test('leaving the loop over a stream is being told to end, be the store silent or failing', async () => {
  const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
  const answers = [() => new Promise<never>(() => {}), () => Promise.reject(full)]
  const leave = async (answer: () => Promise<never>) => {
    const log: Log = { write: async () => {}, sync: answer, close: async () => {} }
    const store: Store = { ...memoryStore(), append: async () => log }
    const on = { warning: () => {} }
    const outcomes = stream(arithmetic, ITEMS, { workers: 1, checkpoint: { store, interval: 60_000 }, on })
    const began = performance.now()
    for await (const _ of outcomes) break
    await expect(outcomes.report).rejects.toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_WRITE' })
    return performance.now() - began
  }
  expect(Math.max(...(await Promise.all(answers.map(leave))))).toBeLessThan(15_000)
})
