import { expect, test } from 'vitest'
import { memoryStore } from '../../src/store/memory.ts'
import { loadCodec } from '../../src/values/codec.ts'
import { FORMS, open } from './fixture.ts'

const COUNT = 100_000
const records = Array.from({ length: COUNT }, (_, id) => ({
  id,
  name: `item-${id}`,
  score: Math.round(id * 37.77) / 100,
  ok: id % 2 === 0,
}))
const size = JSON.stringify(records).length

/** What a chunk and a flush cost at most besides their results, in bytes: frames, and of gzip what begins and ends a block. */
const FIXED_BYTES = 256

test.each(FORMS.flatMap((form) => [10, 1].map((chunk) => ({ ...form, chunk }))))(
  'a run of 100,000 records, flushed ten at a time, writes under 2.3 times their size as JSON: $format, $compress, chunks of $chunk',
  async ({ chunk, ...form }) => {
    const store = memoryStore()
    const session = await open(store, { ...form, every: 10, durability: 'none' })
    const codec = await loadCodec(form.format)
    for (let from = 0; from < COUNT; from += chunk) {
      const indices = Uint32Array.from({ length: chunk }, (_, at) => from + at)
      session.begin({ indices })
      session.record({ fulfilled: [{ indices, record: codec.encode(records.slice(from, from + chunk)).bytes }], rejected: [] })
      if ((from + chunk) % 10 === 0) await session.flush()
    }
    await session.close()
    const stored = (await store.list('run-1/')).reduce((sum, object) => sum + object.size, 0)
    expect(Math.max(stored, session.stats.bytesWritten)).toBeLessThan(2.3 * size)
    expect(session.stats.checkpoints).toBeGreaterThanOrEqual(COUNT / 10)
  },
)

test('a timer starts a flush, and there is none when nothing waits', async () => {
  const waits: number[] = []
  const store = memoryStore()
  const clock = {
    now: () => 0,
    today: () => Date.now(),
    random: () => 0.5,
    sleep: (ms: number, signal?: AbortSignal) => {
      waits.push(ms)
      if (waits.length === 1) return Promise.resolve()
      return new Promise<void>((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
    },
  }
  const session = await open(store, { clock, interval: 250 })
  expect(waits).toEqual([])
  session.record({ fulfilled: [{ indices: Uint32Array.of(0), values: [1] }], rejected: [] })
  await new Promise((resolve) => setImmediate(resolve))
  expect(session.stats.checkpoints).toBe(1)
  expect(waits).toEqual([250])
  session.record({ fulfilled: [{ indices: Uint32Array.of(1), values: [1] }], rejected: [] })
  expect(waits).toEqual([250, 250])
  await session.close()
  expect(session.stats.checkpoints).toBe(2)
})

test('large results start a flush before the timer does', async () => {
  const clock = { now: () => 0, today: () => Date.now(), random: () => 0.5, sleep: () => new Promise<never>(() => {}) }
  const session = await open(memoryStore(), { clock, every: 1_000_000, interval: 3_600_000, durability: 'none' })
  const codec = await loadCodec('msgpack')
  const record = (index: number, bytes: number) => {
    const values = [new Uint8Array(bytes)]
    session.record({ fulfilled: [{ indices: Uint32Array.of(index), record: codec.encode(values).bytes }], rejected: [] })
    return new Promise((resolve) => setImmediate(resolve))
  }
  for (const index of [0, 1, 2]) await record(index, 2 ** 20)
  expect(session.stats.checkpoints).toBe(0)
  await record(3, 2 ** 20)
  expect(session.stats.checkpoints).toBe(1)
  await record(4, 2 ** 20)
  expect(session.stats.checkpoints).toBe(1)
  for (let index = 5; index < 75; index++) void record(index, 2 ** 20)
  await session.backlog // Nothing but the bytes starts the flush that ends it.
  expect(session.stats.checkpoints).toBeGreaterThan(1)
  await session.close()
})

test.each(FORMS)(
  'a result of a few bytes that is a chunk and a flush of its own costs a fixed amount more: $format, $compress',
  async (form) => {
    const count = 2000
    const session = await open(memoryStore(), { ...form, every: 1, durability: 'none' })
    const codec = await loadCodec(form.format)
    for (let index = 0; index < count; index++) {
      const indices = Uint32Array.of(index)
      session.begin({ indices })
      session.record({ fulfilled: [{ indices, record: codec.encode([index % 2 === 0]).bytes }], rejected: [] })
      await session.flush()
    }
    await session.close()
    const { bytesWritten, checkpoints } = session.stats
    expect(checkpoints).toBeGreaterThanOrEqual(count)
    const json = JSON.stringify(Array.from({ length: count }, (_, index) => index % 2 === 0)).length
    expect(bytesWritten).toBeLessThan(2.3 * json + FIXED_BYTES * count)
  },
)
