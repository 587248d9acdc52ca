import { expect, test, vi } from 'vitest'
import { createEncoder, encodeEntries, joinBytes } from '../../src/checkpoint/format/entries.ts'
import { MAX_KEY_CHARACTERS } from '../../src/checkpoint/format/frame.ts'
import { createOutcomeEntries } from '../../src/checkpoint/session/outcome-entries.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Log, Store } from '../../src/store/store.ts'
import type { Codec } from '../../src/values/contract.ts'
import { jsonCodec } from '../../src/values/json.ts'
import { msgpackCodec } from '../../src/values/msgpack.ts'
import { gate } from '../execute/calls.ts'
import { IDENTITY, open, readAll, virtualClock } from './fixture.ts'

/** What is too much for one frame, or one object, of what a run may give. */

const MIB = 2 ** 20

test('a value that no frame has room for is refused, and costs its neighbours nothing', () => {
  const large = new Uint8Array(512 * MIB)
  const { bytes, refused } = msgpackCodec.encode([1, large, () => {}, 'two'], (at) => `item ${at + 7}`)
  expect(msgpackCodec.decode(bytes)).toEqual([1, 'two'])
  expect(refused.map(({ at }) => at)).toEqual([1, 2])
  expect(refused[0]?.error.message).toMatch(/^Cannot record the result of item 8: .*got one that takes more than 512 MiB/)
  expect(refused[1]?.error.message).toMatch(/^Cannot record the result of item 9: .*got a function/)
})

test('a value that no buffer can hold is refused likewise', () => {
  const { allocUnsafeSlow } = Buffer
  const allocate = vi.spyOn(Buffer, 'allocUnsafeSlow').mockImplementation((size) => {
    if (size > MIB) throw new RangeError('no room')
    return allocUnsafeSlow(size)
  })
  const value = ['text', new Uint8Array(MIB)]
  try {
    const { bytes, refused } = msgpackCodec.encode([value], () => 'item 8')
    expect(msgpackCodec.decode(bytes)).toEqual([])
    expect(refused[0]?.error.message).toMatch(/^Cannot record the result of item 8: .*got one that takes more than 512 MiB/)
    expect(() => msgpackCodec.encode([value, 1])).toThrow('no room')
  } finally {
    allocate.mockRestore()
  }
})

test('values that only together have no room in a frame are not refused', () => {
  const half = new Uint8Array(256 * MIB)
  const { bytes, refused } = msgpackCodec.encode([half, half])
  expect(refused).toEqual([])
  expect(bytes.byteLength).toBeGreaterThan(512 * MIB)
})

test('values that only together are too large for JSON are recorded in parts', () => {
  const half = 'x'.repeat(270 * MIB)
  expect(() => jsonCodec.encode([half, half])).toThrow(RangeError)
  const codec: Codec = {
    ...jsonCodec,
    encode: (values, describe) => {
      if (values.length > 2) throw new RangeError('too much')
      return jsonCodec.encode(values, describe)
    },
  }
  const told: string[] = []
  const entries = createOutcomeEntries({
    ...{ isKeyed: false, codec, hasFailures: false },
    statusOf: () => undefined,
    onUnheld: (message) => told.push(message),
  })
  const parts = entries.ofFulfilled({ indices: Uint32Array.of(3, 4, 5, 6, 7), values: ['a', 'b', () => {}, 'd', 'e'] })
  expect(parts.map(({ body }) => Buffer.from(body[0] as Uint8Array).toString())).toEqual(['["a","b"]', '["d","e"]'])
  expect(parts.map(({ head }) => 'runs' in head && head.runs)).toEqual([
    [3, 2],
    [6, 2],
  ])
  expect(told).toEqual([expect.stringContaining('the result of item 5')])
})

test('of an error with more than one part that cannot be recorded the others are told', () => {
  const told = (fields: object) => {
    const messages: string[] = []
    const entries = createOutcomeEntries({
      ...{ isKeyed: false, codec: jsonCodec, hasFailures: false },
      statusOf: () => undefined,
      onUnheld: (message) => messages.push(message),
    })
    const times = { firstFailedAt: 1, lastFailedAt: 1 }
    const reason = Object.assign(new Error('no'), fields)
    for (const index of [3, 4])
      entries.ofRejected({ index, item: 1, reason, kind: 'error', attempts: 1, crashes: 0, ...times } as never)
    return messages
  }
  expect(told({ a: 1 })).toEqual([])
  expect(told({ a: 1n, b: 2 })).toEqual([expect.stringContaining(`got 1n. The rest of the error is recorded. Throw`)])
  expect(told({ a: 1n, b: { c: 2n, d: 1 } })).toEqual([
    expect.stringMatching(
      /^Cannot record 'a' of .* got 1n\. Other parts of the error are not recorded either, the rest is recorded\. Throw/,
    ),
  ])
  const many = Object.fromEntries(Array.from({ length: 1500 }, (_, at) => [`k${at}`, new Set()]))
  expect(told({ many, after: { n: 1, no: 1n } })[0]).toContain('Other parts of the error are not recorded either')
})

test('keys that no frame has room for together go to several', async () => {
  const store = memoryStore()
  const identity = { ...IDENTITY, items: { kind: 'keyed' as const }, key: 'function' }
  const length = Math.floor(MAX_KEY_CHARACTERS / 3)
  const keys = ['a', 'b', 'c', 'd'].map((letter) => letter.padEnd(length, '-'))
  const entries = createOutcomeEntries({
    ...{ isKeyed: true, codec: msgpackCodec, hasFailures: false },
    statusOf: () => undefined,
    onUnheld: () => {},
  })
  const batch = { indices: Uint32Array.of(0, 1, 2, 3), keys, values: [0, 1, 2, 3] }
  const parts = entries.ofFulfilled({ ...batch, record: msgpackCodec.encode(batch.values).bytes })
  expect(parts.map(({ items }) => items)).toEqual([2, 2])

  const session = await open(store, { identity })
  session.record({ fulfilled: [batch], rejected: [] })
  for (const at of keys.keys()) {
    const one = { indices: Uint32Array.of(at + 4), keys: [`${keys[at]}!`], values: [at] }
    session.record({ fulfilled: [one], rejected: [] })
  }
  await session.close()
  const next = await open(store, { identity })
  expect(next.restored).toMatchObject({ fulfilled: 8, damaged: 0 })
  await next.close()
})

test('large keys are in frames of their own', async () => {
  const encoder = createEncoder('json', 'none', '0'.repeat(16), () => 0)
  const toEntry = (index: number, key: string) => {
    const head = { kind: 'outcomes' as const, runs: [index, 1], columns: [1, 3], keys: [key] }
    return { head, body: [Buffer.from('[0]')], items: 1, fresh: 1, bytes: 3 }
  }
  const entries = [toEntry(0, 'a'), toEntry(1, 'b'), toEntry(2, 'c'.repeat(2 ** 17)), toEntry(3, 'd'), toEntry(4, 'e')]
  const text = joinBytes([await encodeEntries(encoder, 'stem-0', entries, true, true)]).toString()
  const lines = text.trimEnd().split('\n')
  expect(lines.slice(1).map((line) => JSON.parse(line).keys.map((key: string) => key[0]))).toEqual([
    ['a', 'b'],
    ['c'],
    ['d', 'e'],
  ])
})

test('what waits for a flush is written bit by bit where it is more than fits into an object, and all of it', async () => {
  const memory = memoryStore()
  const writes: number[] = []
  const { passed: held, open: release } = gate()
  const append = async (key: string): Promise<Log> => {
    const log = (await memory.append?.(key)) as Log
    const write = async (bytes: Uint8Array) => {
      writes.push(bytes.byteLength)
      await log.write(bytes)
    }
    const sync = async () => {
      await held
      await log.sync()
    }
    return { ...log, write, sync }
  }
  const store: Store = { ...memory, append }
  const session = await open(store, { every: 1 })
  const record = msgpackCodec.encode([new Uint8Array(48 * MIB)]).bytes
  const add = (index: number) => session.record({ fulfilled: [{ indices: Uint32Array.of(index), record }], rejected: [] })
  for (let index = 0; index < 7; index++) add(index)
  session.record({ fulfilled: [{ indices: Uint32Array.of(7), values: ['last'] }], rejected: [] })
  const saved = session.flush()
  release()
  await saved
  const large = writes.filter((bytes) => bytes > MIB)
  expect(Math.max(...large)).toBeLessThan(128 * MIB)
  expect(large).toHaveLength(4)
  await session.close()
  const next = await open(store)
  expect(next.restored).toMatchObject({ fulfilled: 8, damaged: 0 })
  await next.close()
})

test('the rest of what was too much at once is saved without another reason', async () => {
  const memory = memoryStore()
  const session = await open(memory, { every: 1_000_000 })
  const record = msgpackCodec.encode([new Uint8Array(127 * MIB)]).bytes
  const small = msgpackCodec.encode([new Uint8Array(2 * MIB)]).bytes
  session.record({
    fulfilled: [record, small].map((bytes, index) => ({ indices: Uint32Array.of(index), record: bytes })),
    rejected: [],
  })
  await expect.poll(() => session.stats.checkpoints, { timeout: 30_000 }).toBe(2)
  await session.close()
})

test('a store that takes long over each call, one after the other, and holds objects whole, is no reason to give up', async () => {
  const clock = virtualClock()
  const { append: _, ...memory } = memoryStore()
  let puts = 0
  const store: Store = {
    ...memory,
    put: async (key, bytes, how) => {
      if (key.includes('/seg/')) {
        puts++
        clock.time += 12_000
      }
      await memory.put(key, bytes, how)
    },
  }
  const session = await open(store, { clock })
  session.record({ fulfilled: [{ indices: Uint32Array.of(0, 1), values: ['a', 'b'] }], rejected: [] })
  await session.flush()
  expect([puts, session.failures]).toEqual([1, []])
  await session.close()
  const next = await open(store, { clock })
  expect((await readAll(next.restored)).values).toEqual(new Map([0, 1].map((at) => [at, 'ab'[at]])))
  await next.close()
})
