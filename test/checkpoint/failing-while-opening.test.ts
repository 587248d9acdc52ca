import { describe, expect, test } from 'vitest'
import { fileStore } from '../../src/store/file.ts'
import type { Store } from '../../src/store/store.ts'
import { temporaryDirectory } from '../store/place.ts'
import { open, outcomes, readAll, virtualClock } from './fixture.ts'

const busy = () => Object.assign(new Error('reduce your request rate'), { code: 'SlowDown' })

/** A run in a directory, with three outcomes on record unless it is new. */
async function newRun(isNew: boolean): Promise<Store> {
  const store = fileStore(await temporaryDirectory())
  if (isNew) return store
  const session = await open(store)
  session.record(outcomes([0, 1, 2]))
  await session.close()
  return store
}

/** `store`, in which calls fail as `error` says of the number of each, from 0; `isLate`: after what they were to do was done. */
function failing(store: Store, error: (call: number) => Error | undefined, isLate = false) {
  const state = { calls: 0 }
  const ask = async <V>(call: () => Promise<V>): Promise<V> => {
    const reason = error(state.calls++)
    if (reason === undefined) return call()
    if (isLate) await call()
    throw reason
  }
  const failing: Store = {
    get: (key, range) => ask(() => store.get(key, range)),
    put: (key, ...given) => ask(() => store.put(key, ...given)),
    list: (prefix) => ask(() => store.list(prefix)),
    delete: (key) => ask(() => store.delete(key)),
    sync: (key) => ask(async () => store.sync?.(key)),
  }
  return { failing, state }
}

describe.each([
  ['a new run', true],
  ['a run that was there', false],
])('a store that fails while %s is opened', (_, isNew) => {
  test.each([
    ['before', false],
    ['after', true],
  ])('once, %s it did what it was asked, is asked again, whichever call it was', async (_, isLate) => {
    let times = 0
    for (let k = 0; ; k++) {
      const store = await newRun(isNew)
      const clock = virtualClock()
      let isOpen = false
      const { failing: shaky, state } = failing(store, (call) => (call === k && !isOpen ? busy() : undefined), isLate)
      const session = await open(shaky, { clock })
      if (!isNew) expect((await readAll(session.restored)).values.size, `call ${k}`).toBe(3)
      isOpen = true
      const isOver = state.calls <= k
      const waited = clock.time
      await session.close()
      if (!isOver) {
        times++
        expect(waited, `call ${k}`).toBeGreaterThanOrEqual(50)
        expect(waited, `call ${k}`).toBeLessThan(3000)
      }
      expect(await store.list('run-1/lease/'), `call ${k}`).toEqual([])
      if (isOver) break
    }
    expect(times).toBeGreaterThan(5)
  })

  test('for long is told as what it is, once it was asked four times', async () => {
    const store = await newRun(isNew)
    const clock = virtualClock()
    const { failing: dead, state } = failing(store, busy)
    await expect(open(dead, { clock })).rejects.toMatchObject({
      code: 'ERR_PAWL_CHECKPOINT_WRITE',
      cause: { code: 'SlowDown' },
      message: expect.stringMatching(/^Cannot open the checkpoint of run 'run-1': expected the store to answer, got reduce /),
    })
    expect([state.calls, clock.time]).toEqual([4, 0.75 * 2100])
  })

  test.each(['EACCES', 'ENOTDIR', 'ENOENT', 'ENOSPC'])('with %s is not asked again', async (code) => {
    const store = await newRun(isNew)
    const clock = virtualClock()
    const { failing: dead, state } = failing(store, () => Object.assign(new Error(code), { code }))
    await expect(open(dead, { clock })).rejects.toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_WRITE', cause: { code } })
    expect([state.calls, clock.time]).toEqual([1, 0])
  })
})

test('a store that fails as what is on record is read, for long, is told like one that fails before', async () => {
  const store = await newRun(false)
  let isDead = false
  const { failing: dying } = failing(store, () => (isDead ? busy() : undefined))
  const session = await open(dying, { clock: virtualClock() })
  isDead = true
  await expect(readAll(session.restored)).rejects.toMatchObject({
    code: 'ERR_PAWL_CHECKPOINT_WRITE',
    cause: { code: 'SlowDown' },
    message: expect.stringContaining("Cannot open the checkpoint of run 'run-1': expected the store to answer"),
  })
  isDead = false
  await session.close()
})
