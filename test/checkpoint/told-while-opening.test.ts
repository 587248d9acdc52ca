import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createHaste } from '../../src/checkpoint/patience/haste.ts'
import { fileStore } from '../../src/store/file.ts'
import type { Store } from '../../src/store/store.ts'
import { open, outcomes, readAll, virtualClock } from './fixture.ts'

const REASON = new Error('SIGTERM')

const newStore = () => fileStore(mkdtempSync(join(tmpdir(), 'pawl-')))

/** Opens a run whose store takes `ms` to answer each call, and which is told to end in the `k`-th of them, from 0. */
function openTold(inner: Store, k: number, ms: number, resume: true | 'fresh') {
  const clock = virtualClock()
  const told = new AbortController()
  const later: string[] = []
  let calls = 0
  const slow = async <V>(name: string, call: () => Promise<V>): Promise<V> => {
    if (told.signal.aborted) later.push(name)
    if (calls++ === k) told.abort(REASON)
    clock.time += ms
    return call()
  }
  const store: Store = {
    get: (key, range) => slow('get', () => inner.get(key, range)),
    put: (key, ...given) => slow('put', () => inner.put(key, ...given)),
    list: (prefix) => slow('list', () => inner.list(prefix)),
    delete: (key) => slow('delete', () => inner.delete(key)),
    sync: (key) => slow('sync', async () => inner.sync?.(key)),
  }
  const { signal } = told
  const opening = open(store, { clock, resume, draining: signal, haste: createHaste(signal, clock) })
  return { opening, later, isTold: () => signal.aborted }
}

describe.each([
  ['a new run', false, true],
  ['a run that was there', true, true],
  ['a run that begins afresh', true, 'fresh'],
] as const)('told to end while the store is slow, opening %s', (_, isThere, resume) => {
  const begin = async () => {
    const store = newStore()
    if (!isThere) return store
    const session = await open(store)
    session.record(outcomes([0, 1, 2]))
    await session.close()
    return store
  }

  test('ends with the call at hand, gives the claim back, and leaves a run that can be opened', async () => {
    let ends = 0
    for (let k = 0; ; k++) {
      const store = await begin()
      const { opening, later, isTold } = openTold(store, k, 3000, resume)
      const session = await opening.catch((error) => error)
      if (!isTold()) {
        await session.close()
        break
      }
      // Not when the call was the last one: what has been opened goes on to its end.
      if (session instanceof Error) {
        ends++
        expect(session, `call ${k}`).toMatchObject({ code: 'ERR_PAWL_ABORTED', cause: REASON })
        expect(session.message, `call ${k}`).toContain("Cannot begin run 'run-1'")
        expect(later.join(), `call ${k}`).toMatch(/^(delete)?$/)
      } else await session.close()
      expect(await store.list('run-1/lease/'), `call ${k}`).toEqual([])
      const next = await open(store)
      expect(next.events, `call ${k}`).toEqual([])
      if (isThere && resume === true) expect(next.restored.fulfilled, `call ${k}`).toBe(3)
      await next.close()
    }
    expect(ends).toBeGreaterThan(4)
  })

  test('goes on when it answers at once: what is on record is in the report then', async () => {
    const store = await begin()
    const { opening, isTold } = openTold(store, 0, 20, resume)
    const session = await opening
    expect([isTold(), session.restored.fulfilled]).toEqual([true, isThere && resume === true ? 3 : 0])
    await session.close()
  })
})

test('what is on record of a run that is told to end is read for a second, and no longer', async () => {
  const store = newStore()
  const first = await open(store)
  first.record(outcomes([0, 1, 2]))
  await first.close()
  const clock = virtualClock()
  const told = new AbortController()
  const session = await open(store, { clock, haste: createHaste(told.signal, clock) })
  told.abort(REASON)
  clock.time += 999
  expect((await readAll(session.restored)).values.size).toBe(3)
  clock.time += 1
  await expect(readAll(session.restored)).rejects.toMatchObject({ code: 'ERR_PAWL_ABORTED', cause: REASON })
  await session.close()
  expect(await store.list('run-1/lease/')).toEqual([])
})
