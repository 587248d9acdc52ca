import { expect, test } from 'vitest'
import type { SessionOptions } from '../../src/checkpoint/session/session.ts'
import { listRuns } from '../../src/checkpoint/stored/runs.ts'
import { systemClock } from '../../src/clock.ts'
import type { Store } from '../../src/store/store.ts'
import { abandon, failing, IDENTITY, open, outcomes, readAll, rejection, STORES } from './fixture.ts'

const HOUR = 3_600_000

/** A session whose clock is off by `hours`. */
const openAt = (store: Store, hours: number, options: Partial<SessionOptions> = {}) =>
  open(store, { ...options, clock: { ...systemClock, today: () => Date.now() + hours * HOUR } })

/** As a session whose clock is off by `hours` tells it. */
function failureAt(hours: number, index: number, message: string, crashes = 0) {
  const at = Date.now() + hours * HOUR
  return failing({ ...rejection(index, new Error(message)), crashes, firstFailedAt: at, lastFailedAt: at })
}

/** An item that was tried `attempts` times. */
function tried(index: number, attempts: number) {
  const indices = Uint32Array.of(index)
  return { items: [index], indices, histories: new Map([[index, { attempts, crashes: 0, firstFailedAt: 1 }]]) }
}

const ALL = Object.entries(STORES)

test.each(ALL)('of two failures that of the later session counts, whatever its clock says, in %s', async (_, create) => {
  const store = await create()
  for (const [nth, hours] of [0, 5, -3, 1, 0].entries()) {
    const session = await openAt(store, hours)
    session.record(failureAt(hours, 7, `try ${nth}`))
    await session.close()
    const { restored, close } = await openAt(store, 0)
    expect((await readAll(restored)).rejected.map(({ reason }) => reason?.message)).toEqual([`try ${nth}`])
    await close()
  }
})

test.each(ALL)('so it does behind a snapshot that is all that is left of those before, in %s', async (_, create) => {
  const store = await create()
  for (let nth = 0; nth < 40; nth++) {
    const hours = nth < 17 ? 5 : nth % 3
    const session = await openAt(store, hours, { keep: 0 })
    session.record(failureAt(hours, 7, `try ${nth}`))
    await session.close()
  }
  expect((await store.list('run-1/snap/')).length).toBeGreaterThan(0)
  const { restored, close } = await openAt(store, 0)
  expect((await readAll(restored)).rejected.map(({ reason }) => reason?.message)).toEqual(['try 39'])
  await close()
})

test.each(ALL)('attempts before a failure on record do not count behind it, in %s', async (_, create) => {
  const store = await create()
  const first = await openAt(store, 5)
  await first.begin({ indices: Uint32Array.of(7) })
  await first.setAside(tried(7, 2))
  await first.close()
  const second = await openAt(store, 0)
  expect(second.restored.historyOf(7)?.attempts).toBe(2)
  second.record(failureAt(0, 7, 'no'))
  await second.close()
  const third = await openAt(store, 0)
  expect(third.restored.statusOf(7)).toBe('rejected')
  expect(third.restored.historyOf(7)?.attempts ?? 0).toBe(0)
  await third.close()
})

test.each(ALL)('who failed behind the death of a session is no suspect of it any more, in %s', async (_, create) => {
  const store = await create()
  const first = await openAt(store, 5)
  await first.begin({ indices: Uint32Array.of(7), alone: true })
  await first.flush()
  first.record(outcomes([1]))
  await first.flush()
  await abandon(store, first)
  const second = await openAt(store, 0)
  expect(second.restored.isSuspect(7)).toBe(true)
  second.record(failureAt(0, 7, 'no', 1))
  await second.close()
  const third = await openAt(store, 0)
  expect(third.restored.isSuspect(7)).toBe(false)
  expect(third.restored.historyOf(7)?.crashes).toBe(1)
  await third.close()
})

test.each(ALL)('a run is failed as its last session has it, in %s', async (_, create) => {
  const store = await create()
  const identity = { ...IDENTITY, items: { kind: 'array' as const, count: 2 } }
  const first = await openAt(store, 5, { identity })
  first.record(failureAt(5, 1, 'no'))
  await first.close(true)
  expect((await listRuns(store)).map(({ status }) => status)).toEqual(['failed'])
  const second = await openAt(store, 0, { identity })
  second.record(outcomes([0]))
  second.record(failureAt(0, 1, 'no'))
  await second.close()
  expect((await listRuns(store)).map(({ status }) => status)).toEqual(['complete'])
})
