import { describe, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import { abandon, FORMS, failing, IDENTITY, open, outcomes, readAll, rejection, STORES } from './fixture.ts'

const cases = Object.keys(STORES).flatMap((name) => FORMS.map((form) => ({ name, ...form })))

describe.each(cases)('openSession() with $name, $format, $compress', ({ name, format, compress }) => {
  const create = STORES[name] as (typeof STORES)[string]

  test('gives back in the next session what was recorded in this one', async () => {
    const store = await create()
    const first = await open(store, { format, compress })
    first.begin({ indices: Uint32Array.of(0, 1, 2, 7) })
    first.record(outcomes([0, 1, 2, 7]))
    const reason = Object.assign(new TypeError('bad input', { cause: new Error('deeper') }), { code: 'E_BAD', extra: { a: 1 } })
    first.record(failing(rejection(5, reason, { path: 'x' })))
    await first.flush()
    first.record(outcomes([3]))
    await first.close()

    const second = await open(store, { format, compress })
    expect(second.restored).toMatchObject({ fulfilled: 5, rejected: 1, damaged: 0, conflicts: 0, total: undefined })
    expect([0, 1, 2, 3, 4, 5, 7].map((index) => second.restored.statusOf(index))).toEqual([
      ...['fulfilled', 'fulfilled', 'fulfilled', 'fulfilled', undefined, 'rejected', 'fulfilled'],
    ])
    const { values, rejected } = await readAll(second.restored)
    expect(new Map([...values].sort())).toEqual(new Map([0, 1, 2, 3, 7].map((index) => [index, { value: index }])))
    expect(rejected).toMatchObject([{ index: 5, kind: 'error', attempts: 1, item: { path: 'x' }, session: first.writer }])
    const [failure] = rejected
    expect(failure?.reason).toBeInstanceOf(TypeError)
    expect(failure?.reason).toMatchObject({ message: 'bad input', stack: reason.stack, code: 'E_BAD', extra: { a: 1 } })
    expect(failure?.reason?.cause).toMatchObject({ message: 'deeper' })
    expect(second.events).toEqual([])
    await second.close()
  })

  test('keeps what was flushed when the process dies without a word', async () => {
    const store = await create()
    const first = await open(store, { format, compress })
    first.record(outcomes([0, 1]))
    await first.flush()
    first.record(outcomes([2]))
    await abandon(store, first)
    const second = await open(store, { format, compress })
    expect(second.restored.fulfilled).toBe(2)
    await second.close()
  })

  test('tells of each flush before and after', async () => {
    const store = await create()
    const session = await open(store, { format, compress, every: 2 })
    session.record(outcomes([0, 1]))
    await session.flush()
    session.record(outcomes([2, 3, 4]))
    await session.flush()
    expect(session.events).toMatchObject([
      { event: 'beforeCheckpoint', payload: { runId: 'run-1', pending: 2 } },
      { event: 'afterCheckpoint', payload: { runId: 'run-1', recorded: 2 } },
      { event: 'beforeCheckpoint', payload: { pending: 3 } },
      { event: 'afterCheckpoint', payload: { recorded: 5 } },
    ])
    expect(session.stats.checkpoints).toBe(2)
    expect(session.stats.bytesWritten).toBeGreaterThan(0)
    await session.close()
    const names = (await store.list('run-1/')).map(({ key }) => key.split('/')[1])
    expect(new Set(names)).toEqual(new Set(['run', 'seg']))
  })

  test('finds items by key in keyed runs, wherever they moved', async () => {
    const store = await create()
    const identity = { ...IDENTITY, key: 'function', items: { kind: 'keyed' as const } }
    const first = await open(store, { format, compress, identity })
    const keys = ['a', '\ud800', '']
    first.begin({ indices: Uint32Array.of(0, 1, 2), keys })
    first.record({ fulfilled: [{ indices: Uint32Array.of(0, 1, 2), keys, values: [1, 2, 3] }], rejected: [] })
    first.record(failing({ ...rejection(3, new Error('no')), key: 'd' } as never))
    await first.close()
    const second = await open(store, { format, compress, identity })
    const { restored } = second
    expect(['a', '\ud800', '', 'd', 'x'].map((key) => restored.statusOf(9, key))).toEqual([
      ...['fulfilled', 'fulfilled', 'fulfilled', 'rejected', undefined],
    ])
    expect(restored.historyOf(0, 'd')).toMatchObject({ attempts: 0, crashes: 0 })
    await second.close()
  })
})

test.each([0.25, -0.5, -Date.now() - 1e12])(
  'what a session records is found whatever a clock says that is off by %d',
  async (off) => {
    const store = memoryStore()
    const clock = { ...systemClock, today: () => Date.now() + off }
    const first = await open(store, { clock })
    first.record(outcomes([1, 2]))
    await first.flush()
    await abandon(store, first)
    const second = await open(store, { clock })
    expect(second.restored.fulfilled).toBe(2)
    second.record(outcomes([3]))
    await second.close()
    expect(await store.list('run-1/lease/')).toEqual([])
    expect((await open(store)).restored.fulfilled).toBe(3)
  },
)

describe('opening asks a store for', () => {
  const listen = (store: Store) => {
    const calls: string[] = []
    const heard = {
      list: (prefix) => calls.push(`list ${prefix}`) && store.list(prefix),
      get: (key, range) => calls.push(`get ${key}`) && store.get(key, range),
      put: (key, ...given) => calls.push(`put ${key}`) && store.put(key, ...given),
      sync: (key) => calls.push(`sync ${key}`) && store.sync?.(key),
    } as Store
    return { calls, store: { ...store, ...heard } }
  }

  test.each([
    ['of it', false, 'list run-1/'],
    ['of it, and of similar ones', true, 'list '],
  ])('a claim and a manifest of a new run, and looks once at what there is %s', async (_, isDerived, look) => {
    const { calls, store } = listen(memoryStore())
    const { writer, manifest, close } = await open(store, { isDerived })
    const claim = `put run-1/lease/${writer}`
    expect(calls).toEqual([
      'list run-1/',
      ...[claim, 'list run-1/lease/', claim, 'list run-1/lease/'],
      ...[look, `put run-1/run/${manifest.fingerprint}.json`, 'list run-1/run/'],
    ])
    await close()
  })

  test('each file of a run that was there', async () => {
    const inner = memoryStore()
    const first = await open(inner)
    first.record(outcomes([0]))
    await first.close()
    const { calls, store } = listen(inner)
    const { writer, manifest, close } = await open(store)
    const look = `get run-1/run/${manifest.fingerprint}.json`
    const claim = `put run-1/lease/${writer}`
    const segment = `run-1/seg/${first.writer}-0.msgpack`
    expect(calls).toEqual([
      ...['list run-1/', look],
      ...[claim, 'list run-1/lease/', claim, 'list run-1/lease/'],
      ...['list run-1/run/', look],
      ...['list run-1/seg/', 'list run-1/snap/', `get ${segment}`, `sync ${segment}`],
    ])
    await close()
  })
})
