import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execute, inspectRun, type Outcome, readResults, verifyRun } from 'pawl'
import { expect, test } from 'vitest'
import { WINDOW_BYTES } from '../../src/checkpoint/reading/file-bytes.ts'
import type { Session } from '../../src/checkpoint/session/session.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import { range } from '../execute/calls.ts'
import { cube } from '../fixtures/tasks/arithmetic.mjs'
import { newDirectory } from '../resume/place.ts'
import { failing, IDENTITY, open, outcomes, rejection } from './fixture.ts'

test.each(['json', 'msgpack'] as const)('a %s file that is deleted while results are read is told', async (format) => {
  const directory = mkdtempSync(join(tmpdir(), 'pawl-read-'))
  const runId = 'r'
  const counts: number[] = []
  // A frame of its own for each: more than are on their way at once.
  const spell = (n: number) => String(n).padEnd(2 ** 18, '.')
  const items = range(120)
  for (const shard of ['1/3', '2/3', '3/3'] as const) {
    const { stats } = await execute(spell, items, {
      runId,
      shard,
      checkpoint: { store: directory, format },
      workers: 1,
      chunkSize: 1,
    })
    counts.push(stats.dispatched)
  }
  const gone = counts[1] as number
  const read: number[] = []
  const reading = (async () => {
    for await (const { index } of readResults(directory, runId)) {
      if (read.push(index) > 1) continue
      const [first, second, third] = readdirSync(join(directory, runId, 'seg')).sort()
      expect([first, second, third]).not.toContain(undefined)
      rmSync(join(directory, runId, 'seg', second as string))
    }
  })()
  const error = await reading.catch((reason) => reason)
  expect(read).toEqual([...new Set(read)].sort((a, b) => a - b))
  // What is still on record is given first, and what was on its way.
  expect(read.length).toBeGreaterThanOrEqual(items.length - gone)
  expect(read.length).toBeLessThanOrEqual(items.length - gone + WINDOW_BYTES / 2 ** 18)
  const message = expect.stringContaining(`got ${items.length - read.length} outcomes less`)
  expect(error).toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_CORRUPT', message })
})

test('a run whose files are merged while its results are read is read whole, each outcome once', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'pawl-read-'))
  const runId = 'r'
  const run = (shard: `${number}/${number}`) =>
    execute(cube, range(4100), { runId, shard, checkpoint: { store: directory, keep: 0 }, mode: 'threads', workers: 1 })
  for (const first of [1, 2, 3]) await run(`${first}/41`)
  const files = readdirSync(join(directory, runId, 'seg'))
  const before: number[] = []
  for await (const { index } of readResults(directory, runId)) before.push(index)
  expect(before.length).toBeGreaterThan(200)

  const read: number[] = []
  for await (const { index } of readResults(directory, runId)) {
    if (read.push(index) === 1) for (let next = 4; next <= 41; next++) await run(`${next}/41`)
  }
  expect(read).toEqual(before)
  expect(readdirSync(join(directory, runId, 'seg'))).not.toEqual(expect.arrayContaining(files))
}, 60_000)

test.each([undefined, String])(
  'what had failed, and succeeds while results are read, is read as a success (key: %s)',
  async (key) => {
    const runs = newDirectory()
    const items = range(960)
    const bad = items.filter((n) => n % 3 === 0)
    process.env.PAWL_TEST_BAD = 'yes'
    // Failures of which more are on record than are on their way at once.
    const double = (n: number) => {
      if (n % 3 === 0 && process.env.PAWL_TEST_BAD) throw Object.assign(new Error('bad'), { ballast: 'x'.repeat(2 ** 18) })
      return n * 2
    }
    const run = (shard: number) =>
      execute(double, items, {
        ...{ runId: 'r', shard: `${shard}/16`, mode: 'inline', maxFailures: items.length, checkpoint: { store: runs, keep: 0 } },
        ...(key ? { key } : {}),
      })
    for (const shard of [1, 2, 3]) await run(shard)
    const files = readdirSync(join(runs, 'r/seg'))
    const before: number[] = []
    for await (const { index } of readResults(runs, 'r')) before.push(index)

    const read: Outcome[] = []
    for await (const outcome of readResults(runs, 'r')) {
      if (read.push(outcome) > 1) continue
      delete process.env.PAWL_TEST_BAD
      // Enough sessions for a snapshot, which copies no failure of what has succeeded.
      for (let shard = 1; shard <= 16; shard++) await run(shard)
      expect(readdirSync(join(runs, 'r/seg'))).not.toEqual(expect.arrayContaining(files))
    }
    expect(read.map(({ index }) => index)).toEqual(before)
    const late = read.slice(1).filter(({ status }) => status === 'fulfilled')
    expect(read.length - late.length).toBeLessThanOrEqual(WINDOW_BYTES / 2 ** 18) // Those whose failures were on their way.
    expect(late.some(({ index }) => bad.includes(index))).toBe(true)
    expect(late.map((outcome) => outcome.status === 'fulfilled' && outcome.value)).toEqual(late.map(({ index }) => index * 2))
  },
)

test('what had failed and succeeds between any two calls of a reader is read, though items are on record twice', async () => {
  const items = range(12)
  const identity = { ...IDENTITY, items: { kind: 'array' as const, count: items.length } }
  const isBad = (item: number) => item % 3 === 0
  const add = async (store: Store, settled: Parameters<Session['record']>[0][]) => {
    const session = await open(store, { runId: 'r', identity, keep: 0 })
    for (const it of settled) session.record(it)
    await session.close()
  }
  let isMerged = true
  // `at`: the call behind which the others come, from 1.
  for (let at = 1, calls = at; calls >= at; at++) {
    const store = memoryStore()
    await add(store, [outcomes(items.filter((item) => !isBad(item)))])
    await add(store, [failing(...items.filter(isBad).map((item) => rejection(item, new Error('bad')))), outcomes([1])])
    calls = 0
    const behind = async <V>(answer: Promise<V>): Promise<V> => {
      const value = await answer
      if (++calls !== at) return value
      const before = await store.list('r/seg/')
      await add(store, [outcomes(items.filter(isBad))])
      // Enough sessions for a snapshot, which copies no failure of what has succeeded.
      for (let more = 0; more < 16; more++) await add(store, [outcomes([1])])
      const left = new Set((await store.list('r/seg/')).map(({ key }) => key))
      isMerged &&= before.length === 2 && before.every(({ key }) => !left.has(key))
      return value
    }
    const read: number[] = []
    const watched = {
      ...store,
      list: (prefix: string) => behind(store.list(prefix)),
      get: (...of: Parameters<Store['get']>) => behind(store.get(...of)),
    }
    for await (const { index } of readResults(watched, 'r')) read.push(index)
    expect({ at, read }).toEqual({ at, read: items })
  }
  expect(isMerged).toBe(true)
})

test('a session that begins before any call of a reader, and ends behind any later one, is not told as damage', async () => {
  let tries = 0
  // `begin`, `end`: the calls behind which it does, from 1; 0: it had begun before.
  for (let begin = 0, calls = 0; begin <= calls; begin++) {
    for (let end = begin + 1; end === begin + 1 || end <= calls; end++) {
      const store = memoryStore()
      const first = await open(store, { runId: 'r' })
      first.record(outcomes([0]))
      await first.close()
      let session: Session | undefined
      const start = async () => {
        session = await open(store, { runId: 'r' })
        session.record(outcomes([1]))
        await session.flush()
      }
      if (begin === 0) await start()
      calls = 0
      const behind = async <V>(answer: Promise<V>): Promise<V> => {
        const value = await answer
        const call = ++calls
        if (call === begin) await start()
        if (call === end) await session?.close()
        return value
      }
      const watched = {
        ...store,
        list: (prefix: string) => behind(store.list(prefix)),
        get: (...of: Parameters<Store['get']>) => behind(store.get(...of)),
      }
      expect({ begin, end, ...(await verifyRun(watched, 'r')) }).toEqual({ begin, end, ok: true, damaged: [] })
      if (calls >= end) tries++
      else await session?.close()
    }
  }
  expect(tries).toBeGreaterThan(20)
})

test('a session that ends while its run is inspected is not said to have died', async () => {
  const store = memoryStore()
  const session = await open(store, { runId: 'r' })
  session.record(outcomes([0]))
  await session.flush()
  let isOpen = true
  const get: Store['get'] = async (key, range) => {
    const bytes = await store.get(key, range)
    if (isOpen && key.startsWith('r/seg/')) await session.close()
    isOpen &&= !key.startsWith('r/seg/')
    return bytes
  }
  expect(await inspectRun({ ...store, get }, 'r')).toMatchObject({ damaged: 0, live: false, sessions: [{ ended: 'closed' }] })
  expect(isOpen).toBe(false)
})
