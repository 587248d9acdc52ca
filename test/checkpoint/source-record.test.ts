import { describe, expect, test } from 'vitest'
import type { RunIdentity } from '../../src/checkpoint/identity/fingerprint.ts'
import { createSourceRecord } from '../../src/checkpoint/record/source-record.ts'
import { listRuns } from '../../src/checkpoint/stored/runs.ts'
import { selectItems } from '../../src/run/select.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { digestOf } from '../../src/values/digest.ts'
import { abandon, failing, IDENTITY, type Opened, open, outcomes, rejection } from './fixture.ts'

const ITERABLE: RunIdentity = { ...IDENTITY, items: { kind: 'iterable' } }

const SIGNS: [string, (session: Opened) => unknown][] = [
  ['settled', (session) => session.record(outcomes([3, 162]))],
  ['failed', (session) => session.record(failing(rejection(162, new Error('bad'))))],
  ['was running', (session) => session.begin({ indices: Uint32Array.of(161, 162) })],
  ['was running alone', (session) => session.begin({ indices: Uint32Array.of(162), alone: true })],
  ['was seen', (session) => session.recordSource(0, 163, 'a')],
]

describe('a source that ends before an item that', () => {
  test.each(SIGNS)('%s, is refused, and records no end', async (_, begin) => {
    const store = memoryStore()
    const first = await open(store, { identity: ITERABLE })
    await begin(first)
    await first.flush()
    await abandon(store, first)
    const second = await open(store, { identity: ITERABLE })
    expect(second.restored).toMatchObject({ total: undefined, atLeast: 163 })
    for (const count of [0, 20, 162]) {
      for (const tell of [
        () => second.recordSource(0, count, 'b'),
        () => second.checkEnd(count),
        () => second.recordEnd(count),
      ]) {
        expect(tell).toThrow(`at least, since item 162 is on record, got ${count}. Give it the same source`)
      }
    }
    await second.close()
    expect(await listRuns(store)).toMatchObject([{ status: 'partial', total: undefined }])
    const third = await open(store, { identity: ITERABLE })
    third.recordSource(0, 163, 'a')
    third.recordEnd(163)
    await third.close()
    expect((await open(store, { identity: ITERABLE })).restored.total).toBe(163)
  })
})

test('an end on record before an item on record is not believed, and the run goes on without it', async () => {
  const store = memoryStore()
  const settled = await open(store, { identity: ITERABLE })
  const short = await open(store, { identity: ITERABLE, isLeaseIgnored: true }) // Knows nothing of what the other will record.
  settled.record(outcomes([0, 1, 162]))
  short.record(failing(rejection(2, new Error('bad'))))
  short.recordSource(0, 3, 'short')
  short.recordEnd(3)
  await settled.close()
  await short.close()
  expect(await listRuns(store)).toMatchObject([{ status: 'partial', done: 4, total: undefined }])
  const next = await open(store, { identity: ITERABLE })
  expect([next.restored.total, next.restored.sourceDigest(0)]).toEqual([undefined, undefined])
  next.recordSource(0, 1000, 'whole')
  next.recordEnd(1000)
  await next.close()
  const last = await open(store, { identity: ITERABLE })
  expect([last.restored.total, last.restored.sourceDigest(0)]).toEqual([1000, 'whole'])
  await last.close()
})

describe('the items of an iterable', () => {
  const OPTIONS = { retryFailed: true, maxCrashes: 2, key: undefined, collect: true } as const

  function createSource(session: Opened, items: Iterable<unknown>) {
    const iterable = { [Symbol.iterator]: () => items[Symbol.iterator]() } // What is an array has no blocks.
    return selectItems(iterable, undefined, session, undefined, OPTIONS).source
  }

  async function pullAll(session: Opened, items: readonly unknown[], size: number): Promise<unknown[]> {
    const source = createSource(session, items)
    const given: unknown[] = []
    for (let chunk = await source.next(size); chunk; chunk = await source.next(size)) given.push(...Array.from(chunk.items))
    return given
  }

  test('are recorded as the digests of their blocks, by which they are known again', async () => {
    const items = Array.from({ length: 2500 }, (_, n) => [n, n / 3, `é${n}`, { n, at: [n] }, new Uint8Array(n % 50), null][n % 6])
    const store = memoryStore()
    const first = await open(store, { identity: ITERABLE })
    expect(await pullAll(first, items, 300)).toEqual(items)
    await first.close()
    const second = await open(store, { identity: ITERABLE })
    const blocks = [items.slice(0, 1000), items.slice(1000, 2000), items.slice(2000)]
    expect(blocks.map((_, block) => second.restored.sourceDigest(block))).toEqual(blocks.map(digestOf))
    expect(await pullAll(second, items, 7)).toEqual(items)
    await expect(pullAll(second, items.with(1700, 'other'), 7)).rejects.toThrow('items 1000 to 1999 as before')
    await second.close()
  })

  test.each(['new', 'known'])('are looked at in slices between which the event loop turns: %s', async (kind) => {
    const items = Array.from({ length: 60 }, () => Buffer.alloc(2 ** 20))
    const store = memoryStore()
    if (kind === 'known') {
      const first = await open(store, { identity: ITERABLE })
      await pullAll(first, items, 60)
      await first.close()
    }
    const session = await open(store, { identity: ITERABLE })
    const source = createSource(session, items)
    let turns = 0
    const count = () => {
      turns++
      counting = setImmediate(count)
    }
    let counting = setImmediate(count)
    expect((await source.next(60))?.items).toHaveLength(60)
    clearImmediate(counting)
    expect(turns).toBeGreaterThan(2)
    await session.close()
  })

  test('that were let go in the middle of a block are not compared', async () => {
    const items = Array.from({ length: 60 }, () => Buffer.alloc(2 ** 20))
    const store = memoryStore()
    const first = await open(store, { identity: ITERABLE })
    await pullAll(first, items, 60)
    await first.close()
    const second = await open(store, { identity: ITERABLE })
    const iterator = items.values()
    const source = createSource(second, iterator)
    const asked = source.next(60)
    await source.close()
    expect(await asked).toBeUndefined()
    expect([...iterator].length).toBeGreaterThan(0)
    await second.close()
  })
})

describe('createSourceRecord()', () => {
  const block = (count: number, digest: string) => ({ kind: 'source', block: 0, count, digest }) as const
  const end = (count: number) => ({ kind: 'total', count }) as const

  test('believes the last end of those that are not before an item, in any order of the frames', () => {
    const frames: ((record: ReturnType<typeof createSourceRecord>) => void)[] = [
      (it) => it.addEnd(end(20), 'd'),
      (it) => it.addEnd(end(40), 'b'),
      (it) => it.addEnd(end(50), 'c'),
      (it) => it.addBlock(block(20, 'short')),
      (it) => it.addBlock(block(40, 'whole')),
      (it) => it.reachRuns([0, 3, 7, 30]),
    ]
    for (const order of [frames, frames.toReversed(), [...frames.slice(3), ...frames.slice(0, 3)]]) {
      const record = createSourceRecord(false)
      for (const add of order) add(record)
      const { sources, ...rest } = record.finish()
      expect(rest).toEqual({ total: 50, atLeast: 40 })
      expect([...sources.values()]).toEqual([{ count: 40, digest: 'whole' }])
    }
  })

  test('of keyed items gives the largest number, whatever is on record', () => {
    const record = createSourceRecord(true)
    for (const [count, stem] of [
      [9, 'a'],
      [20, 'b'],
      [3, 'c'],
    ] as const)
      record.addEnd(end(count), stem)
    record.reach(100)
    expect(record.finish()).toEqual({ sources: new Map(), total: 20, atLeast: 0 })
    expect(createSourceRecord(true).finish().total).toBeUndefined()
  })
})
