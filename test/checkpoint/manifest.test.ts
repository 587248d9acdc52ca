import { describe, expect, test } from 'vitest'
import { digestItems } from '../../src/checkpoint/identity/digest-items.ts'
import { deriveRunId, fingerprintOf, type RunIdentity } from '../../src/checkpoint/identity/fingerprint.ts'
import { inspectRun, verifyRun } from '../../src/checkpoint/stored/runs.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import { readResults } from '../../src/stored-runs.ts'
import { IDENTITY, open, outcomes, rejection } from './fixture.ts'

const key = `run-1/run/${fingerprintOf(IDENTITY)}.json`

async function begun(): Promise<Store> {
  const store = memoryStore()
  const session = await open(store, { command: { task: 't.js' } })
  session.record(outcomes([0]))
  await session.close()
  return store
}

const warnings = ({ events }: { events: { event: string; payload: unknown }[] }) =>
  events.filter(({ event }) => event === 'warning').map(({ payload }) => (payload as { code: string }).code)

describe('openSession() with another identity than recorded', () => {
  const others: [string, string, RunIdentity, RegExp][] = [
    [
      'task',
      'task',
      { ...IDENTITY, task: { module: 'other.js', export: 'default' } },
      /'task\.js#default', got 'other\.js#default'/,
    ],
    ['count', 'items', { ...IDENTITY, items: { ...IDENTITY.items, count: 7 } }, /number of items as recorded, 1000000, got 7/],
    ['items', 'items', { ...IDENTITY, items: { ...IDENTITY.items, digest: 'e' } }, /contents of the items/],
    ['config', 'config', { ...IDENTITY, config: { a: 1 } }, /'config' as recorded, none, got \{ a: 1 \}/],
    ['key', 'key', { ...IDENTITY, key: 'function' }, /'key'/],
    ['seed', 'seed', { ...IDENTITY, seed: 5 }, /'seed' as recorded, 0, got 5/],
    ['shared', 'shared', { ...IDENTITY, shared: 's' }, /'shared'/],
  ]
  test.each(others)('refuses another %s, and says what differs and what to do', async (_, part, identity, message) => {
    const store = await begun()
    const before = await store.list('')
    await expect(open(store, { identity })).rejects.toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_MISMATCH', part, message })
    await expect(open(store, { identity })).rejects.toThrow(/'runId' \(--run-id\).*resume: 'fresh' \(--overwrite\)/)
    expect(await store.list('')).toEqual(before)
  })

  test('goes on when members of config come in another order', async () => {
    const store = memoryStore()
    await (await open(store, { identity: { ...IDENTITY, config: { a: 1, b: { c: 2, d: 3 } } } })).close()
    await (await open(store, { identity: { ...IDENTITY, config: { b: { d: 3, c: 2 }, a: 1 } } })).close()
  })

  test("discards what is recorded with resume: 'fresh'", async () => {
    const store = await begun()
    const session = await open(store, { identity: { ...IDENTITY, seed: 5 }, resume: 'fresh' })
    expect(session.restored.fulfilled).toBe(0)
    await session.close()
    expect((await store.list('run-1/run/')).map((object) => object.key)).not.toContain(key)
  })
})

test('openSession() knows a taken key by its code, whatever class the error of the store is of', async () => {
  const store = memoryStore()
  // Another shard begins at the same moment, and its manifest is there first.
  const put: Store['put'] = async (name, bytes, how) => {
    await store.put(name, bytes, name === key ? { replace: true } : how)
    if (name === key) throw Object.assign(new Error('taken'), { code: 'ERR_PAWL_STORE_CONFLICT' })
  }
  const session = await open({ ...store, put })
  session.record(outcomes([0]))
  await session.close()
  expect((await verifyRun(store, 'run-1')).ok).toBe(true)
})

describe('close() of a session that could run nothing', () => {
  test('deletes the run while it still holds its lease', async () => {
    const store = memoryStore()
    const seen: string[][] = []
    const watched: Store = {
      ...store,
      delete: async (key) => {
        await store.delete(key)
        seen.push((await store.list('')).map((object) => object.key))
      },
    }
    const session = await open(watched)
    await session.close(false, true)
    const lease = `run-1/lease/${session.writer}`
    expect(seen).toEqual([[lease], []])
  })

  test('deletes nothing where there is a file that pawl did not make', async () => {
    const store = memoryStore()
    await store.put('run-1/run/notes.json', Buffer.from('{}'))
    const session = await open(store)
    await session.close(false, true)
    expect((await store.list('')).map((object) => object.key)).toEqual([key, 'run-1/run/notes.json'])
  })

  test('touches nothing of a session that began meanwhile', async () => {
    const store = memoryStore()
    let isClosing = false
    let isBegun = false
    const raced: Store = {
      ...store,
      list: async (prefix) => {
        const found = await store.list(prefix)
        if (prefix !== 'run-1/' || !isClosing || isBegun) return found
        isBegun = true
        await store.put('run-1/lease/other', Uint8Array.of(1))
        await store.put('run-1/seg/other-0.msgpack', Uint8Array.of(1))
        return found
      },
    }
    const session = await open(raced)
    isClosing = true
    await session.close(false, true)
    expect(isBegun).toBe(true)
    expect((await store.list('')).map((object) => object.key)).toEqual(['run-1/lease/other', 'run-1/seg/other-0.msgpack'])
  })

  test("leaves it with resume: 'require', and when something is recorded", async () => {
    const store = memoryStore()
    await (await open(store)).close()
    await (await open(store, { resume: 'require' })).close(false, true)
    expect(await store.list('')).toMatchObject([{ key }])
    const session = await open(store)
    session.record(outcomes([0]))
    await session.close()
    await (await open(store)).close(false, true)
    expect((await open(store)).restored.fulfilled).toBe(1)
  })
})

test("resume: 'require' fails when there is nothing to resume, and leaves nothing behind", async () => {
  const store = memoryStore()
  await expect(open(store, { resume: 'require' })).rejects.toMatchObject({ code: 'ERR_PAWL_RUN_NOT_FOUND' })
  expect(await store.list('')).toEqual([])
  await (await open(await begun(), { resume: 'require' })).close()
})

test('a changed task file is told, and the run goes on', async () => {
  const store = memoryStore()
  await (await open(store, { taskDigest: 'a' })).close()
  const session = await open(store, { taskDigest: 'b' })
  expect(warnings(session)).toEqual(['TASK_CHANGED'])
  await session.close()
})

test('an unfinished run of the same task under another derived id is told, with what differs', async () => {
  const store = await begun()
  const session = await open(store, { runId: 'run-2', isDerived: true, identity: { ...IDENTITY, seed: 3 } })
  expect(session.events).toMatchObject([{ payload: { code: 'SIMILAR_RUN', message: expect.stringMatching(/'run-1'.*'seed'/) } }])
  await session.close()
  const given = await open(store, { runId: 'run-3', identity: { ...IDENTITY, seed: 4 } })
  expect(warnings(given)).toEqual([])
  await given.close()
})

describe('a damaged manifest', () => {
  test.each(['', '{', 'null', '{"crc":"00000000"}'])('%j is made again when the files are of the same run', async (text) => {
    const store = await begun()
    await store.put(key, Buffer.from(text), { replace: true })
    const session = await open(store)
    expect(warnings(session)).toEqual(['CHECKPOINT_DAMAGED'])
    expect(session.restored.fulfilled).toBe(1)
    await session.close()
    const next = await open(store)
    expect(warnings(next)).toEqual([])
    await next.close()
  })

  test('is made again where somebody deleted it, and what is recorded counts', async () => {
    const store = await begun()
    await store.delete(key)
    const session = await open(store)
    expect(warnings(session)).toEqual(['CHECKPOINT_DAMAGED'])
    expect(session.restored.fulfilled).toBe(1)
    await session.close()
  })

  test.each(['deleted', 'damaged'])('of keyed items keeps nobody from finding each at its index when it is %s', async (how) => {
    const store = memoryStore()
    const identity: RunIdentity = { ...IDENTITY, key: 'function', items: { kind: 'keyed' } }
    const record = async (keys: string[], fresh: number[], failed: number[]) => {
      const session = await open(store, { identity })
      session.recordItems(keys)
      session.record({
        fulfilled: [
          { indices: Uint32Array.from(fresh), keys: fresh.map((at) => keys[at] ?? ''), values: fresh.map((at) => keys[at]) },
        ],
        rejected: failed.map((at) => ({ ...rejection(at, new Error('no')), key: keys[at] ?? '' })),
      })
      await session.close()
    }
    await record(['a', 'b', 'c'], [0, 1, 2], [])
    await record(['b', 'x', 'c', 'd'], [3], [1])
    const read = async () => {
      const { done, failures, total } = await inspectRun(store, 'run-1')
      const found: unknown[] = [done, failures, total]
      for await (const { index, key, status } of readResults(store, 'run-1')) found.push(`${index} ${key} ${status}`)
      return found
    }
    const found = await read()
    expect(found).toEqual([4, 1, 4, '0 b fulfilled', '1 x rejected', '2 c fulfilled', '3 d fulfilled'])
    const [manifest] = await store.list('run-1/run/')
    if (how === 'deleted') await store.delete(manifest?.key ?? '')
    else await store.put(manifest?.key ?? '', Buffer.from('{'), { replace: true })
    expect(await read()).toEqual(found)
  })

  test('is a CheckpointCorruptError when the files are of another run', async () => {
    const store = await begun()
    await store.put(key, Buffer.from('{'), { replace: true })
    await expect(open(store, { identity: { ...IDENTITY, seed: 9 } })).rejects.toMatchObject({
      code: 'ERR_PAWL_CHECKPOINT_CORRUPT',
    })
  })

  test('whose every byte is damaged in turn never raises anything but errors of ours', async () => {
    const store = await begun()
    const bytes = (await store.get(key)) as Uint8Array
    for (let at = 0; at < bytes.length; at++) {
      const damaged = Buffer.from(bytes)
      damaged.writeUInt8((damaged[at] as number) ^ 2, at)
      await store.put(key, damaged, { replace: true })
      const session = await open(store).catch((error) => {
        expect(error.code).toMatch(/^ERR_PAWL_/)
      })
      if (session) expect(session.restored.fulfilled).toBe(1)
      await session?.close()
    }
  })
})

describe('a newer version', () => {
  test('of the manifest is refused, untouched', async () => {
    const store = await begun()
    const text = Buffer.from((await store.get(key)) as Uint8Array)
      .toString()
      .replace('"version": 1', '"version": 2')
    await store.put(key, Buffer.from(text), { replace: true })
    const before = await store.list('')
    await expect(open(store)).rejects.toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_VERSION' })
    expect(await store.list('')).toEqual(before)
  })
})

test.each(['{"version":7}', '{"version":1}', '[]'])('what has not the name of a manifest is none, be it %s', async (text) => {
  const store = await begun()
  await store.put('run-1/run/notes.json', Buffer.from(text))
  expect(await verifyRun(store, 'run-1')).toEqual({ ok: true, damaged: [], ignored: ['run/notes.json'] })
  const session = await open(store, { resume: 'require' })
  expect([session.restored.fulfilled, warnings(session)]).toEqual([1, []])
  await session.close()
})

describe('the source of an iterable', () => {
  const identity: RunIdentity = { ...IDENTITY, items: { kind: 'iterable' } }

  test('is checked block by block as it is pulled again', async () => {
    const store = memoryStore()
    const first = await open(store, { identity })
    first.recordSource(0, 1000, 'a')
    first.recordSource(1, 10, 'b')
    first.recordEnd(1010)
    await first.close()
    const second = await open(store, { identity })
    expect([second.restored.sourceDigest(0), second.restored.sourceDigest(2), second.restored.total]).toEqual([
      'a',
      undefined,
      1010,
    ])
    second.recordSource(0, 1000, 'a')
    expect(() => second.recordSource(1, 10, 'other')).toThrow(
      /items 1000 to 1009 as before \(digest [^)]+\), got others \(other\)/,
    )
    expect(() => second.recordEnd(1011)).toThrow(/end after 1010 items/)
    await second.close()
  })
})

describe('deriveRunId()', () => {
  test('is the same for the same task and items, and of keyed items for the same task', () => {
    expect(deriveRunId(IDENTITY)).toMatch(/^task-[0-9a-f]{12}$/)
    expect(deriveRunId({ ...IDENTITY, seed: 5 })).toBe(deriveRunId(IDENTITY))
    expect(deriveRunId({ ...IDENTITY, items: { kind: 'array', count: 3, digest: 'x' } })).not.toBe(deriveRunId(IDENTITY))
    const keyed = (count: number) => deriveRunId({ ...IDENTITY, items: { kind: 'keyed', count } })
    expect(keyed(1)).toBe(keyed(2))
    expect(deriveRunId(IDENTITY, false)).toMatch(/^task-[0-9a-f]{12}$/)
    expect(deriveRunId(IDENTITY, false)).toBe(deriveRunId({ ...IDENTITY, seed: 5 }, false))
    expect(deriveRunId({ ...IDENTITY, items: { kind: 'array', count: 3 } }, false)).not.toBe(deriveRunId(IDENTITY, false))
  })

  test('is a name a run may have, whatever the module is called', () => {
    for (const module of ['../ä/…/.x', '.hidden.js', '', 'inline', 'a/b c.mjs', `${'x'.repeat(300)}.js`]) {
      expect(deriveRunId({ ...IDENTITY, task: { module, export: 'default' } })).toMatch(/^[\w-][\w.-]{0,127}$/)
    }
  })
})

describe('digestItems()', () => {
  test('covers every item of a short array', async () => {
    const items = Array.from({ length: 1000 }, (_, at) => at)
    const { digest, sampled } = await digestItems(items)
    expect(sampled).toBeUndefined()
    for (const at of [0, 1, 500, 999]) expect((await digestItems(items.with(at, -1))).digest).not.toBe(digest)
  })

  test('covers an even sample of a long one, the same every time', async () => {
    const items = Array.from({ length: 400_000 }, (_, at) => at)
    const { digest, sampled } = await digestItems(items)
    expect(sampled).toBe(131_072)
    expect((await digestItems([...items])).digest).toBe(digest)
    expect((await digestItems(items.with(399_999, 0))).digest).not.toBe(digest)
    expect((await digestItems(items.slice(0, -1))).digest).not.toBe(digest)
  })

  test('covers fewer items when they are large', async () => {
    const { sampled } = await digestItems(Array.from({ length: 300 }, () => Buffer.alloc(2 ** 20)))
    expect(sampled).toBeLessThan(70)
  })

  test('lets the event loop turn while it is at it', async () => {
    let turns = 0
    const count = () => {
      turns++
      counting = setImmediate(count)
    }
    let counting = setImmediate(count)
    await digestItems(Array.from({ length: 60 }, () => Buffer.alloc(2 ** 20)))
    clearImmediate(counting)
    expect(turns).toBeGreaterThan(0)
  })
})
