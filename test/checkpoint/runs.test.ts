import { describe, expect, test } from 'vitest'
import { deleteRun, inspectRun, listRuns, readFailures, readResultBatches, verifyRun } from '../../src/checkpoint/stored/runs.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import type { Outcome } from '../../src/types.ts'
import { abandon, FORMS, failing, IDENTITY, open, outcomes, rejection, STORES } from './fixture.ts'

async function collect(store: Store, runId = 'run-1'): Promise<Outcome[]> {
  const all: Outcome[] = []
  for await (const batch of readResultBatches(store, runId)) all.push(...batch)
  return all
}

test('whoever reads asks a store again that fails now and then, and hears at once of what does not pass', async () => {
  const memory = memoryStore()
  for (let at = 0; at < 20; at++) {
    const session = await open(memory)
    session.record(at === 7 ? failing(rejection(7, new Error('seven'))) : outcomes([at]))
    await session.close()
  }
  let calls = 0
  let isClosed = false
  const ask = async <V>(call: () => Promise<V>): Promise<V> => {
    if (isClosed) throw Object.assign(new Error('not yours'), { code: 'EACCES' })
    if (++calls % 10 === 0) throw new Error('reduce your request rate')
    return call()
  }
  const store: Store = {
    get: (...given) => ask(() => memory.get(...given)),
    put: (...given) => memory.put(...given),
    list: (prefix) => ask(() => memory.list(prefix)),
    delete: (key) => ask(() => memory.delete(key)),
  }
  expect((await listRuns(store)).map(({ done, failures }) => [done, failures])).toEqual([[20, 1]])
  expect((await inspectRun(store, 'run-1')).done).toBe(20)
  expect(await verifyRun(store, 'run-1')).toEqual({ ok: true, damaged: [] })
  expect(await readFailures(store, 'run-1')).toMatchObject([{ index: 7 }])
  expect((await collect(store)).map(({ index }) => index)).toEqual(Array.from({ length: 20 }, (_, at) => at))
  isClosed = true
  const before = calls
  await expect(verifyRun(store, 'run-1')).rejects.toThrow('not yours')
  expect(calls).toBe(before)
  isClosed = false
  await deleteRun(store, 'run-1')
  expect(await memory.list('')).toEqual([])
})

test.each(['json', 'msgpack'] as const)(
  'readResults() reads a compressed block of %s once, however many frames it holds, and however they lie',
  async (format) => {
    const store = memoryStore()
    const text = 'x'.repeat(2 ** 17) // A frame of its own for each.
    const indices = Array.from({ length: 120 }, (_, at) => (at * 7) % 120)
    for (const half of [indices.slice(0, 60), indices.slice(60)]) {
      const session = await open(store, { format, compress: 'gzip' })
      for (const index of half) session.record(outcomes([index], () => `${index} ${text}`))
      await session.close()
    }
    let bytes = 0
    const get: Store['get'] = async (key, range) => {
      const found = await store.get(key, range)
      if (key.includes('/seg/')) bytes += found?.byteLength ?? 0
      return found
    }
    const all = await collect({ ...store, get })
    expect(all.map((outcome) => outcome.status === 'fulfilled' && outcome.value)).toEqual(
      indices.toSorted((a, b) => a - b).map((index) => `${index} ${text}`),
    )
    const sizes = (await store.list('run-1/seg/')).map(({ size }) => size)
    expect(sizes).toHaveLength(2)
    // Once to find out where everything is, once to read it.
    expect(bytes).toBeLessThan(2.5 * sizes.reduce((a, b) => a + b))
  },
)

const small = { ...IDENTITY, items: { kind: 'array' as const, count: 6 } }

describe.each(FORMS)('a run of $format, $compress', (form) => {
  test.each(Object.entries(STORES))(
    'readResults() gives all outcomes in the order of their indices from %s',
    async (_, create) => {
      const store = await create()
      const session = await open(store, { ...form, identity: small, every: 2 })
      session.record(outcomes([4, 1]))
      await session.flush()
      session.record(failing(rejection(3, new RangeError('three'))))
      session.record({
        fulfilled: [{ indices: Uint32Array.of(0, 2), attempts: Uint32Array.of(1, 3), values: ['a', 'b'] }],
        rejected: [],
      })
      await session.close()
      expect(await collect(store)).toMatchObject([
        { index: 0, key: '0', attempts: 1, restored: true, status: 'fulfilled', value: 'a' },
        { index: 1, status: 'fulfilled', value: { value: 1 } },
        { index: 2, attempts: 3, status: 'fulfilled', value: 'b' },
        { index: 3, status: 'rejected', kind: 'error', reason: new RangeError('three') },
        { index: 4, status: 'fulfilled', value: { value: 4 } },
      ])
      expect(await readFailures(store, 'run-1')).toMatchObject([{ index: 3, item: 'item 3', session: session.writer }])
    },
  )

  test('long keys are spread over frames, in however many batches they came', async () => {
    const identity = { ...IDENTITY, key: 'function', items: { kind: 'keyed' as const } }
    const places = Array.from({ length: 12 }, (_, place) => place)
    const framesOf = async (length: number, count: number) => {
      const store = memoryStore()
      const session = await open(store, { ...form, identity })
      const keys = places.map((place) => String.fromCharCode(97 + place).repeat(length))
      for (let at = 0; at < keys.length; at += count) {
        const indices = Uint32Array.from(places.slice(at, at + count))
        session.record({ fulfilled: [{ indices, keys: keys.slice(at, at + count), values: Array.from(indices) }], rejected: [] })
      }
      await session.close()
      expect((await collect(store)).map(({ key }) => key)).toEqual(keys)
      return (await inspectRun(store, 'run-1')).files[0]?.frames as number
    }
    const least = await framesOf(1, 12)
    expect(await framesOf(1, 1)).toBe(least)
    expect(await framesOf(2 ** 20, 1)).toBe(least + 11)
    expect(await framesOf(2 ** 20, 12)).toBe(least + 3)
  })

  test('is not found by the name of a folder of it', async () => {
    const store = memoryStore()
    const session = await open(store, { ...form, identity: small })
    session.record(outcomes([0, 1, 2]))
    await session.close()
    const before = await store.list('')
    for (const folder of ['seg', 'run', 'lease']) {
      await expect(inspectRun(store, `run-1/${folder}`)).rejects.toMatchObject({ code: 'ERR_PAWL_RUN_NOT_FOUND' })
      await expect(deleteRun(store, `run-1/${folder}`)).rejects.toMatchObject({ code: 'ERR_PAWL_RUN_NOT_FOUND' })
    }
    expect(await store.list('')).toEqual(before)
  })

  test('listRuns() and inspectRun() tell how far it is', async () => {
    const store = memoryStore()
    const session = await open(store, { ...form, identity: small })
    session.record(outcomes([0, 1, 2]))
    session.record(failing(rejection(3, new Error('three'))))
    await session.flush()
    expect(await listRuns(store)).toMatchObject([
      { runId: 'run-1', status: 'partial', done: 4, total: 6, failures: 1, live: true },
    ])
    session.record(outcomes([4, 5]))
    await session.close()
    const [summary] = await listRuns(store)
    expect(summary).toMatchObject({ status: 'complete', done: 6, total: 6, failures: 1, live: false })
    expect(Math.abs((summary?.lastWrite ?? 0) - Date.now())).toBeLessThan(10_000)
    expect(await inspectRun(store, 'run-1')).toMatchObject({
      ...{ ...summary, task: 'task.js#default', damaged: 0, conflicts: 0, holders: [] },
      sessions: [{ writer: session.writer, ended: 'closed' }],
      files: [{ size: expect.any(Number), torn: 0, covered: false }],
    })
  })
})

describe('verifyRun()', () => {
  test('finds a run whole that was killed and gone on with', async () => {
    const store = memoryStore()
    const first = await open(store)
    first.record(outcomes([0]))
    await first.flush()
    await abandon(store, first)
    expect(await verifyRun(store, 'run-1')).toEqual({ ok: true, damaged: [] })
    await (await open(store)).close()
    expect(await verifyRun(store, 'run-1')).toEqual({ ok: true, damaged: [] })
    expect(await store.list('run-1/lease/')).toEqual([])
  })

  test.each(FORMS)('tells when a segment was cut off: $format, $compress', async (form) => {
    const store = memoryStore()
    const session = await open(store, form)
    session.record(outcomes([0, 1]))
    await session.close()
    const [segment] = await store.list('run-1/seg/')
    const key = segment?.key as string
    const bytes = (await store.get(key)) as Uint8Array
    await store.put(key, bytes.subarray(0, bytes.length - 10), { replace: true })
    expect((await verifyRun(store, 'run-1')).damaged).toMatchObject([{ file: key.slice('run-1/'.length) }])
    const next = await open(store, form)
    expect(next.events).toMatchObject([{ event: 'warning', payload: { code: 'CHECKPOINT_DAMAGED' } }])
    await next.close()
  })
})

describe('deleteRun()', () => {
  test('deletes all of a run, but not one that is at work', async () => {
    const store = memoryStore()
    const session = await open(store)
    await expect(deleteRun(store, 'run-1')).rejects.toMatchObject({ code: 'ERR_PAWL_RUN_LOCKED', holder: { pid: process.pid } })
    await session.close()
    await deleteRun(store, 'run-1')
    expect(await store.list('')).toEqual([])
    await expect(deleteRun(store, 'run-1')).rejects.toMatchObject({ code: 'ERR_PAWL_RUN_NOT_FOUND' })
  })
})

test.each([inspectRun, verifyRun, readFailures, collect])('%o of an unknown run is told', async (read) => {
  await expect(read(memoryStore(), 'nothing')).rejects.toMatchObject({ code: 'ERR_PAWL_RUN_NOT_FOUND' })
})

test.each([listRuns, inspectRun, verifyRun, readFailures, collect, deleteRun])('%o of what is no store is told', async (read) => {
  for (const store of [5, undefined, '', {}]) {
    await expect(read(store as unknown as Store, 'run-1')).rejects.toMatchObject({
      code: 'ERR_PAWL_INVALID_OPTION',
      option: 'store',
    })
  }
})

describe('readResults() warns', () => {
  const identity = { ...IDENTITY, items: { kind: 'array' as const, count: 30 } }
  /** A run of two sessions, and the key of what the first one left. */
  const twoSessions = async () => {
    const store = memoryStore()
    for (const from of [0, 10]) {
      const session = await open(store, { identity })
      session.record(outcomes(Array.from({ length: 10 }, (_, at) => from + at)))
      await session.close()
    }
    const [first] = await store.list('run-1/seg/')
    return { store, key: first?.key as string, bytes: (await store.get(first?.key as string)) as Uint8Array }
  }
  const warningsOf = async (store: Store) => {
    const warnings: string[] = []
    for await (const _ of readResultBatches(store, 'run-1', (message) => warnings.push(message)));
    return warnings
  }

  test.each([
    ['cut', 'lack their end', (bytes: Uint8Array) => bytes.subarray(0, 40)],
    ['emptied', 'lack their end', () => new Uint8Array()],
    ['zeroed', 'lack their end', (bytes: Uint8Array) => new Uint8Array(bytes.length)],
    ['deleted', 'are gone', undefined],
  ])('of a file that is %s', async (_, what, spoil) => {
    const { store, key, bytes } = await twoSessions()
    if (spoil === undefined) await store.delete(key)
    else await store.put(key, spoil(bytes), { replace: true })
    const name = key.slice('run-1/'.length)
    expect(await warningsOf(store)).toEqual([
      `Files of run 'run-1' ${what}: ${name}. What only they held (10 items) runs again when the run is resumed; verifyRun names it`,
    ])
  })

  test('of nothing where all is whole, be it that a session was killed, or is at work', async () => {
    const { store } = await twoSessions()
    expect(await warningsOf(store)).toEqual([])
    const session = await open(store, { identity })
    session.record(outcomes([20]))
    await session.flush()
    expect(await warningsOf(store)).toEqual([])
    await abandon(store, session)
    expect(await warningsOf(store)).toEqual([])
  })
})
