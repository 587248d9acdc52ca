import { describe, expect, test } from 'vitest'
import type { Settled } from '../../src/checkpoint/session/session.ts'
import { inspectRun, verifyRun } from '../../src/checkpoint/stored/runs.ts'
import { plural } from '../../src/errors.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import { FORMS, IDENTITY, type Opened, open, outcomes } from './fixture.ts'

const COUNT = 60
const identity = { ...IDENTITY, items: { kind: 'array' as const, count: COUNT } }
const range = (from: number, count: number) => Array.from({ length: count }, (_, at) => from + at)
const filesOf = async (store: Store, folder: string) => (await store.list(`run-1/${folder}/`)).map(({ key }) => key)

const withoutAppend = (): Store => {
  const { append: _, ...store } = memoryStore()
  return store
}

/** A session that records `count` items from `from` on, each by a flush of its own, and ends by itself. */
async function work(store: Store, from: number, count: number, options = {}): Promise<Opened> {
  const session = await open(store, { identity, ...options })
  await session.begin({ indices: Uint32Array.from(range(from, count)) })
  for (const item of range(from, count)) {
    session.record(outcomes([item]))
    await session.flush()
  }
  await session.close()
  return session
}

/** What is told of a run of which `lost` items of `done` are gone, by readers and by the session that runs them again; and nothing after that. */
async function expectTold(store: Store, lost: number, options = {}): Promise<void> {
  const { damaged, done } = await inspectRun(store, 'run-1')
  expect(damaged).toBe(lost)
  const verdict = await verifyRun(store, 'run-1')
  expect(verdict.damaged.map(({ problem }) => problem)).toContain(
    `it is gone, and no snapshot stands for it; there is no record of ${plural(lost, 'item')} that ran`,
  )
  const next = await open(store, { identity, ...options })
  expect(next.restored).toMatchObject({ fulfilled: done, damaged: lost })
  const message = expect.stringMatching(new RegExp(`are gone.*What only they held \\(${plural(lost, 'item')}\\) runs again`))
  expect(next.events).toEqual([{ event: 'warning', payload: { code: 'CHECKPOINT_DAMAGED', message } }])
  next.record(outcomes(range(0, COUNT).filter((item) => next.restored.statusOf(item) === undefined)))
  await next.close()
  expect(await verifyRun(store, 'run-1')).toEqual({ ok: true, damaged: [] })
}

describe.each(FORMS)('files of sessions that ended by themselves, deleted between sessions: $format, $compress', (form) => {
  test('the only segment of one is told by what the next session noted', async () => {
    const store = memoryStore()
    await work(store, 0, 20, form)
    const [key = ''] = await filesOf(store, 'seg')
    await work(store, 20, 10, form)
    expect(await verifyRun(store, 'run-1')).toEqual({ ok: true, damaged: [] })
    await store.delete(key)
    await expectTold(store, 20, form)
  })

  test('one segment of several is told by the end of its session', async () => {
    const store = withoutAppend()
    await work(store, 0, 10, form)
    const third = (await filesOf(store, 'seg')).find((key) => key.includes('-2.'))
    await store.delete(third as string)
    await expectTold(store, 1, form)
  })

  test('a snapshot whose segments are deleted already is told by them', async () => {
    const store = withoutAppend()
    const options = { ...form, keep: 0 }
    await work(store, 0, 18, options)
    const other = await work(store, 18, 10, options)
    const [snapshot = '', ...more] = await filesOf(store, 'snap')
    expect(more).toEqual([])
    const own = (await filesOf(store, 'seg')).filter((key) => key.includes(other.writer))
    expect(own.length).toBeGreaterThan(0)
    await store.delete(snapshot)
    const { done } = await inspectRun(store, 'run-1')
    await expectTold(store, 28 - done, options)
  })
})

test('a session that has nothing to run leaves no segment for what it could say of others', async () => {
  const store = memoryStore()
  await work(store, 0, COUNT)
  const before = await filesOf(store, 'seg')
  const session = await open(store, { identity })
  await session.close()
  expect(await filesOf(store, 'seg')).toEqual(before)
})

test('each session is noted once', async () => {
  const store = memoryStore()
  for (let at = 0; at < 6; at++) await work(store, at, 1)
  let told = 0
  for (const key of await filesOf(store, 'seg')) {
    const text = Buffer.from((await store.get(key)) as Uint8Array).toString('latin1')
    told += text.split('"writers"').length - 1
  }
  expect(told).toBe(5)
})

describe.each(['with append', 'without append'])('segments deleted while their session is at work, %s', (how) => {
  const settledOf = (results: readonly unknown[], succeeded: number): Settled => ({
    ...{ results, attempts: new Map(), failures: [], keys: undefined, complete: undefined, succeeded, isMine: () => true },
  })
  const atWork = async (): Promise<[Store, Opened]> => {
    const store = how === 'with append' ? memoryStore() : withoutAppend()
    const session = await open(store, { identity })
    session.record(outcomes(range(0, 20)))
    await session.flush()
    for (const key of await filesOf(store, 'seg')) await store.delete(key)
    return [store, session]
  }

  test('are told later where nothing of them is at hand', async () => {
    const [store, session] = await atWork()
    expect(await session.confirm(settledOf([], 20))).toBe(true)
    await session.close()
    await expectTold(store, 20)
  })

  test('are not told later where all of it is recorded again', async () => {
    const [store, session] = await atWork()
    const results = range(0, 20).map((value) => ({ value }))
    expect(await session.confirm(settledOf(results, 20))).toBe(true)
    await session.close()
    expect(await verifyRun(store, 'run-1')).toEqual({ ok: true, damaged: [] })
    const next = await open(store, { identity })
    expect([next.restored.fulfilled, next.restored.damaged, next.events]).toEqual([20, 0, []])
    await next.close()
  })
})
