import { describe, expect, test, vi } from 'vitest'
import { chooseSegments } from '../../src/checkpoint/snapshots/choose-segments.ts'
import { inspectRun, verifyRun } from '../../src/checkpoint/stored/runs.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import { abandon, FORMS, failing, IDENTITY, killedAt, open, outcomes, readAll, rejection, virtualClock } from './fixture.ts'

vi.mock('../../src/checkpoint/snapshots/choose-segments.ts', { spy: true })

/** Sessions one after the other, `count` of them, each of which records two items of its own and dies or ends. */
async function fill(store: Store, count: number, options: Parameters<typeof open>[1] = {}, isKilled = false): Promise<void> {
  for (let at = 0; at < count; at++) {
    const session = await open(store, { keep: 0, ...options })
    session.begin({ indices: Uint32Array.of(at * 2, at * 2 + 1) })
    session.record(outcomes([at * 2, at * 2 + 1]))
    await session.flush()
    if (isKilled) await abandon(store, session)
    else await session.close()
  }
}

const names = async (store: Store, folder: string) => (await store.list(`run-1/${folder}/`)).map(({ key }) => key)

async function expectItems(store: Store, count: number): Promise<void> {
  const session = await open(store, { keep: 0 })
  expect(session.restored).toMatchObject({ fulfilled: count, conflicts: 0, damaged: 0 })
  const { values } = await readAll(session.restored)
  expect(values.size).toBe(count)
  for (const [index, value] of values) expect(value).toEqual({ value: index })
  await session.close()
}

describe.each(FORMS)('compaction of $format, $compress', (form) => {
  test('merges small segments into a snapshot and deletes them', async () => {
    const store = memoryStore()
    await fill(store, 16, form)
    expect(await names(store, 'snap')).toHaveLength(1)
    expect(await names(store, 'seg')).toHaveLength(0)
    await expectItems(store, 32)
    expect(await verifyRun(store, 'run-1')).toEqual({ ok: true, damaged: [] })
  })

  test('makes a snapshot durable whatever the session asked for, and so does one that finds it: what it stands for was', async () => {
    const memory = memoryStore()
    const put: [string, boolean][] = []
    const synced: string[] = []
    const store: Store = {
      ...memory,
      put: async (key, bytes, options = {}) => {
        put.push([key, options.durable ?? true])
        await memory.put(key, bytes, options)
      },
      sync: async (key) => void synced.push(key),
    }
    await fill(store, 16, { ...form, durability: 'none' })
    const [snapshot] = await names(store, 'snap')
    expect(put.filter(([key]) => key.includes('/snap/'))).toEqual([[snapshot, true]])
    await (await open(store, form)).close()
    expect(synced).toContain(snapshot)
  })

  test('keeps what a snapshot stands for, and falls back on it when the snapshot is damaged', async () => {
    const store = memoryStore()
    await fill(store, 16, { ...form, keep: 2 })
    const [snapshot] = await names(store, 'snap')
    expect(await names(store, 'seg')).toHaveLength(16)
    const bytes = Buffer.from((await store.get(snapshot as string)) as Uint8Array)
    bytes.writeUInt8((bytes[bytes.length >>> 1] as number) ^ 1, bytes.length >>> 1)
    await store.put(snapshot as string, bytes, { replace: true })
    expect((await verifyRun(store, 'run-1')).ok).toBe(false)
    const session = await open(store, { ...form, keep: 2 })
    expect(session.restored).toMatchObject({ fulfilled: 32, damaged: 0 })
    expect((await readAll(session.restored)).values.size).toBe(32)
    await session.close()
    expect(await names(store, 'snap')).not.toContain(snapshot)
    expect(await verifyRun(store, 'run-1')).toEqual({ ok: true, damaged: [] })
  })

  test.each([0.5, 1])(
    'keeps a damaged snapshot that has more than what it stood for, which lost its end (to %d)',
    async (share) => {
      const store = memoryStore()
      await fill(store, 16, { ...form, keep: 2 })
      const [snapshot] = await names(store, 'snap')
      const bytes = Buffer.from((await store.get(snapshot as string)) as Uint8Array)
      await store.put(snapshot as string, bytes.subarray(0, -3), { replace: true })
      const [, , third] = await names(store, 'seg')
      const segment = Buffer.from((await store.get(third as string)) as Uint8Array)
      await store.put(third as string, Buffer.alloc(segment.length * share), { replace: true })
      for (let sessions = 0; sessions < 2; sessions++) {
        const session = await open(store, { ...form, keep: 2 })
        // Of a compressed one the damage takes the block, which is all there is.
        expect(session.restored.fulfilled).toBe(form.compress === 'gzip' ? 30 : 32)
        await session.close()
      }
    },
  )

  test.each([true, false])('keeps what proves how long a source is at least: an item that began (alone: %j)', async (alone) => {
    const store = memoryStore()
    const iterable = { ...form, identity: { ...IDENTITY, items: { kind: 'iterable' } as const } }
    const session = await open(store, iterable)
    await session.begin({ indices: alone ? Uint32Array.of(162) : Uint32Array.of(99, 162), alone })
    await session.close()
    await fill(store, 16, iterable)
    expect(await names(store, 'snap')).toHaveLength(1)
    expect((await names(store, 'seg')).filter((name) => name.includes(session.writer))).toEqual([])
    const next = await open(store, iterable)
    expect(next.restored).toMatchObject({ fulfilled: 32, atLeast: 163, lastSuspect: -1 })
    expect(() => next.checkEnd(40)).toThrow('since item 162 is on record, got 40. Give it the same source')
    await next.close()
  })

  test('keeps failures, and forgets none of the items that may have killed their process', async () => {
    const store = memoryStore()
    for (let at = 0; at < 16; at++) {
      const session = await open(store, { ...form, keep: 0 })
      const failure = rejection(3, new Error('three'))
      if (at === 3) session.record(failing({ ...failure, attempts: 9 }))
      // Of two failures the later one counts, and not the one with more attempts.
      else session.record(at === 4 ? failing({ ...failure, lastFailedAt: 3000 }) : outcomes([at]))
      if (at === 5) session.begin({ indices: Uint32Array.of(77, 78) })
      if (at === 7) session.begin({ indices: Uint32Array.of(77), alone: true })
      await session.flush()
      if (at === 5 || at === 7) await abandon(store, session)
      else await session.close()
    }
    expect(await names(store, 'seg')).toHaveLength(0)
    const session = await open(store, form)
    expect(session.restored).toMatchObject({ fulfilled: 14, rejected: 1 })
    expect(session.restored.isSuspect(77)).toBe(true)
    expect(session.restored.historyOf(77)).toMatchObject({ attempts: 2, crashes: 2 })
    expect(session.restored.isSuspect(78)).toBe(true)
    expect(session.restored.historyOf(78)).toBeUndefined()
    expect((await readAll(session.restored)).rejected).toMatchObject([
      { index: 3, item: 'item 3', attempts: 1, lastFailedAt: 3000 },
    ])
    await session.close()
  })
})

/** `store`, in which all but the first readings of `key` come upon it as `change` makes it. */
function changing(store: Store, key: string, change: (bytes: Uint8Array) => Uint8Array): Store {
  let readings = 0
  return {
    ...store,
    get: async (name, range) => {
      const bytes = await store.get(name, name === key ? undefined : range)
      if (name !== key || bytes === undefined) return bytes
      const { start, length } = range ?? { start: 0, length: bytes.length }
      if (start === 0) readings++
      return (readings > 1 ? change(bytes) : bytes).subarray(start, start + length)
    },
  }
}

test.each(FORMS)('what reads worse than as the run was opened is not merged, and stays: $format, $compress', async (form) => {
  for (let back = 2; back < 120; back += 29) {
    for (const kind of ['flipped', 'cut']) {
      const store = memoryStore()
      await fill(store, 15, form)
      const [object] = await store.list('run-1/seg/')
      const at = (object?.size ?? 0) - back
      const flip = (bytes: Uint8Array) => bytes.map((byte, place) => (place === at ? byte ^ 1 : byte))
      const cut = (bytes: Uint8Array) => bytes.subarray(0, at)
      const session = await open(changing(store, object?.key ?? '', kind === 'cut' ? cut : flip), { ...form, keep: 0 })
      session.record(outcomes([30, 31]))
      await session.close()
      expect((await names(store, 'snap')).length, `${kind} at ${at}`).toBe(1)
      expect(await names(store, 'seg'), `${kind} at ${at}`).toEqual([object?.key])
      expect(await verifyRun(store, 'run-1')).toEqual({ ok: true, damaged: [] })
      await expectItems(store, 32)
    }
  }
})

test('compaction asks a store again that fails now and then, as often as it asks for a few files', async () => {
  const { append: _, ...memory } = memoryStore()
  let calls = 0
  const busy = async <V>(call: () => Promise<V>): Promise<V> => {
    if (++calls % 10 === 0) throw new Error('reduce your request rate')
    return call()
  }
  const store: Store = {
    get: (...given) => busy(() => memory.get(...given)),
    put: (...given) => busy(() => memory.put(...given)),
    list: (...given) => busy(() => memory.list(...given)),
    delete: (...given) => busy(() => memory.delete(...given)),
  }
  const session = await open(store, { keep: 0, clock: virtualClock() })
  for (let at = 0; at < 200; at++) {
    session.record(outcomes([at]))
    await session.flush()
    await new Promise(setImmediate)
  }
  await session.close()
  expect((await names(memory, 'snap')).length).toBeGreaterThan(0)
  expect((await names(memory, 'seg')).length).toBeLessThan(50)
  await expectItems(memory, 200)
})

test('what waits is not looked at with each file that comes, where it costs too much to be merged', async () => {
  const { append: _, ...store } = memoryStore()
  const session = await open(store, { format: 'json' })
  // As large as they are, only the first few may be copied: values of one digit are worth nothing against their frames.
  const chosen = vi.mocked(chooseSegments).mockClear()
  const files = 3000
  for (let at = 0; at < files; at++) {
    for (let item = 0; item < 40; item++) session.begin({ indices: Uint32Array.of(40 * at + item) })
    session.record(outcomes([40 * at], () => 1))
    await session.flush()
    await new Promise(setImmediate)
  }
  await session.close()
  expect((await names(store, 'seg')).length).toBeGreaterThan(files / 2)
  const looks = chosen.mock.calls.reduce((sum, [, { waiting }]) => sum + waiting.length, 0)
  expect(looks).toBeLessThan(400 * files)
})

test('compaction merges a segment with more frames than a call takes arguments', async () => {
  const store = memoryStore()
  await fill(store, 12)
  let isDead = false
  const put: Store['put'] = (...args) => (isDead ? new Promise(() => {}) : store.put(...args)) // The dead renew no claim.
  const session = await open({ ...store, put })
  session.record(outcomes([900]))
  for (let at = 0; at < 150_000; at++) session.begin({ indices: Uint32Array.of(1000 + at) })
  await session.flush()
  isDead = true
  await abandon(store, session)
  await fill(store, 3)
  expect(await names(store, 'snap')).toHaveLength(1)
  expect(await names(store, 'seg')).toEqual([])
  const next = await open(store)
  expect(next.restored).toMatchObject({ fulfilled: 25, lastSuspect: 150_999 })
  await next.close()
})

test('compaction leaves alone the segments of a session that is at work', async () => {
  const store = memoryStore()
  const live = await open(store, { shard: '1/2' })
  live.record(outcomes([900]))
  await live.flush()
  await fill(store, 16, { shard: '2/2' })
  expect(await names(store, 'seg')).toHaveLength(1)
  live.record(outcomes([901]))
  await live.close()
  const session = await open(store)
  expect(session.restored.fulfilled).toBe(34)
  await session.close()
})

test('compaction leaves alone the segments of a session of which nothing is known: it may be at work, its claim deleted', async () => {
  const store = memoryStore()
  const live = await open(store, { shard: '1/2' })
  live.record(outcomes([900]))
  await live.flush()
  const [segment] = await names(store, 'seg')
  for (const { key } of await store.list('run-1/lease/')) await store.delete(key)
  await fill(store, 16, { shard: '2/2' })
  expect(await names(store, 'snap')).toHaveLength(1)
  expect(await names(store, 'seg')).toEqual([segment])
  live.record(outcomes([901]))
  await live.close()
  const session = await open(store)
  expect(session.restored.fulfilled).toBe(34)
  await session.close()
})

test('a store whose objects cannot grow ends with few files, and to merge them writes little more than twice what was flushed', async () => {
  const { append: _, ...store } = memoryStore()
  const session = await open(store, { every: 1, keep: 0 })
  for (let at = 0; at < 600; at++) {
    session.record(outcomes([at]))
    await session.flush()
  }
  const flushed = session.events
    .filter(({ event }) => event === 'afterCheckpoint')
    .map(({ payload }) => payload as { bytes: number })
  const bytes = flushed.reduce((sum, checkpoint) => sum + checkpoint.bytes, 0)
  await session.close()
  expect((await store.list('run-1/')).length).toBeLessThan(80)
  expect(session.stats.bytesWritten - bytes).toBeLessThan(bytes * 2.5)
  await expectItems(store, 600)
})

test('a snapshot stands for nothing that was written after it', async () => {
  const store = memoryStore()
  await fill(store, 16, { keep: 2 })
  const grown = (await names(store, 'seg'))[0] as string
  const bytes = (await store.get(grown)) as Uint8Array
  await store.put(grown, Buffer.concat([bytes, bytes.subarray(28)]), { replace: true })
  const details = await inspectRun(store, 'run-1')
  expect(details.files.filter((file) => !file.covered).map(({ name }) => `run-1/${name}`)).toContain(grown)
})

test.each(FORMS)('a crash at any call of a compaction loses nothing: $format, $compress', async (form) => {
  const whole = memoryStore()
  await fill(whole, 16, { ...form, keep: 1000 })
  for (const key of await names(whole, 'snap')) await whole.delete(key)
  for (let k = 0; k < 30; k++) {
    const store = memoryStore()
    for (const { key } of await whole.list('')) await store.put(key, (await whole.get(key)) as Uint8Array)
    const process = killedAt(store, k)
    const session = await open(process.store, { ...form, keep: 0 })
    await Promise.race([session.close(), process.killed])
    await abandon(store, session).catch(() => {}) // It may have got as far as to delete its claim.
    await expectItems(store, 32)
  }
})
