import { describe, expect, test } from 'vitest'
import { createHaste } from '../../src/checkpoint/patience/haste.ts'
import { verifyRun } from '../../src/checkpoint/stored/runs.ts'
import { systemClock } from '../../src/clock.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Log, Store } from '../../src/store/store.ts'
import { abandon, IDENTITY, open, outcomes } from './fixture.ts'

const COUNT = 40
const identity = { ...IDENTITY, items: { kind: 'array' as const, count: COUNT } }

/** A store that takes its time for each call, and says before which. */
function slowStore(inner: Store, onCall: (call: string) => void): Store {
  const slow = async <V>(name: string, call: () => Promise<V>): Promise<V> => {
    onCall(name)
    await new Promise((resolve) => setImmediate(resolve))
    return call()
  }
  const append = async (key: string): Promise<Log> => {
    const log = (await slow(`append ${key}`, async () => inner.append?.(key))) as Log
    return {
      write: (bytes) => slow(`write ${key}`, () => log.write(bytes)),
      sync: () => slow(`sync ${key}`, () => log.sync()),
      close: () => slow(`close ${key}`, () => log.close()),
    }
  }
  return {
    get: (key, range) => slow(`get ${key}`, () => inner.get(key, range)),
    put: (key, ...given) => slow(`put ${key}`, () => inner.put(key, ...given)),
    list: (prefix) => slow(`list ${prefix}`, () => inner.list(prefix)),
    delete: (key) => slow(`delete ${key}`, () => inner.delete(key)),
    append,
  }
}

const told = () => createHaste(AbortSignal.abort(new Error('told')), systemClock)

/** Sessions with one item each, which leave all that can wait to the next. */
async function fill(store: Store, count: number): Promise<void> {
  for (let at = 0; at < count; at++) {
    const session = await open(store, { identity, haste: told() })
    session.record(outcomes([at]))
    await session.close()
  }
}

const keysOf = async (store: Store, folder: string) => (await store.list(`run-1/${folder}/`)).map(({ key }) => key)

async function damage(store: Store, key: string): Promise<void> {
  const bytes = Buffer.from((await store.get(key)) ?? [])
  bytes.writeUInt8((bytes[bytes.length >>> 1] as number) ^ 4, bytes.length >>> 1)
  await store.put(key, bytes, { replace: true })
}

const isWhole = async (store: Store) => (await verifyRun(store, 'run-1')).ok

const isCompacted = async (store: Store) => (await keysOf(store, 'snap')).length === 1

interface Work {
  readonly keep: number
  /** Leaves a run in which there is something to do, and says how many items are on record. */
  prepare(store: Store): Promise<number>
  isDone(store: Store): Promise<boolean>
}

const compacting = (segments: number): Work => ({
  keep: 0,
  prepare: async (store) => {
    await fill(store, segments)
    return segments
  },
  isDone: isCompacted,
})

const WORK: Record<string, Work> = {
  'compacting as it begins': compacting(16),
  'compacting as it ends': compacting(15),
  'mending what was made up for': {
    keep: 0,
    prepare: async (store) => {
      const session = await open(store, { identity })
      session.record(outcomes(Array.from({ length: COUNT - 1 }, (_, at) => at)))
      await session.close()
      const again = await open(store, { identity })
      const [key = ''] = await keysOf(store, 'seg')
      again.record(outcomes(Array.from({ length: COUNT - 1 }, (_, at) => at)))
      await again.close()
      await damage(store, key)
      return COUNT - 1
    },
    isDone: isWhole,
  },
  'looking at files that a snapshot stands for': {
    keep: 2,
    prepare: async (store) => {
      await fill(store, 16)
      await (await open(store, { identity })).close()
      const [, key = ''] = await keysOf(store, 'seg')
      await damage(store, key)
      return 16
    },
    isDone: isWhole,
  },
  'letting go of claims of the dead': {
    keep: 0,
    prepare: async (store) => {
      const sessions = [0, 1, 2].map((at) => open(store, { identity, shard: `${at + 1}/4` }))
      for (const [at, session] of (await Promise.all(sessions)).entries()) {
        session.record(outcomes([at]))
        await session.flush()
        await abandon(store, session)
      }
      return sessions.length
    },
    isDone: async (store) => (await keysOf(store, 'lease')).length === 0,
  },
}

async function copyOf(store: Store): Promise<Store> {
  const copy = memoryStore()
  for (const { key } of await store.list('')) await copy.put(key, (await store.get(key)) ?? new Uint8Array())
  return copy
}

/** A session that records the last item and is told to end in the `k`-th call of its store; what it asks for behind that, once it is open. */
async function endedAt(inner: Store, k: number, keep: number) {
  const abort = new AbortController()
  const asked: string[] = []
  let calls = 0
  let isOpen = false
  const store = slowStore(inner, (call) => {
    if (abort.signal.aborted && isOpen) asked.push(call)
    if (calls++ === k) abort.abort(new Error('told'))
  })
  const session = await open(store, { identity, keep, haste: createHaste(abort.signal, systemClock) })
  isOpen = true
  session.record(outcomes([COUNT - 1]))
  await session.close()
  return { asked: asked.map((call) => call.replaceAll(session.writer, 'OWN')), isTold: abort.signal.aborted }
}

describe.each(Object.entries(WORK))('a session told to end while it is %s', (_, { keep, prepare, isDone }) => {
  test('asks its store for nothing but its record and its claim, and leaves the rest to the next', async () => {
    const prepared = memoryStore()
    const count = await prepare(prepared)
    expect(await isDone(prepared)).toBe(false)
    let left = 0
    for (let k = 0; ; k++) {
      const store = await copyOf(prepared)
      const { asked, isTold } = await endedAt(store, k, keep)
      if (!isTold) {
        expect(await isDone(store)).toBe(true)
        break
      }
      const needed = /^((append|write|sync|close) run-1\/seg\/OWN-\d+\.msgpack|(put|delete) run-1\/lease\/OWN)$/
      expect(
        asked.filter((call) => !needed.test(call)),
        `call ${k}`,
      ).toEqual([])
      if (!(await isDone(store))) left++
      const next = await open(store, { identity, keep })
      expect(next.restored, `call ${k}`).toMatchObject({ fulfilled: count + 1, damaged: 0, conflicts: 0 })
      await next.close()
      expect(await isDone(store), `call ${k}`).toBe(true)
    }
    expect(left).toBeGreaterThan(5)
  })
})

test('a file that failed, and whose contents were saved again, is deleted unless the run is told to end', async () => {
  for (const isTold of [false, true]) {
    const inner = memoryStore()
    let isHealed = false
    const deleted: string[] = []
    const append = async (key: string): Promise<Log> => {
      const log = (await inner.append?.(key)) as Log
      const sync = async () => {
        if (isHealed) return log.sync()
        isHealed = true
        throw new Error('once')
      }
      return { ...log, sync }
    }
    const remove = async (key: string) => {
      deleted.push(key)
      await inner.delete(key)
    }
    const store = { ...inner, append, delete: remove }
    const session = await open(store, { identity, ...(isTold ? { haste: told() } : {}) })
    session.record(outcomes([0, 1, 2]))
    await session.close()
    const [segment, claim] = [`run-1/seg/${session.writer}-0.msgpack`, `run-1/lease/${session.writer}`]
    expect(deleted).toEqual(isTold ? [claim] : [segment, claim])
    expect(await isWhole(store)).toBe(true)
    const next = await open(store, { identity })
    expect([next.restored.fulfilled, next.restored.conflicts, next.events]).toEqual([3, 0, []])
    await next.close()
  }
})
