import { expect, test } from 'vitest'
import { newWriter } from '../../src/checkpoint/format/run-file.ts'
import { listRuns, verifyRun } from '../../src/checkpoint/stored/runs.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import { readResults } from '../../src/stored-runs.ts'
import { FORMS, IDENTITY, open, outcomes, readAll, rejection } from './fixture.ts'

/** `store`, as it is far away: what is asked for together is answered together. Counts how often it answers. */
function far(store: Store) {
  const counts = { rounds: 0, most: 0, bytes: 0, gets: 0 }
  const waiting: (() => void)[] = []
  const wait = () =>
    new Promise<void>((resolve) => {
      if (waiting.push(resolve) > 1) return
      setTimeout(() => {
        counts.rounds++
        counts.most = Math.max(counts.most, waiting.length)
        for (const answer of waiting.splice(0)) answer()
      }, 1)
    })
  const far: Store = {
    ...store,
    get: async (key, range) => {
      counts.gets++
      await wait()
      const found = await store.get(key, range)
      counts.bytes += found?.byteLength ?? 0
      return found
    },
    delete: async (key) => {
      await wait()
      await store.delete(key)
    },
    modifiedAt: async () => {
      await wait()
      return 0
    },
  }
  const start = () => Object.assign(counts, { rounds: 0, most: 0, bytes: 0, gets: 0 })
  return { store: far, counts, start }
}

/** A run of many files, as on a store whose objects cannot grow: some are kept beside the snapshot that stands for them. */
async function recordFiles(store: Store, files: number, form: (typeof FORMS)[number], text = 'x'.repeat(100)) {
  const { append: _, ...whole } = store
  const session = await open(whole, { ...form, keep: 100 })
  for (let file = 0; file < files; file++) {
    session.record(outcomes([2 * file, 2 * file + 1], (index) => `${index} ${text}`))
    await session.flush()
  }
  await session.close()
}

test.each(FORMS)('files of a run are read several at once, each no more often than before: $format, $compress', async (form) => {
  const memory = memoryStore()
  await recordFiles(memory, 60, form)
  const { store, counts, start } = far(memory)
  expect((await memory.list('run-1/seg/')).length).toBeGreaterThan(60)
  const bytes = (await memory.list('run-1/')).reduce((sum, { size }) => sum + size, 0)
  expect((await verifyRun(store, 'run-1')).ok).toBe(true)
  expect(counts.rounds).toBeLessThan(10)
  expect(counts.most).toBe(16)
  expect(counts.bytes).toBeLessThan(1.5 * bytes)
  start()
  const next = await open(store, { keep: 100 })
  const { values } = await readAll(next.restored)
  expect(values.size).toBe(120)
  expect(counts.rounds).toBeLessThan(20) // All files twice, and the manifest and claims.
  await next.close()
})

test('results are read several frames at once', async () => {
  const memory = memoryStore()
  const session = await open(memory)
  for (let index = 0; index < 100; index++) session.record(outcomes([index], () => 'y'.repeat(2 ** 16)))
  await session.close()
  const { store, counts } = far(memory)
  const indices: number[] = []
  for await (const { index } of readResults(store, 'run-1')) indices.push(index)
  expect(indices).toEqual(Array.from({ length: 100 }, (_, index) => index))
  expect(counts.rounds).toBeLessThan(25)
})

test.each(FORMS.filter(({ compress }) => compress === 'none'))(
  'results that lie near together are read with few calls: $format',
  async (form) => {
    const memory = memoryStore()
    const session = await open(memory, { ...form, every: 1 })
    for (let index = 0; index < 3000; index++) {
      session.record(outcomes([index], () => `${index}`))
      await session.flush()
    }
    await session.close()
    const { store, counts } = far(memory)
    const values: unknown[] = []
    for await (const outcome of readResults(store, 'run-1')) values.push(outcome.status === 'fulfilled' && outcome.value)
    expect(values).toEqual(Array.from({ length: 3000 }, (_, index) => `${index}`))
    expect(counts.gets).toBeLessThan(10)
  },
)

test.each([
  ['here', { processStart: '1' }],
  ['elsewhere', { host: 'elsewhere', bootId: 'another', beatAt: 0 }],
])('claims that were left %s are read, asked about and deleted several at once', async (where, left) => {
  const memory = memoryStore()
  const session = await open(memory)
  const claim = JSON.parse(Buffer.from((await memory.get(`run-1/lease/${session.writer}`)) ?? []).toString())
  await session.close()
  const bytes = Buffer.from(JSON.stringify({ ...claim, ...left }))
  for (let at = 0; at < 40; at++) await memory.put(`run-1/lease/${newWriter(at)}`, bytes)
  const { store, counts, start } = far(memory)
  expect((await verifyRun(store, 'run-1')).ok).toBe(true)
  expect(counts.rounds).toBeLessThan(12)
  if (where === 'elsewhere') return // They are watched before a session begins.
  start()
  const next = await open(store)
  await next.close()
  expect(counts.rounds).toBeLessThan(20)
  expect(await memory.list('run-1/lease/')).toEqual([])
})

test('what a snapshot stands for is deleted several at once', async () => {
  const memory = memoryStore()
  await recordFiles(memory, 60, { format: 'msgpack', compress: 'none' })
  let deletions = 0
  const { append: _, ...whole } = memory
  const { store, counts } = far({ ...whole, delete: (key) => memory.delete(key).finally(() => deletions++) })
  const next = await open(store, { keep: 0 })
  for (let flush = 0; flush < 20; flush++) {
    next.record(outcomes([1000 + flush]))
    await next.flush()
  }
  await next.close()
  expect(deletions).toBeGreaterThan(60)
  expect(counts.rounds).toBeLessThan(60)
})

test('files that are merged are read several at once', async () => {
  const memory = memoryStore()
  await recordFiles(memory, 15, { format: 'msgpack', compress: 'none' })
  for (const { key } of await memory.list('run-1/snap/')) await memory.delete(key)
  const { store, counts, start } = far(memory)
  const next = await open(store, { keep: 100 })
  start()
  next.record(outcomes([1000]))
  await next.close()
  expect(await memory.list('run-1/snap/')).toHaveLength(1)
  expect(counts.gets).toBeGreaterThan(16)
  expect(counts.rounds).toBeLessThan(12)
})

test.each(FORMS)('what answers of a store lack is asked for again: $format, $compress', async (form) => {
  const memory = memoryStore()
  await recordFiles(memory, 40, form)
  const session = await open(memory, form)
  for (let index = 100; index < 140; index++) session.record(outcomes([index], () => 'y'.repeat(2 ** 12)))
  await session.close()
  const store: Store = {
    ...memory,
    get: async (key, range) => {
      const bytes = await memory.get(key, range)
      return bytes && !key.includes('/run/') && !key.includes('/lease/') ? bytes.subarray(0, Math.ceil(bytes.length / 2)) : bytes
    },
  }
  expect(await verifyRun(store, 'run-1')).toEqual({ ok: true, damaged: [] })
  const indices: number[] = []
  for await (const { index } of readResults(store, 'run-1')) indices.push(index)
  expect(indices).toHaveLength(120)
})

test('runs are listed several at once', async () => {
  const memory = memoryStore()
  for (let run = 0; run < 40; run++) {
    const session = await open(memory, { runId: `run-${run}` })
    session.record(outcomes([run]))
    await session.close()
  }
  const { store, counts } = far(memory)
  const runs = await listRuns(store)
  expect(runs.map(({ runId }) => runId)).toEqual(Array.from({ length: 40 }, (_, run) => `run-${run}`).sort())
  expect(counts.rounds).toBeLessThan(15)
})

test.each(FORMS)('results that lie anywhere in many frames are read by ranges: $format, $compress', async (form) => {
  const memory = memoryStore()
  const identity = { ...IDENTITY, items: { kind: 'keyed' as const }, key: 'function' }
  const count = 24_000
  const session = await open(memory, { ...form, identity })
  const placeOf = (at: number) => (at * 9973) % count
  for (let at = 0; at < count; at += 20) {
    const indices = Uint32Array.from({ length: 19 }, (_, nth) => placeOf(at + nth))
    const keys = Array.from(indices, String)
    const values = keys.map((key) => key.padEnd(3500, '.'))
    const failed = placeOf(at + 19)
    const rejected = [{ ...rejection(failed, new Error(`no ${failed}`)), key: `${failed}` }]
    session.record({ fulfilled: [{ indices, keys, values, attempts: indices.map((index) => 1 + (index % 3)) }], rejected })
    await session.backlog
  }
  await session.close()
  const { store, counts } = far(memory)
  let next = 0
  let failures = 0
  for await (const outcome of readResults(store, 'run-1')) {
    const { index, key, attempts } = outcome
    const isFulfilled = outcome.status === 'fulfilled' && outcome.value === key.padEnd(3500, '.') && attempts === 1 + (index % 3)
    const isRejected = outcome.status === 'rejected' && outcome.reason.message === `no ${key}` && attempts === 1
    if (index === next && key === `${index}` && (isFulfilled || isRejected)) next++
    if (isRejected) failures++
  }
  expect([next, failures]).toEqual([count, count / 20])
  const size = (await memory.list('run-1/seg/')).reduce((sum, object) => sum + object.size, 0)
  expect(counts.bytes).toBeLessThan(4 * size)
})

test('of results that lie anywhere no more are read at once than memory has room for, however their sizes differ', async () => {
  const memory = memoryStore()
  const identity = { ...IDENTITY, items: { kind: 'keyed' as const }, key: 'function' }
  const session = await open(memory, { identity, durability: 'none' })
  const large = 'x'.repeat(2 ** 20)
  const [frames, small] = [160, 4]
  // Of each frame the last value is nearly all, and these are the last of all.
  for (let frame = 0; frame < frames; frame++) {
    const indices = Uint32Array.from({ length: small + 1 }, (_, nth) =>
      nth === small ? frames * small + frame : nth * frames + frame,
    )
    const keys = Array.from(indices, String)
    session.record({ fulfilled: [{ indices, keys, values: keys.map((_, nth) => (nth === small ? large : nth)) }], rejected: [] })
    await session.flush()
  }
  await session.close()
  const { store, counts } = far(memory)
  let next = 0
  let atFirst = 0
  for await (const { index } of readResults(store, 'run-1')) {
    if (index === next) next++
    if (index === frames * small) atFirst = counts.bytes
  }
  expect(next).toBe(frames * (small + 1))
  expect(counts.bytes - atFirst).toBeGreaterThan(40 * 2 ** 20)
})
