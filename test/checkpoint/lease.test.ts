import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { overlaps, readClaims, seemsAlive } from '../../src/checkpoint/claims/claim.ts'
import { acquireLease, type Lease } from '../../src/checkpoint/claims/lease.ts'
import { herePlace, livesAt, NOWHERE, type Place } from '../../src/checkpoint/claims/place.ts'
import type { Clock } from '../../src/clock.ts'
import { nameShard, type Shard, shardOf } from '../../src/items/shard.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import { abandon, open, outcomes, virtualClock } from './fixture.ts'

const ELSEWHERE: Place = { host: 'elsewhere', bootId: 'b', pidNamespace: 'n', pid: 1, processStart: '1' }

async function claim(store: Store, writer: string, change: object): Promise<void> {
  const base = { writer, shard: null, startedAt: 0, isHeld: true, beatAt: 0, ...ELSEWHERE }
  await store.put(`run-1/lease/${writer}`, Buffer.from(JSON.stringify({ ...base, ...change, writer })), { replace: true })
}

const take = (store: Store, writer: string, given: { clock?: Clock; shard?: string; place?: Place } = {}) =>
  acquireLease({ store, runId: 'run-1', writer, shard: given.shard, clock: virtualClock(), ...given })

describe('a lease on the same machine', () => {
  test('refuses a second session as long as the first is at work, this process included', async () => {
    const store = memoryStore()
    const first = await open(store)
    await expect(open(store)).rejects.toMatchObject({
      ...{ code: 'ERR_PAWL_RUN_LOCKED', holder: { pid: process.pid } },
      message: expect.stringMatching(
        `got process ${process.pid} on .*, which is this one, at it for \\d+ s\\. Wait for that run to end before`,
      ),
    })
    expect(await store.list('run-1/lease/')).toHaveLength(1)
    await first.close()
    await (await open(store)).close()
  })

  test('is given up by a session that ended, or could not begin, though the store lets go of nothing', async () => {
    const whole = memoryStore()
    const fault = { puts: false, lists: false }
    const fail = () => Promise.reject(new Error('the store is out of order'))
    const store: Store = {
      ...whole,
      put: (...args) => (fault.puts ? fail() : whole.put(...args)),
      list: (...args) => (fault.lists ? fail() : whole.list(...args)),
      delete: fail,
    }
    const first = await take(store, 'a')
    await first.release()
    const second = await take(store, 'b')
    fault.puts = true
    await second.release()
    fault.puts = false
    fault.lists = true
    await expect(take(store, 'c')).rejects.toThrow('out of order')
    fault.lists = false
    expect((await take(store, 'd')).dead.toSorted()).toEqual(['a', 'b', 'c'])
  })

  test('names the process that holds it, and goes to the next at once when that was killed', async () => {
    const store = memoryStore()
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'])
    await once(child, 'spawn')
    const mine = await take(store, 'm')
    const { readFileSync } = await import('node:fs')
    const stat = readFileSync(`/proc/${child.pid}/stat`, 'utf8')
    const processStart = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
    await claim(store, 'theirs', { ...(await readClaims(store, 'run-1'))[0], pid: child.pid, processStart })
    await mine.release()
    const clock = virtualClock()
    await expect(take(store, 'second', { clock })).rejects.toMatchObject({ holder: { pid: child.pid, age: expect.any(Number) } })
    child.kill('SIGKILL')
    await once(child, 'exit')
    const lease = await take(store, 'third', { clock })
    expect(lease.dead).toEqual(['theirs'])
    expect(clock.time).toBe(0)
    await lease.bury(store)
    expect((await readClaims(store, 'run-1')).map(({ writer }) => writer)).toEqual(['third'])
    await lease.release()
  })

  test('is watched where /proc is of another namespace: what that says of a number is of another process', () => {
    const there = { ...herePlace(), pidNamespace: '' }
    expect(livesAt(there, there)).toBeUndefined()
    expect([livesAt(there), livesAt(herePlace())]).toEqual([undefined, true])
    const nowhere = { ...NOWHERE, pid: process.pid }
    expect(livesAt(nowhere, nowhere)).toBe(true) // Where there is no /proc, a signal tells.
  })

  test('is not fooled by a process that has the number of a dead one', async () => {
    const store = memoryStore()
    const first = await open(store)
    await abandon(store, first)
    const second = await open(store)
    await second.close()
    expect(await store.list('run-1/lease/')).toEqual([])
  })

  test('lets sessions of different shards work at once, and refuses one of the same, or of all', async () => {
    const store = memoryStore()
    const first = await open(store, { shard: '1/2' })
    const second = await open(store, { shard: '2/2' })
    await expect(open(store, { shard: '2/2' })).rejects.toMatchObject({ code: 'ERR_PAWL_RUN_LOCKED' })
    await expect(open(store)).rejects.toMatchObject({ code: 'ERR_PAWL_RUN_LOCKED' })
    await Promise.all([first.close(), second.close()])
  })

  test.each([
    ['a run that was there', true, 'run-1/seg/'],
    ['a new run', false, 'run-1/'],
    ['a new run, whose manifest it makes', false, 'run-1/run/'],
  ])('knows one of another shard that begins between the looks at claims and at files, of %s', async (_, isThere, place) => {
    const inner = memoryStore()
    if (isThere) await (await open(inner)).close()
    let other: Awaited<ReturnType<typeof open>> | undefined
    const beginAt = async (isThen: boolean) => {
      if (!isThen || other) return
      other = await open(inner, { shard: '2/2' })
      await other.begin({ indices: Uint32Array.of(1) })
    }
    const store: Store = {
      ...inner,
      list: async (prefix) => {
        await beginAt(prefix === place && prefix !== 'run-1/run/')
        return inner.list(prefix)
      },
      put: async (key, ...given) => {
        await beginAt(place === 'run-1/run/' && key.startsWith(place))
        return inner.put(key, ...given)
      },
    }
    const session = await open(store, { shard: '1/2' })
    expect(session.events).toEqual([])
    session.record(outcomes([0]))
    await session.close()
    await abandon(inner, other as NonNullable<typeof other>)
    const next = await open(inner)
    expect(next.restored.isSuspect(1)).toBe(true)
    await next.close()
  })

  test('refuses a shard that may have items of one at work, whatever the counts', async () => {
    const store = memoryStore()
    const first = await take(store, 'a', { shard: '1/2' })
    await expect(take(store, 'b', { shard: '3/4' })).rejects.toMatchObject({ code: 'ERR_PAWL_RUN_LOCKED' })
    await expect(take(store, 'b', { shard: '3/3' })).rejects.toMatchObject({ code: 'ERR_PAWL_RUN_LOCKED' })
    const other = await take(store, 'c', { shard: '4/4' })
    await Promise.all([first.release(), other.release()])
  })

  test('goes to one of several that ask at once', async () => {
    const store = memoryStore()
    const tries = await Promise.allSettled(['a', 'b', 'c', 'd'].map((writer) => take(store, writer)))
    expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(await store.list('run-1/lease/')).toHaveLength(1)
    for (const it of tries) if (it.status === 'fulfilled') await it.value.release()
  })
})

describe('a lease from elsewhere', () => {
  test('goes to one of several machines that ask at once, and to the others not even later', async () => {
    const store = memoryStore()
    const clock = virtualClock()
    const { sleep } = clock
    const winners: Lease[] = []
    clock.sleep = async (ms) => {
      await sleep(ms)
      for (const winner of winners) await winner.renew() // As its timer would, on the real time.
    }
    const tries = await Promise.allSettled(
      ['a', 'b', 'c'].map(async (writer) =>
        winners.push(await take(store, writer, { clock, place: { ...ELSEWHERE, host: `host-${writer}` } })),
      ),
    )
    expect(tries.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected'])
    for (const it of tries)
      if (it.status === 'rejected') expect(it.reason).toMatchObject({ code: 'ERR_PAWL_RUN_LOCKED', holder: { host: 'host-a' } })
    expect((await readClaims(store, 'run-1')).map(({ writer }) => writer)).toEqual(['a'])
    for (const winner of winners) await winner.release()
  })

  test('is not waited for once the run is to stop, and that somebody waits is told', async () => {
    const store = memoryStore()
    await claim(store, 'theirs', {})
    const clock = virtualClock()
    const drain = new AbortController()
    const reason = new Error('SIGTERM')
    const warnings: unknown[] = []
    const { sleep } = clock
    clock.sleep = async (ms) => {
      await sleep(ms)
      if (clock.time > 3000) drain.abort(reason)
    }
    const emit = (event: string, told: unknown) => void (event === 'warning' && warnings.push(told))
    const taken = acquireLease({ store, runId: 'run-1', writer: 'mine', shard: undefined, clock, emit, draining: drain.signal })
    await expect(taken).rejects.toMatchObject({ code: 'ERR_PAWL_ABORTED', cause: reason })
    expect(clock.time).toBeLessThan(5000)
    expect(warnings).toEqual([
      { code: 'RUN_WATCHED', message: expect.stringMatching(/process 1 on elsewhere: waiting for up to 15 s/) },
    ])
    expect((await readClaims(store, 'run-1')).map(({ writer }) => writer)).toEqual(['theirs'])
  })

  test('is taken over when it does not beat for 15 s', async () => {
    const store = memoryStore()
    await claim(store, 'theirs', {})
    const clock = virtualClock()
    const lease = await take(store, 'mine', { clock })
    expect(clock.time).toBeGreaterThanOrEqual(15_000)
    expect(clock.time).toBeLessThan(17_000)
    expect(lease.dead).toEqual(['theirs'])
    await lease.release()
  })

  test('refuses when it beats', async () => {
    const store = memoryStore()
    await claim(store, 'theirs', {})
    const clock = virtualClock()
    const { sleep } = clock
    clock.sleep = async (ms) => {
      await sleep(ms)
      if (clock.time >= 5000) await claim(store, 'theirs', { beatAt: clock.time })
    }
    await expect(take(store, 'mine', { clock })).rejects.toMatchObject({ holder: { host: 'elsewhere', pid: 1 } })
    expect(clock.time).toBeLessThan(8000)
    expect((await readClaims(store, 'run-1')).map(({ writer }) => writer)).toEqual(['theirs'])
  })

  test('is what a claim of another boot of this machine is, too', async () => {
    const store = memoryStore()
    const mine = await take(store, 'a')
    const [own] = await readClaims(store, 'run-1')
    await mine.release()
    await claim(store, 'theirs', { ...own, bootId: 'another' })
    const clock = virtualClock()
    await (await take(store, 'mine', { clock })).release()
    expect(clock.time).toBeGreaterThanOrEqual(15_000)
  })

  test('seems alive in a list as long as it beat within a minute', async () => {
    const store = memoryStore()
    await claim(store, 'theirs', { beatAt: 100_000 })
    const [theirs] = await readClaims(store, 'run-1')
    expect([100_000, 159_000, 161_000].map((today) => theirs && seemsAlive(theirs, today))).toEqual([true, true, false])
  })
})

test('what is no claim is in nobody’s way', async () => {
  const store = memoryStore()
  for (const [at, text] of ['{', 'null', '[]', '{"pid":"x"}', '{"pid":1}'].entries())
    await store.put(`run-1/lease/w${at}`, Buffer.from(text))
  const lease = await take(store, 'mine')
  expect(lease.dead).toEqual([])
  await lease.release()
})

test('an empty claim is that of a session at an end', async () => {
  const store = memoryStore()
  await store.put('run-1/lease/theirs', new Uint8Array(0))
  const lease = await take(store, 'mine')
  expect(lease).toMatchObject({ dead: ['theirs'], ended: ['theirs'], others: [] })
  await lease.release()
})

test('a session that was stopped for long writes to a new segment, and counts nothing of before', async () => {
  const store = memoryStore()
  const clock = virtualClock()
  const session = await open(store, { clock })
  session.record({ fulfilled: [{ indices: Uint32Array.of(0), values: ['a'] }], rejected: [] })
  await session.flush()
  clock.time += 20_000
  session.record({ fulfilled: [{ indices: Uint32Array.of(1), values: ['b'] }], rejected: [] })
  await session.flush()
  expect(await store.list('run-1/seg/')).toHaveLength(2)
  await session.close()
  const next = await open(store)
  expect(next.restored.fulfilled).toBe(2)
  await next.close()
})

test('a lease that lapsed stays so, though it beats again, until it is renewed', async () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const store = memoryStore()
  const clock = virtualClock()
  const lease = await take(store, 'mine', { clock })
  clock.time += 20_000
  await vi.advanceTimersByTimeAsync(5000)
  expect((await readClaims(store, 'run-1')).map(({ beatAt }) => beatAt)).toEqual([clock.today()])
  expect(lease.isStale()).toBe(true)
  await lease.renew()
  expect(lease.isStale()).toBe(false)
  await lease.release()
})

test('shards overlap exactly when some item is in both', () => {
  const keys = Array.from({ length: 3000 }, (_, at) => `key ${at}`)
  const shards = [1, 2, 3, 4, 6, 8, 9].flatMap((count) => Array.from({ length: count }, (_, index) => ({ index, count })))
  const holds = ({ index, count }: Shard) => new Set(keys.filter((key) => shardOf(0, key, count) === index))
  const sets = shards.map(holds)
  for (const [at, one] of shards.entries()) {
    for (const [to, other] of shards.entries()) {
      const isShared = [...(sets[at] ?? [])].some((key) => sets[to]?.has(key))
      expect([nameShard(one), nameShard(other), overlaps(nameShard(one), nameShard(other))]).toEqual([
        nameShard(one),
        nameShard(other),
        isShared,
      ])
    }
  }
  expect(overlaps(null, '1/2') && overlaps('1/2', null) && overlaps('x', '1/2')).toBe(true)
})
