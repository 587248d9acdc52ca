import { expect, test } from 'vitest'
import type { Settled } from '../../src/checkpoint/session/session.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { failing, IDENTITY, type Opened, open, outcomes, rejection } from './fixture.ts'

const COUNT = 20
const KEYS = Array.from({ length: COUNT }, (_, index) => `k${index}`)

/** A session, of a run whose first 16 items are on record twice: in a snapshot, which is deleted, and in what that stood for. Item 3 failed. */
async function withoutSnapshot(keys: readonly string[] | undefined): Promise<Opened> {
  const store = memoryStore()
  const identity = { ...IDENTITY, items: { kind: 'array' as const, count: COUNT }, key: keys ? 'id' : 'index' }
  for (let at = 0; at < 16; at++) {
    const session = await open(store, { identity })
    const [batch] = outcomes([at]).fulfilled
    const key = keys ? { key: KEYS[at] as string } : {}
    if (at === 3) session.record(failing({ ...rejection(3, new Error('three')), ...key }))
    else if (batch) session.record({ fulfilled: [keys ? { ...batch, keys: [KEYS[at] as string] } : batch], rejected: [] })
    await session.close()
  }
  const session = await open(store, { identity })
  const [snapshot, ...more] = await store.list('run-1/snap/')
  if (snapshot === undefined || more.length > 0) throw new Error('expected one snapshot')
  await store.delete(snapshot.key)
  return session
}

/** Without a result at hand, of a run that was ended early. */
const settled = (keys: readonly string[] | undefined, succeeded: number, isMine: Settled['isMine'] = () => true): Settled => ({
  ...{ results: [], attempts: new Map(), failures: [], keys, complete: undefined, succeeded, isMine },
})

const warningsOf = ({ events }: Opened) => events.filter(({ event }) => event === 'warning')

test.each([undefined, KEYS])(
  'confirm() tells nothing of files that are gone where others hold all of it (keys: %s)',
  async (keys) => {
    const session = await withoutSnapshot(keys)
    const isEven = (index: number) => index % 2 === 0
    expect(await session.confirm(settled(keys, 15))).toBe(false)
    expect(await session.confirm(settled(keys, 8, isEven))).toBe(false)
    expect(await session.confirm(settled(keys?.slice(0, 10), 9, (index) => index < 10))).toBe(false)
    expect(warningsOf(session)).toEqual([])
    await session.close()
  },
)

test.each([undefined, KEYS])(
  'confirm() tells of successes that are in no file, though nothing of them is at hand (keys: %s)',
  async (keys) => {
    for (const [succeeded, isMine] of [
      [16, () => true],
      [9, (index: number) => index % 2 === 0],
    ] as const) {
      const session = await withoutSnapshot(keys)
      expect(await session.confirm(settled(keys, succeeded, isMine))).toBe(true)
      expect(warningsOf(session)).toMatchObject([{ payload: { code: 'CHECKPOINT_DAMAGED' } }])
      await session.close()
    }
  },
)

test.each([undefined, KEYS])('confirm() rejects when nothing runs again (keys: %s)', async (keys) => {
  const session = await withoutSnapshot(keys)
  const failures = [{ ...rejection(3, new Error('three')), ...(keys ? { key: KEYS[3] as string } : {}) }]
  const all = { ...settled(keys, 19), failures, complete: COUNT }
  await expect(session.confirm(all)).rejects.toThrow(/got 4 items whose outcomes were in files that were deleted/)
  await session.close()
})
