import { describe, expect, test } from 'vitest'
import { inspectRun } from '../../src/checkpoint/stored/runs.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import { FORMS, IDENTITY, type Opened, open, outcomes } from './fixture.ts'

const COUNT = 600
const identity = { ...IDENTITY, items: { kind: 'array' as const, count: COUNT } }
const range = (from: number, count: number) => Array.from({ length: count }, (_, at) => from + at)

/** A run of four sessions that ended early, on a store whose objects cannot grow, most of it merged into snapshots. */
async function merged(form: (typeof FORMS)[number]): Promise<Store> {
  const { append: _, ...store } = memoryStore()
  for (let from = 0; from < 480; from += 120) {
    const session = await open(store, { identity, ...form, keep: 1 })
    for (let at = from; at < from + 120; at += 5) {
      await session.begin({ indices: Uint32Array.from(range(at, 5)) })
      session.record(outcomes(range(at, 5)))
      await session.flush()
    }
    await session.close()
  }
  return store
}

const messagesOf = ({ events }: Opened) =>
  events.flatMap(({ event, payload }) => (event === 'warning' ? [(payload as { message: string }).message] : []))

describe.each(FORMS)('as many items are damaged as run again for want of snapshots: $format, $compress', (form) => {
  test.each([
    ['zeroed', (bytes: Uint8Array) => new Uint8Array(bytes.length)],
    ['cut in half', (bytes: Uint8Array) => bytes.subarray(0, bytes.length / 2)],
    ['deleted', undefined],
  ])('that are %s', async (_, spoil) => {
    const store = await merged(form)
    for (const { key } of await store.list('run-1/snap/')) {
      const bytes = (await store.get(key)) as Uint8Array
      if (spoil === undefined) await store.delete(key)
      else await store.put(key, spoil(bytes), { replace: true })
    }
    const { done, damaged } = await inspectRun(store, 'run-1')
    expect(damaged).toBe(480 - done)
    expect(damaged).toBeGreaterThan(200)
    const next = await open(store, { identity, ...form, keep: 1 })
    expect(next.restored).toMatchObject({ fulfilled: done, damaged })
    expect(messagesOf(next)).toEqual([expect.stringContaining(`What only they held (about ${damaged} items) runs again`)])
    await next.close()
  })
})

test('where nothing on record tells how many items are lost, the sentence says so', async () => {
  const store = memoryStore()
  const session = await open(store, { identity })
  session.record(outcomes(range(0, 100)))
  await session.close()
  const [file] = await store.list('run-1/seg/')
  await store.put(file?.key as string, new Uint8Array(file?.size as number), { replace: true })
  const next = await open(store, { identity })
  expect(next.restored.damaged).toBe(0)
  expect(messagesOf(next)).toEqual([
    expect.stringMatching(/lack their end.*What only they held \(how many items is not known\) runs again$/),
  ])
  await next.close()
})
