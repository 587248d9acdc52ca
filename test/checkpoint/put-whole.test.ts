import { describe, expect, test } from 'vitest'
import { deleteRun, inspectRun, verifyRun } from '../../src/checkpoint/stored/runs.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import { abandon, FORMS, IDENTITY, type Opened, open, outcomes } from './fixture.ts'

/** Stores whose objects cannot grow: each flush is an object that is put whole. */

const identity = { ...IDENTITY, items: { kind: 'array' as const, count: 30 } }

function withoutAppend(): Store {
  const { append: _, ...store } = memoryStore()
  return store
}

/** The segments of a run, in the order they were written in. */
async function segmentsOf(store: Store): Promise<string[]> {
  const numberOf = (key: string) => Number(/-(\d+)\./.exec(key)?.[1])
  return (await store.list('run-1/seg/')).map(({ key }) => key).sort((a, b) => numberOf(a) - numberOf(b))
}

const messagesOf = ({ events }: Opened) =>
  events.flatMap(({ event, payload }) => (event === 'warning' ? [(payload as { message: string }).message] : []))

describe.each(FORMS)('a killed session of $format, $compress', (form) => {
  const work = async (store: Store) => {
    const session = await open(store, { ...form, identity })
    for (let at = 0; at < 24; at += 2) {
      await session.begin({ indices: Uint32Array.of(at, at + 1) })
      session.record(outcomes([at, at + 1]))
      await session.flush()
    }
    await abandon(store, session)
  }

  test.each([-1, 3])('damage at the end of an object (%d) is told: nothing of it is torn', async (place) => {
    const store = withoutAppend()
    await work(store)
    const key = (await segmentsOf(store)).at(place) as string
    const bytes = (await store.get(key)) as Uint8Array
    expect(await verifyRun(store, 'run-1')).toEqual({ ok: true, damaged: [] })
    await store.put(
      key,
      bytes.map((byte, at) => (at < bytes.length - 60 ? byte : 0)),
      { replace: true },
    )
    const { ok, damaged } = await verifyRun(store, 'run-1')
    expect([ok, damaged.map(({ file }) => `run-1/${file}`)]).toEqual([false, [key]])
    const { done } = await inspectRun(store, 'run-1')
    expect(done).toBe(22)
    const next = await open(store, { ...form, identity })
    expect(messagesOf(next)).toEqual([expect.stringContaining('runs again')])
    next.record(outcomes(Array.from({ length: 30 }, (_, at) => at).filter((at) => next.restored.statusOf(at) === undefined)))
    await next.close()
    expect(await verifyRun(store, 'run-1')).toEqual({ ok: true, damaged: [] })
  })
})

describe('a session of more than ten objects', () => {
  test('the last of them is the one that lacks an end which nobody can explain', async () => {
    const store = withoutAppend()
    const session = await open(store, { identity })
    for (let at = 0; at < 12; at++) {
      session.record(outcomes([at]))
      await session.flush()
    }
    await abandon(store, session)
    for (const { key } of await store.list('run-1/lease/')) await store.delete(key)
    const { damaged } = await verifyRun(store, 'run-1')
    expect(damaged.map(({ file }) => `run-1/${file}`)).toEqual([(await segmentsOf(store)).at(-1)])
  })

  test('what was begun again after it had been set aside is a suspect', async () => {
    const store = withoutAppend()
    const session = await open(store, { identity })
    const item = { indices: Uint32Array.of(29) }
    const flush = async (at: number) => {
      session.record(outcomes([at]))
      await session.flush()
    }
    await session.begin(item)
    await flush(0)
    await flush(1)
    const histories = { get: () => ({ attempts: 1, crashes: 0, firstFailedAt: 1 }) } as never
    await session.setAside({ ...item, items: ['item 29'], histories })
    for (let at = 2; at < 10; at++) await flush(at)
    await session.begin(item)
    await flush(10)
    await flush(11)
    await abandon(store, session)
    const next = await open(store, { identity })
    expect(next.restored.isSuspect(29)).toBe(true)
    await next.close()
  })
})

describe('of a session whose objects were merged into several snapshots', () => {
  const item = { indices: Uint32Array.of(999) }
  const triedTimes = (attempts: number) =>
    ({ ...item, items: ['item 999'], histories: { get: () => ({ attempts, crashes: 0, firstFailedAt: 1 }) } }) as never

  /** Records items until there are so many snapshots. */
  const recordUntil = async (store: Store, session: Opened, snapshots: number) => {
    for (let at = 100 * snapshots; (await store.list('run-1/snap/')).length < snapshots; at++) {
      session.record(outcomes([at]))
      await session.flush()
      await new Promise((resolve) => setImmediate(resolve)) // They are made beside it.
    }
  }
  const begin = async () => {
    const store = withoutAppend()
    const session = await open(store)
    await session.begin(item)
    await session.setAside(triedTimes(1))
    await recordUntil(store, session, 1)
    await session.begin(item)
    return { store, session }
  }

  test('what was begun again after it had been set aside is a suspect', async () => {
    const { store, session } = await begin()
    await recordUntil(store, session, 2)
    await abandon(store, session)
    const next = await open(store)
    expect(next.restored.isSuspect(999)).toBe(true)
    await next.close()
  })

  test('the last word of attempts counts', async () => {
    const { store, session } = await begin()
    await session.setAside(triedTimes(2))
    await recordUntil(store, session, 2)
    await abandon(store, session)
    const next = await open(store)
    expect(next.restored.isSuspect(999)).toBe(false)
    expect(next.restored.historyOf(999)).toMatchObject({ attempts: 2, crashes: 0 })
    await next.close()
  })
})

test('small objects are merged also after the store has failed', async () => {
  const memory = withoutAppend()
  let fails = 1
  const put: Store['put'] = async (key, ...rest) => {
    if (key.includes('/snap/') && fails-- > 0) throw new Error('SlowDown')
    return memory.put(key, ...rest)
  }
  const store = { ...memory, put }
  const session = await open(store, { every: 1, keep: 0 })
  for (let at = 0; at < 300; at++) {
    session.record(outcomes([at]))
    await session.flush()
  }
  await session.close()
  expect(fails).toBeLessThan(0)
  expect((await store.list('run-1/')).length).toBeLessThan(100)
})

test('objects of a run are deleted several at once, the manifest last', async () => {
  const memory = withoutAppend()
  const session = await open(memory, { identity })
  for (let at = 0; at < 12; at++) {
    session.record(outcomes([at]))
    await session.flush()
  }
  await session.close()
  const deleted: string[] = []
  let asked = 0
  let most = 0
  const remove: Store['delete'] = async (key) => {
    most = Math.max(most, ++asked)
    await new Promise((resolve) => setImmediate(resolve))
    await memory.delete(key)
    asked--
    deleted.push(key)
  }
  await deleteRun({ ...memory, delete: remove }, 'run-1')
  expect(most).toBeGreaterThan(10)
  expect(deleted.at(-1)).toContain('/run/')
  expect(await memory.list('')).toEqual([])
})
