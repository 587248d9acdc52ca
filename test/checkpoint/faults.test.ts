import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createHaste } from '../../src/checkpoint/patience/haste.ts'
import { verifyRun } from '../../src/checkpoint/stored/runs.ts'
import { fileStore } from '../../src/store/file.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Log, Store } from '../../src/store/store.ts'
import { abandon, failing, type Opened, open, outcomes, readAll, rejection, virtualClock } from './fixture.ts'

const failure = (code: string) => Object.assign(new Error(`${code}: injected`), { code })

/** A store whose segments fail as `fault` says: it is asked before each call, and throws to make it fail. */
function faulty(store: Store, fault: (call: 'append' | 'write' | 'sync') => 'short' | undefined): Store {
  const wrap = (log: Log): Log => ({
    write: async (bytes) => {
      if (fault('write') !== 'short') return log.write(bytes)
      await log.write(bytes.subarray(0, bytes.length >>> 1))
      throw failure('ENOSPC')
    },
    sync: async () => {
      fault('sync')
      return log.sync()
    },
    close: () => log.close(),
  })
  return {
    ...store,
    append: async (key) => {
      fault('append')
      return wrap((await store.append?.(key)) as Log)
    },
  }
}

describe('a store that fails for a while', () => {
  test.each(['append', 'write', 'sync', 'short'] as const)(
    'at %s: goes on in a new segment, and loses nothing',
    async (where) => {
      const store = memoryStore()
      const seen: string[] = []
      let isBroken = false
      let tries = 0
      const clock = virtualClock()
      const flaky = faulty(store, (call) => {
        seen.push(call)
        if (!isBroken || (call !== where && !(where === 'short' && call === 'write'))) return undefined
        if (++tries > 5) isBroken = false
        if (where === 'short') return 'short'
        throw failure('EIO')
      })
      const session = await open(flaky, { clock, format: 'json' })
      session.record(outcomes([0, 1]))
      await session.flush()
      isBroken = where !== 'append'
      if (where === 'append') await failOnce(session)
      session.record(outcomes([2, 3]))
      const flushing = session.flush()
      await flushing
      expect(session.backlog).toBeUndefined()
      session.record(outcomes([4]))
      await session.close()
      expect(session.failures).toEqual([])
      const next = await open(store)
      expect((await readAll(next.restored)).values.size).toBe(5)
      expect(next.restored).toMatchObject({ damaged: 0, conflicts: 0 })
      await next.close()
      if (where !== 'append') expect(seen.filter((call) => call === 'append').length).toBeGreaterThan(1)

      /** The next segment cannot be opened at first: the one before is left after a failed write. */
      async function failOnce(given: typeof session) {
        expect(given.backlog).toBeUndefined()
        isBroken = true
      }
    },
  )

  test('is a backlog as long as it fails, and never synced again after a failed sync', async () => {
    const calls: string[] = []
    let isBroken = true
    const clock = virtualClock()
    const session = await open(
      faulty(memoryStore(), (call) => {
        calls.push(call)
        if (isBroken && call === 'sync') throw failure('EIO')
        return undefined
      }),
      { clock },
    )
    const { sleep } = clock
    const backlogs: unknown[] = []
    clock.sleep = async (ms, signal) => {
      if (ms < 500_000) backlogs.push(session.backlog)
      if (backlogs.length === 3) isBroken = false
      return sleep(ms, signal)
    }
    session.record(outcomes([0]))
    await session.flush()
    expect(backlogs.slice(0, 3).every((backlog) => backlog instanceof Promise)).toBe(true)
    await backlogs[0]
    expect(session.backlog).toBeUndefined()
    expect(calls.join(' ')).toBe('append write sync append write sync append write sync append write sync')
    await session.close()
  })
})

test('an outcome that no file can hold ends the run at once, with what was flushed before', async () => {
  const store = memoryStore()
  const small: Store = {
    ...store,
    append: async (key) => {
      const log = (await store.append?.(key)) as Log
      let size = 0
      return {
        ...log,
        write: async (bytes) => {
          size += bytes.length
          if (size > 4000) throw failure('EFBIG')
          await log.write(bytes)
        },
      }
    },
  }
  const clock = virtualClock()
  const session = await open(small, { clock })
  session.record(outcomes(Array.from({ length: 500 }, (_, n) => n)))
  await session.flush()
  session.record(outcomes([500], () => 'x'.repeat(5000)))
  await expect(session.flush()).rejects.toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_WRITE', cause: { code: 'EFBIG' } })
  expect(clock.time).toBe(0)
  expect(session.failures).toMatchObject([
    { message: expect.stringContaining('files as large as what has to be kept of one item') },
  ])
  await session.close().catch(() => {})
  const next = await open(store)
  expect(next.restored.fulfilled).toBe(500)
  await next.close()
})

describe('a file in place of the folder of segments', () => {
  const replaceFolder = async (directory: string) => {
    await rm(join(directory, 'run-1/seg'), { recursive: true })
    await writeFile(join(directory, 'run-1/seg'), '')
  }
  const damaged = ({ events }: Opened) =>
    events.flatMap(({ payload }) => ((payload as { code?: string }).code === 'CHECKPOINT_DAMAGED' ? [payload] : []))
  const TOLD = [
    { code: 'CHECKPOINT_DAMAGED', message: expect.stringContaining('were deleted, cut or replaced while it was at work') },
  ]

  test.each(['fsync', 'none'] as const)('is told once as more is recorded, which nothing then takes (%s)', async (durability) => {
    const directory = await mkdtemp(join(tmpdir(), 'pawl-'))
    const session = await open(fileStore(directory), { clock: virtualClock(), durability })
    session.record(outcomes([0, 1]))
    await session.flush()
    await replaceFolder(directory)
    session.record(outcomes([2]))
    const sentence = /EEXIST.*\. Files of what was saved before were deleted, cut or replaced: see to the store, then run again$/
    await expect(session.flush()).rejects.toMatchObject({
      code: 'ERR_PAWL_CHECKPOINT_WRITE',
      message: expect.stringMatching(sentence),
    })
    await expect(session.close()).rejects.toThrow()
    expect(damaged(session)).toEqual(TOLD)
  })

  test.each([true, false])('is told as the session closes (its segment was left before: %j)', async (isLeft) => {
    const directory = await mkdtemp(join(tmpdir(), 'pawl-'))
    let isBroken = false
    const store = faulty(fileStore(directory), (call) => {
      if (isBroken && call === 'write') throw failure('EIO')
      return undefined
    })
    const session = await open(store, { clock: virtualClock() })
    session.record(outcomes([0, 1]))
    await session.flush()
    isBroken = isLeft
    if (isLeft) await session.begin({ indices: Uint32Array.of(2) })
    await replaceFolder(directory)
    isBroken = false
    await session.close()
    expect(damaged(session)).toEqual(TOLD)
  })
})

describe('something in place of the folder of the claim, as the process goes on after it was stopped', () => {
  /** Until the claim is to be renewed, with a session that has recorded and a file where `folder` was. */
  async function stoppedWithout(folder: string) {
    const directory = await mkdtemp(join(tmpdir(), 'pawl-'))
    const clock = virtualClock()
    const session = await open(fileStore(directory), { clock })
    session.record(outcomes([0, 1]))
    await session.flush()
    await rm(join(directory, folder), { recursive: true })
    await writeFile(join(directory, folder), '')
    clock.time += 60_000
    session.record(outcomes([2]))
    return session
  }
  const codes = ({ events }: Opened) => events.flatMap(({ payload }) => (payload as { code?: string }).code ?? [])

  test('is not told as files that are deleted: what was saved is safe', async () => {
    const session = await stoppedWithout('run-1/lease')
    await expect(session.flush()).rejects.toThrow(/EEXIST.*\. What was saved before is safe: see to the store, then run again$/)
    await expect(session.close()).rejects.toThrow()
    expect(codes(session)).toEqual([])
  })

  test('is told so when the segments went with it', async () => {
    const session = await stoppedWithout('run-1')
    await expect(session.flush()).rejects.toThrow(
      /\. Files of what was saved before were deleted, cut or replaced: see to the store/,
    )
    await expect(session.close()).rejects.toThrow()
    expect(codes(session)).toEqual(['CHECKPOINT_DAMAGED'])
  })
})

describe('a store that fails for good', () => {
  test('ends the run with CheckpointWriteError after 30 s', async () => {
    const clock = virtualClock()
    const session = await open(
      faulty(memoryStore(), () => {
        throw failure('ENOSPC')
      }),
      { clock },
    )
    session.record(outcomes([0]))
    await expect(session.flush()).rejects.toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_WRITE', cause: { code: 'ENOSPC' } })
    expect(clock.time).toBeGreaterThanOrEqual(30_000)
    expect(clock.time).toBeLessThan(31_000)
    expect(session.failures).toMatchObject([{ code: 'ERR_PAWL_CHECKPOINT_WRITE' }])
    session.record(outcomes([1]))
    expect(session.backlog).toBeUndefined()
    await expect(session.close()).rejects.toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_WRITE' })
    expect(session.failures).toHaveLength(1)
  })

  test("with onError: 'warn' says so once and goes on without saving", async () => {
    const store = memoryStore()
    const broken = faulty(store, () => {
      throw failure('EROFS')
    })
    const session = await open(broken, { clock: virtualClock(), onError: 'warn' })
    session.record(outcomes([0]))
    await session.flush()
    session.record(outcomes([1]))
    await session.flush()
    await session.close()
    expect(session.failures).toEqual([])
    expect(session.events.filter(({ event }) => event === 'warning')).toMatchObject([{ payload: { code: 'CHECKPOINT_OFF' } }])
    const next = await open(store)
    expect(next.events).toEqual([])
    await next.close()
    expect(await store.list('run-1/lease/')).toEqual([])
  })

  test("with onError: 'warn' leaves the claim of a killed session to whoever can say that it died", async () => {
    const store = memoryStore()
    const killed = await open(store)
    killed.begin({ indices: Uint32Array.of(3, 4) })
    killed.record(outcomes([3]))
    await killed.flush()
    await abandon(store, killed)
    const broken = faulty(store, () => {
      throw failure('ENOSPC')
    })
    const session = await open(broken, { clock: virtualClock(), onError: 'warn' })
    session.record(outcomes([5]))
    await session.close()
    expect((await verifyRun(store, 'run-1')).damaged).toEqual([])
    const next = await open(store)
    expect(next.events).toEqual([])
    expect(next.restored.isSuspect(4)).toBe(true)
    await next.close()
    expect(await verifyRun(store, 'run-1')).toEqual({ ok: true, damaged: [] })
  })

  test.each([
    ['is at work', 'Going on without saving'],
    ['was told to end', 'The run ends without saving the rest'],
    ['closes', 'The run ends without saving the rest'],
  ])("with onError: 'warn' says what comes of a run that %s: %s", async (when, rest) => {
    const broken = faulty(memoryStore(), () => {
      throw failure('EROFS')
    })
    const abort = new AbortController()
    const session = await open(broken, { clock: virtualClock(), onError: 'warn', draining: abort.signal })
    session.record(outcomes([0]))
    if (when === 'was told to end') abort.abort(new Error('enough'))
    if (when !== 'closes') await session.flush()
    await session.close()
    const message = expect.stringMatching(new RegExp(`, got EROFS.*\\. ${rest}$`))
    const warnings = session.events.filter(({ event }) => event === 'warning')
    expect(warnings).toEqual([{ event: 'warning', payload: { code: 'CHECKPOINT_OFF', message } }])
  })

  test.each([
    ['of the log only', false],
    ['of claims too', true],
  ])('leaves a run that is not damaged, and that anybody can take up at once: %s', async (_, isAll) => {
    const store = memoryStore()
    let isBroken = false
    const refuse = () => {
      if (isBroken) throw failure('ENOSPC')
      return undefined
    }
    const broken: Store = {
      ...faulty(store, refuse),
      put: async (...given) => {
        if (isAll) refuse()
        await store.put(...given)
      },
      delete: async (key) => {
        if (isAll) refuse()
        await store.delete(key)
      },
    }
    const session = await open(broken, { clock: virtualClock() })
    session.record(outcomes([0]))
    await session.flush()
    isBroken = true
    session.record(outcomes([1]))
    await expect(session.close()).rejects.toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_WRITE' })
    expect(await verifyRun(store, 'run-1')).toMatchObject({ ok: true, damaged: [] })
    const next = await open(store)
    expect(next.events).toEqual([])
    expect(next.restored.fulfilled).toBe(1)
    await next.close()
    expect(await verifyRun(store, 'run-1')).toMatchObject({ ok: true })
    expect(await store.list('run-1/lease/')).toEqual([])
  })
})

describe('a store that fails while the run is told to end', () => {
  /** A session whose store fails from `failsAt` until `healsAt`, and that is told to end at `toldAt`, by `deadline`; ms. */
  async function flushed({ failsAt = 0, healsAt = Number.POSITIVE_INFINITY, toldAt = 0, deadline }: Times) {
    const abort = new AbortController()
    const clock = virtualClock()
    const tries: number[] = []
    clock.sleep = async (ms, signal) => {
      if (ms >= 500_000) return new Promise<void>(() => {})
      await Promise.resolve()
      const isCut = !abort.signal.aborted && clock.time + ms >= toldAt
      clock.time = isCut ? toldAt : clock.time + ms
      if (isCut) abort.abort(new Error('told to end'))
      // As the contract of a clock has it: whoever gave no signal sleeps on.
      if (isCut && signal === undefined) clock.time += ms
      if (isCut && signal !== undefined) throw signal.reason
    }
    const store = faulty(memoryStore(), (call) => {
      if (call !== 'write' || clock.time < failsAt || clock.time >= healsAt) return undefined
      tries.push(clock.time)
      throw failure('ENOSPC')
    })
    const session = await open(store, { clock, haste: createHaste(abort.signal, clock, deadline) })
    if (toldAt < failsAt) {
      clock.time = toldAt
      abort.abort(new Error('told to end'))
    }
    clock.time = failsAt
    session.record(outcomes([0]))
    const error = await session.flush().then(
      () => undefined,
      (reason: Error) => reason,
    )
    const expected = /take it (within [\d.]+ s(?:, as the run was told to end)?), got ENOSPC/.exec(error?.message ?? '')?.[1]
    await session.close().catch(() => {})
    return { endedAt: clock.time, tries, expected }
  }
  interface Times {
    readonly failsAt?: number
    readonly healsAt?: number
    readonly toldAt?: number
    readonly deadline?: number
  }

  test.each<[string, Times, number, string]>([
    ['5 s from then on', { toldAt: 10_000 }, 15_000, 'within 15.0 s, as the run was told to end'],
    [
      '5 s from then on, when it fails a little later',
      { toldAt: 0, failsAt: 2000 },
      5000,
      'within 3.0 s, as the run was told to end',
    ],
    [
      '1 s, when it fails only at the end of a long drain',
      { failsAt: 60_000 },
      61_000,
      'within 1.0 s, as the run was told to end',
    ],
    ['no longer than any other run', { toldAt: 28_000 }, 30_000, 'within 30 s'],
    [
      'half of the time until a deadline, and is woken for it',
      { toldAt: 10_000, deadline: 12_000 },
      11_000,
      'within 11.0 s, as the run was told to end',
    ],
    ['once when the deadline is over', { failsAt: 20_000, deadline: 12_000 }, 20_000, 'within 0.0 s, as the run was told to end'],
    [
      '5 s, though the deadline is far',
      { toldAt: 10_000, deadline: 100_000 },
      15_000,
      'within 15.0 s, as the run was told to end',
    ],
  ])('is tried %s', async (_, times, endedAt, expected) => {
    const ended = await flushed(times)
    expect({ endedAt: ended.endedAt, expected: ended.expected }).toEqual({ endedAt, expected })
  })

  test('is tried a few times all the same, and saves when that helps', async () => {
    for (const times of [{ toldAt: 10_000 }, { toldAt: 10_000, deadline: 12_000 }, { failsAt: 60_000 }]) {
      const { tries, endedAt } = await flushed(times)
      const begin = Math.max(times.toldAt ?? 0, times.failsAt ?? 0)
      expect(tries.filter((at) => at >= begin).length).toBeGreaterThanOrEqual(3)
      const { expected } = await flushed({ ...times, healsAt: endedAt - 1 })
      expect(expected).toBeUndefined()
    }
  })
})

test('a store that does not answer when a session opens is told as such', async () => {
  const store = { ...memoryStore(), put: () => Promise.reject(failure('EROFS')) }
  await expect(open(store)).rejects.toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_WRITE', cause: { code: 'EROFS' } })
})

test('two sessions at once, of whom neither heeds the other, lose nothing, and agree on the outcome', async () => {
  const store = memoryStore()
  const [one, two] = [await open(store), await open(store, { isLeaseIgnored: true, format: 'json' })]
  one.record(outcomes([0, 1, 2], (index) => `one ${index}`))
  two.record(outcomes([2, 3], (index) => `two ${index}`))
  two.record(failing(rejection(0, new Error('not for two'))))
  one.record(failing(rejection(7, new Error('for both'))))
  await Promise.all([one.flush(), two.flush()])
  one.record(outcomes([4], () => 'same'))
  two.record(outcomes([4], () => 'same'))
  await Promise.all([one.close(), two.close()])
  const session = await open(store)
  expect(session.restored).toMatchObject({ fulfilled: 5, rejected: 1, conflicts: 1 })
  const { values, rejected } = await readAll(session.restored)
  const winner = one.writer < two.writer ? 'one' : 'two'
  expect(Object.fromEntries(values)).toEqual({ 0: 'one 0', 1: 'one 1', 2: `${winner} 2`, 3: 'two 3', 4: 'same' })
  expect(rejected).toMatchObject([{ index: 7 }])
  await session.close()
})

describe('items in flight as their process died', () => {
  test('are suspects until they settle; one that then dies alone is charged with every death it was at', async () => {
    const store = memoryStore()
    const first = await open(store)
    first.begin({ indices: Uint32Array.of(1, 2, 3) })
    first.record(outcomes([2]))
    await first.flush()
    await abandon(store, first)
    const second = await open(store)
    expect([1, 2, 3, 4].map((index) => second.restored.isSuspect(index))).toEqual([true, false, true, false])
    expect(second.restored.historyOf(1)).toBeUndefined()
    second.begin({ indices: Uint32Array.of(3), alone: true })
    second.record(outcomes([50]))
    await second.flush()
    await abandon(store, second)
    const third = await open(store)
    expect([1, 3].map((index) => third.restored.isSuspect(index))).toEqual([true, true])
    expect(third.restored.historyOf(3)).toMatchObject({ attempts: 2, crashes: 2 })
    expect(third.restored.historyOf(1)).toBeUndefined()
    third.record(outcomes([1, 3]))
    await third.close()
    const fourth = await open(store)
    expect([1, 3].map((index) => fourth.restored.isSuspect(index))).toEqual([false, false])
    await fourth.close()
  })

  test('count only deaths alone once a death is left that nobody charged was at', async () => {
    const store = memoryStore()
    const die = async (indices: number[], alone: boolean, settled: number[]) => {
      const session = await open(store)
      const history = session.restored.historyOf(3)
      if (alone) for (const index of indices) session.begin({ indices: Uint32Array.of(index), alone })
      else session.begin({ indices: Uint32Array.from(indices) })
      session.record(outcomes(settled))
      await session.flush()
      await abandon(store, session)
      return history
    }
    await die([3, 4], false, [])
    await die([4, 3], true, [4])
    expect(await die([5, 6], false, [])).toMatchObject({ crashes: 2 })
    // Nobody charged was at the third death, and one of those alone may have been of that kind.
    const fourth = await open(store)
    expect(fourth.restored.historyOf(3)).toBeUndefined()
    expect(fourth.restored.isPutOff(3)).toBe(true)
    await fourth.close()
  })

  test("are charged alike, whoever died before resume: 'fresh' discarded what was on record", async () => {
    const store = memoryStore()
    const die = async (resume: true | 'fresh', alone: boolean) => {
      const session = await open(store, { resume })
      session.begin({ indices: Uint32Array.of(3), ...(alone ? { alone } : {}) })
      session.record(outcomes([50]))
      await session.flush()
      await abandon(store, session)
    }
    for (const resume of [true, 'fresh'] as const) {
      await die(resume, false)
      await die(true, true)
      const session = await open(store)
      expect(session.restored.historyOf(3)).toMatchObject({ attempts: 2, crashes: 2 })
      expect(session.restored.isPutOff(3)).toBe(false)
      await abandon(store, session)
    }
  })

  test('are no suspects when their session ended on its own', async () => {
    const store = memoryStore()
    const first = await open(store)
    first.begin({ indices: Uint32Array.of(1) })
    await first.close()
    const second = await open(store)
    expect(second.restored.isSuspect(1)).toBe(false)
    await second.close()
  })

  test('are on their way to the store when begin() returns', async () => {
    const written: string[] = []
    const store = memoryStore()
    const session = await open(
      faulty(store, (call) => {
        written.push(call)
        return undefined
      }),
    )
    session.record(outcomes([0]))
    await session.flush()
    const before = written.length
    session.begin({ indices: Uint32Array.of(5) })
    expect(written.slice(before)).toEqual(['write'])
    await session.close()
  })
})

test.each(['write', 'sync', 'note'] as const)(
  'what began before the first flush is a suspect also if that failed at first, at %s, and no file is left for it',
  async (where) => {
    const memory = memoryStore()
    let isBroken = where === 'note'
    const store = faulty(memory, (call) => {
      if (!isBroken || call !== (where === 'note' ? 'write' : where)) return undefined
      isBroken = false
      throw failure('EIO')
    })
    const session = await open(store, { clock: virtualClock() })
    await session.begin({ indices: Uint32Array.of(5) })
    await session.begin({ indices: Uint32Array.of(6), alone: true })
    isBroken = where !== 'note'
    session.record(outcomes([0]))
    await session.flush()
    expect(isBroken).toBe(false)
    expect(await memory.list('run-1/seg/')).toHaveLength(1)
    await abandon(memory, session)
    const next = await open(memory)
    const { isSuspect, statusOf, conflicts } = next.restored
    expect([isSuspect(5), isSuspect(6), statusOf(0), conflicts]).toEqual([true, true, 'fulfilled', 0])
    await next.close()
    expect(await verifyRun(memory, 'run-1')).toEqual({ ok: true, damaged: [] })
  },
)

test('a segment that failed is there until all that is in it was saved again: another session may count on it', async () => {
  const store = memoryStore()
  const steps: string[] = []
  let fails = 1
  const append = async (key: string) => {
    const log = await (store.append as NonNullable<Store['append']>)(key)
    const sync = async () => {
      if (fails-- > 0) throw failure('EIO')
      steps.push(`saved ${key.slice(-9, -8)}`)
      await log.sync()
    }
    return { ...log, sync }
  }
  const remove = (key: string) => {
    if (key.includes('/seg/')) steps.push(`deleted ${key.slice(-9, -8)}`)
    return store.delete(key)
  }
  const session = await open({ ...store, append, delete: remove }, { clock: virtualClock() })
  session.record(outcomes([0]))
  await session.flush()
  expect(steps).toEqual(['saved 1', 'deleted 0'])
  await session.close()
})
