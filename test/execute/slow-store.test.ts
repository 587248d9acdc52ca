import { setTimeout as sleep } from 'node:timers/promises'
import { execute, memoryStore, type Store } from 'pawl'
import { expect, test } from 'vitest'
import arithmetic from '../fixtures/tasks/arithmetic.mjs'
import { range } from './calls.ts'

const ITEMS = range(400)

/** A store whose objects cannot grow. From when files of a run are merged, which aborts `abort`, each call takes 300 ms. */
function slowStore(inner: Store, abort: AbortController) {
  const asked: string[] = []
  const slow = async <V>(name: string, call: () => Promise<V>): Promise<V> => {
    if (abort.signal.aborted) {
      asked.push(name)
      await sleep(300)
    } else if (name.startsWith('get run/seg/')) abort.abort(new Error('time to go'))
    return call()
  }
  const store: Store = {
    get: (key, range) => slow(`get ${key}`, () => inner.get(key, range)),
    put: (key, bytes, how) => slow(`put ${key}`, () => inner.put(key, bytes, how)),
    list: (prefix) => slow(`list ${prefix}`, () => inner.list(prefix)),
    delete: (key) => slow(`delete ${key}`, () => inner.delete(key)),
  }
  return { store, asked }
}

test('a run told to end leaves the merging of its files, and asks for its last flush, one look at it, and its claim', async () => {
  const inner = memoryStore()
  const abort = new AbortController()
  const { store, asked } = slowStore(inner, abort)
  const options = { runId: 'run', mode: 'threads', workers: 1, chunkSize: 1, seed: 1 } as const
  const run = execute(arithmetic, ITEMS, { ...options, checkpoint: { store, every: 1 }, signal: abort.signal })
  const error = await run.catch((reason) => reason)
  expect(error).toMatchObject({ code: 'ERR_PAWL_ABORTED', report: { status: 'partial' } })
  const { succeeded } = error.report.stats
  const kinds = asked.map((call) => call.replace(/[^/]+$/, ''))
  expect(kinds.filter((kind) => kind !== 'put run/seg/')).toEqual(['list run/', 'delete run/lease/'])
  // What was on its way, what settled meanwhile, and the end: by two flushes, or three.
  expect(kinds.length).toBeLessThanOrEqual(5)

  const again = await execute(arithmetic, ITEMS, { ...options, checkpoint: { store: inner } })
  expect(again).toMatchObject({ status: 'complete', stats: { restored: succeeded, dispatched: ITEMS.length - succeeded } })
  expect(await inner.list('run/snap/')).not.toEqual([])
})

test('what it waits for in vain meanwhile is no reason to give up what has to be saved', async () => {
  const inner = memoryStore()
  const abort = new AbortController()
  const { append: _, ...whole } = inner
  const store: Store = {
    ...whole,
    get: (key, range) => {
      if (!key.startsWith('run/seg/')) return inner.get(key, range)
      abort.abort(new Error('time to go'))
      return new Promise(() => {})
    },
    // Two of them, one after the other, take longer than a call may.
    put: async (key, bytes, how) => {
      if (abort.signal.aborted) await sleep(3500)
      return inner.put(key, bytes, how)
    },
  }
  const options = { runId: 'run', mode: 'threads', workers: 1, chunkSize: 1, seed: 1 } as const
  const run = execute(arithmetic, ITEMS, { ...options, checkpoint: { store, every: 1 }, signal: abort.signal })
  const error = await run.catch((reason) => reason)
  expect(error).toMatchObject({ code: 'ERR_PAWL_ABORTED', report: { status: 'partial' } })
  const again = await execute(arithmetic, ITEMS, { ...options, checkpoint: { store: inner } })
  expect(again).toMatchObject({ status: 'complete', stats: { restored: error.report.stats.succeeded } })
})
