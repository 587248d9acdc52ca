import { beforeEach, describe, expect, test } from 'vitest'
import { inspectRun, verifyRun } from '../../src/checkpoint/stored/runs.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import { abandon, FORMS, IDENTITY, open, outcomes } from './fixture.ts'

const identity = { ...IDENTITY, items: { kind: 'array' as const, count: 12 } }
const range = (from: number, count: number) => Array.from({ length: count }, (_, at) => from + at)

describe.each(FORMS)('what a killed session recorded, once a later one found it dead: $format, $compress', (form) => {
  let store: Store
  let key: string
  let whole: Uint8Array

  const only = async (folder: string) => {
    const found = await store.list(folder)
    expect(found).toHaveLength(1)
    return found[0]?.key as string
  }
  const start = (options = {}) => open(store, { ...form, identity, ...options })
  const change = (bytes: Uint8Array) => store.put(key, bytes, { replace: true })
  const zeroFrom = (at: number) => whole.map((byte, place) => (place < at ? byte : 0))

  beforeEach(async () => {
    store = memoryStore()
    const first = await start()
    for (const item of range(0, 10)) {
      first.record(outcomes([item]))
      await first.flush()
    }
    await abandon(store, first)
    key = await only('run-1/seg/')
    const second = await start()
    second.record(outcomes([10]))
    await second.close()
    expect(await verifyRun(store, 'run-1')).toEqual({ ok: true, damaged: [] })
    whole = (await store.get(key)) as Uint8Array
  })

  test.each([
    ['cut in half', () => change(whole.subarray(0, whole.length / 2)), 'its end is missing, which a later session has read'],
    ['cut to nothing', () => change(whole.subarray(0, 0)), 'its end is missing, which a later session has read'],
    ['half zeros', () => change(zeroFrom(whole.length / 2)), 'its end is missing, which a later session has read'],
    ['all zeros', () => change(zeroFrom(0)), 'nothing of it can be read'],
    ['gone', () => store.delete(key), 'it is gone, and no snapshot stands for it'],
  ])('%s, is told with how much of it runs again, and no more once that has', async (_, spoil, problem) => {
    await spoil()
    const { done, damaged } = await inspectRun(store, 'run-1')
    expect(damaged).toBe(11 - done)
    expect(damaged).toBeGreaterThan(3)
    const told = `${problem}; there is no record of ${damaged} items that ran`
    expect(await verifyRun(store, 'run-1')).toEqual({ ok: false, damaged: [{ file: key.slice('run-1/'.length), problem: told }] })
    const next = await start()
    expect(next.restored).toMatchObject({ fulfilled: done, damaged })
    const message = expect.stringContaining(`What only they held (${damaged} items) runs again`)
    expect(next.events).toEqual([{ event: 'warning', payload: { code: 'CHECKPOINT_DAMAGED', message } }])
    next.record(outcomes(range(0, 12).filter((item) => next.restored.statusOf(item) === undefined)))
    await next.close()
    expect(await verifyRun(store, 'run-1')).toEqual({ ok: true, damaged: [] })
    const last = await start()
    expect([last.events, last.restored.fulfilled]).toEqual([[], 12])
    await last.close()
  })

  test('is not missed where a snapshot stands for it, and nor is that once it was mended', async () => {
    for (let more = 0; more < 20; more++) {
      const session = await start({ keep: 0 })
      session.record(outcomes([10]))
      await session.close()
    }
    expect((await store.list('run-1/seg/')).map((object) => object.key)).not.toContain(key)
    expect(await verifyRun(store, 'run-1')).toEqual({ ok: true, damaged: [] })
    const snapshot = await only('run-1/snap/')
    const bytes = (await store.get(snapshot)) as Uint8Array
    const at = Math.floor(bytes.length / 2)
    await store.put(
      snapshot,
      bytes.map((byte, place) => (place === at ? byte ^ 1 : byte)),
      { replace: true },
    )
    const next = await start({ keep: 0 })
    next.record(outcomes(range(0, 12).filter((item) => next.restored.statusOf(item) === undefined)))
    await next.close()
    expect((await store.list('run-1/snap/')).map((object) => object.key)).not.toContain(snapshot)
    expect(await verifyRun(store, 'run-1')).toEqual({ ok: true, damaged: [] })
  })
})

test('a file that nothing can be read of is told, though its session is not yet found dead', async () => {
  const store = memoryStore()
  const session = await open(store)
  session.record(outcomes([0]))
  await session.flush()
  await abandon(store, session)
  const { key = '', size = 0 } = (await store.list('run-1/seg/'))[0] ?? {}
  await store.put(key, new Uint8Array(size), { replace: true })
  const damaged = [{ file: key.slice('run-1/'.length), problem: 'nothing of it can be read' }]
  expect(await verifyRun(store, 'run-1')).toEqual({ ok: false, damaged })
})
