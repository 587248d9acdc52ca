import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Claim, readClaims } from '../../src/checkpoint/claims/claim.ts'
import { acquireLease } from '../../src/checkpoint/claims/lease.ts'
import { herePlace } from '../../src/checkpoint/claims/place.ts'
import { answering } from '../../src/checkpoint/patience/answering.ts'
import { createHaste } from '../../src/checkpoint/patience/haste.ts'
import type { Clock } from '../../src/clock.ts'
import { fileStore } from '../../src/store/file.ts'
import type { Store } from '../../src/store/store.ts'
import { virtualClock } from './fixture.ts'

const take = (store: Store, writer: string, clock: Clock = virtualClock()) =>
  acquireLease({ store, runId: 'run-1', writer, shard: undefined, clock })

const writers = async (store: Store) => (await readClaims(store, 'run-1')).map(({ writer }) => writer)

const newStore = () => fileStore(mkdtempSync(join(tmpdir(), 'pawl-')))

/** A file store of which the `late`-th put, from 1, waits for `land`, which resolves when it has come to pass. `asked` hears of it. */
function lateStore(late: number, asked: () => void = () => {}) {
  const inner = newStore()
  let land!: () => Promise<void>
  let puts = 0
  const put: Store['put'] = (key, ...given) => {
    if (++puts !== late) return inner.put(key, ...given)
    return new Promise((resolve, reject) => {
      land = () => inner.put(key, ...given).then(resolve, reject)
      asked()
    })
  }
  return { inner, store: { ...inner, put }, land: () => land() }
}

describe.each([
  ['before it was known whether others are at work', 1],
  ['as it was to be held', 2],
])('a claim that was given up %s, and is there after all', (_, late) => {
  test('is that of a session at an end, for all of this process', async () => {
    let giveUp!: (error: Error) => void
    const givenUp = new Promise<never>((_, reject) => {
      giveUp = reject
    })
    const { inner, store, land } = lateStore(late, () => giveUp(new Error('given up')))
    const put: Store['put'] = (...given) => Promise.race([store.put(...given), givenUp])
    await expect(take({ ...store, put }, `a${late}`)).rejects.toThrow('given up')
    await land()
    expect(await writers(inner)).toEqual([`a${late}`])
    const clock = virtualClock()
    const { dead, ended, release } = await take(inner, 'b', clock)
    expect({ dead, ended, time: clock.time }).toEqual({ dead: [`a${late}`], ended: [`a${late}`], time: 0 })
    await release()
  })

  test('is given back once more', async () => {
    const told = new AbortController()
    const { inner, store, land } = lateStore(late, () => told.abort())
    // The patience with that put is over at once, that with what follows never.
    let waits = 5
    const sleep = () => new Promise<void>((resolve) => void (waits-- > 0 && resolve()))
    const clock = { ...virtualClock(), sleep }
    const answered = answering(store, { runId: 'run-1', clock, haste: createHaste(told.signal, clock) })
    await expect(take(answered, `c${late}`)).rejects.toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_WRITE' })
    await land()
    await expect.poll(() => writers(inner)).toEqual([])
  })
})

describe('a live session that has yet to decide', () => {
  const looking = async (store: Store, writer: string, beatAt: number) => {
    const claim: Claim = { ...herePlace(), writer, shard: null, startedAt: 0, isHeld: false, isEnded: false, beatAt }
    await store.put(`run-1/lease/${writer}`, Buffer.from(JSON.stringify(claim)), { replace: true })
  }

  test('is not waited for when it does not beat for 15 s', async () => {
    const store = newStore()
    await looking(store, 'first', 1)
    const clock = virtualClock()
    await expect(take(store, 'second', clock)).rejects.toMatchObject({
      code: 'ERR_PAWL_RUN_LOCKED',
      holder: { pid: process.pid },
    })
    expect(clock.time).toBeGreaterThanOrEqual(15_000)
    expect(clock.time).toBeLessThan(17_000)
    expect(await writers(store)).toEqual(['first'])
  })

  test('is waited for as long as it beats', async () => {
    const store = newStore()
    await looking(store, 'first', 1)
    const clock = virtualClock()
    const { sleep } = clock
    clock.sleep = async (ms) => {
      await sleep(ms)
      if (clock.time < 60_000) await looking(store, 'first', clock.time)
      else await store.delete('run-1/lease/first')
    }
    const lease = await take(store, 'second', clock)
    expect(clock.time).toBeGreaterThanOrEqual(60_000)
    await lease.release()
  })
})
