import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { RetryContext, RetryOptions } from '../../src/options/options.ts'
import { resolveOptions } from '../../src/options/resolve-options.ts'
import { retry } from '../../src/stages/retry.ts'
import type { Dispatch } from '../../src/stages/stage.ts'
import type { FailureKind, Rejection } from '../../src/types.ts'
import { answer, chunkOf, fakeEngine, fakeRun, globalClock, instantClock, summary, type Value } from './fake-run.ts'

const settings = (options: RetryOptions) => resolveOptions({ retry: options }).retry
const stage = (options: RetryOptions, counter?: { retries: number }) => retry<string, Value>(settings(options), counter)
const bad = () => new Error('bad')

describe('retry: what is tried again', () => {
  test('off, it is the next dispatch itself', () => {
    const { dispatch } = fakeEngine(() => undefined)
    expect(stage({ retries: 0 })(dispatch)).toBe(dispatch)
  })

  test('when nothing fails, the outcomes pass through untouched', async () => {
    const outcomes = answer(chunkOf([0, 1]), () => undefined)
    const run = fakeRun(instantClock())
    expect(await stage({ retries: 3 })(async () => outcomes)(chunkOf([0, 1]), run.context)).toBe(outcomes)
    expect(run.settled).toEqual([])
  })

  test('only what failed goes into the next chunk: ascending, with item, key and past', async () => {
    const engine = fakeEngine((index, attempt) => (index !== 5 && attempt === 1 ? bad() : undefined))
    const run = fakeRun(instantClock())
    const last = await stage({ retries: 2 })(engine.dispatch)(chunkOf([4, 5, 9], { keys: ['d', 'e', 'i'] }), run.context)
    expect(engine.dispatched[1]).toEqual({
      items: ['item 4', 'item 9'],
      indices: Uint32Array.of(4, 9),
      keys: ['d', 'i'],
      histories: new Map([
        [4, { attempts: 1, crashes: 0, firstFailedAt: 1004 }],
        [9, { attempts: 1, crashes: 0, firstFailedAt: 1009 }],
      ]),
    })
    expect(summary(...run.settled)).toEqual(['5: ok 1'])
    expect(summary(last)).toEqual(['4: ok 2', '9: ok 2'])
  })

  test('a chunk without keys gets none', async () => {
    const engine = fakeEngine((_, attempt) => (attempt === 1 ? bad() : undefined))
    await stage({ retries: 1 })(engine.dispatch)(chunkOf([7]), fakeRun(instantClock()).context)
    expect(engine.dispatched[1]).not.toHaveProperty('keys')
  })

  test('after `retries` retries a failure is final, a TypeError like any other', async () => {
    const engine = fakeEngine(() => new TypeError('bad type'))
    const counter = { retries: 0 }
    const last = await stage({ retries: 3 }, counter)(engine.dispatch)(chunkOf([0, 1]), fakeRun(instantClock()).context)
    expect(summary(last)).toEqual(['0: error 4', '1: error 4'])
    expect(engine.dispatched).toHaveLength(4)
    expect(counter.retries).toBe(6)
  })

  test('attempts of earlier sessions use up no retry', async () => {
    const engine = fakeEngine(bad)
    const histories = new Map([[3, { attempts: 5, crashes: 1, firstFailedAt: 12 }]])
    const last = await stage({ retries: 2 })(engine.dispatch)(chunkOf([3], { histories }), fakeRun(instantClock()).context)
    expect(last.rejected).toMatchObject([{ attempts: 8, crashes: 1, firstFailedAt: 12 }])
  })

  test.each<[FailureKind, number]>([
    ['error', 2],
    ['timeout', 2],
    ['crash', 1],
    ['memory', 1],
    ['serialization', 1],
  ])('a failure of kind %s is given %i attempts', async (kind, attempts) => {
    const engine = fakeEngine(() => ({ kind, reason: bad() }))
    const last = await stage({ retries: 1 })(engine.dispatch)(chunkOf([0]), fakeRun(instantClock()).context)
    expect(summary(last)).toEqual([`0: ${kind} ${attempts}`])
  })

  test('a NonRetryableError is known by its code', async () => {
    const engine = fakeEngine(() => Object.assign(bad(), { code: 'ERR_PAWL_NON_RETRYABLE' }))
    const last = await stage({ retries: 5 })(engine.dispatch)(chunkOf([0]), fakeRun(instantClock()).context)
    expect(summary(last)).toEqual(['0: error 1'])
  })

  test('a rejected dispatch ends it, on the first attempt and on later ones', async () => {
    const end = new TypeError('the pool is gone')
    const { context } = fakeRun(instantClock())
    const dead = vi.fn(async () => Promise.reject(end))
    await expect(stage({ retries: 5 })(dead)(chunkOf([0]), context)).rejects.toBe(end)
    expect(dead).toHaveBeenCalledTimes(1)

    const dying = vi.fn<Dispatch<string, Value>>(async (chunk) => {
      if (chunk.histories) throw end
      return answer(chunk, bad)
    })
    await expect(stage({ retries: 5 })(dying)(chunkOf([0]), context)).rejects.toBe(end)
    expect(dying).toHaveBeenCalledTimes(2)
  })

  test('for any pattern of failures each item settles once, after as many attempts as it needed', async () => {
    const needed = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 20 })
    await fc.assert(
      fc.asyncProperty(needed, fc.integer({ min: 0, max: 4 }), fc.boolean(), async (needs, retries, isShuffled) => {
        const run = fakeRun(instantClock())
        const counter = { retries: 0 }
        const dispatch: Dispatch<string, Value> = async (chunk) => {
          const { fulfilled, rejected } = answer(chunk, (index, attempt) => (attempt < (needs[index] ?? 1) ? bad() : undefined))
          return { fulfilled, rejected: isShuffled ? rejected : [...rejected].reverse() }
        }
        const indices = needs.map((_, index) => index)
        const last = await stage({ retries }, counter)(dispatch)(chunkOf(indices), run.context)
        const allowed = retries + 1
        expect(summary(...run.settled, last)).toEqual(
          needs.map((need, index) => `${index}: ${need <= allowed ? `ok ${need}` : `error ${allowed}`}`),
        )
        expect(counter.retries).toBe(needs.reduce((sum, need) => sum + Math.min(need, allowed) - 1, 0))
      }),
    )
  })
})

describe('retry: shouldRetry', () => {
  test("is asked with p-retry's context, index and key, and only while there is a retry left", async () => {
    const asked: RetryContext[] = []
    const error = bad()
    const shouldRetry = (context: RetryContext) => asked.push(context) > 0
    await stage({ retries: 2, shouldRetry })(fakeEngine(() => error).dispatch)(
      chunkOf([8], { keys: ['h'] }),
      fakeRun(instantClock()).context,
    )
    expect(asked).toEqual([
      { error, attemptNumber: 1, retriesLeft: 2, retriesConsumed: 0, index: 8, key: 'h' },
      { error, attemptNumber: 2, retriesLeft: 1, retriesConsumed: 1, index: 8, key: 'h' },
    ])
  })

  test('is not asked about failures that are final anyway', async () => {
    const shouldRetry = vi.fn(() => true)
    const engine = fakeEngine(() => ({ kind: 'crash', reason: bad() }))
    await stage({ retries: 2, shouldRetry })(engine.dispatch)(chunkOf([0]), fakeRun(instantClock()).context)
    expect(shouldRetry).not.toHaveBeenCalled()
  })

  test('decides for each item by itself, and may take its time', async () => {
    const engine = fakeEngine(bad)
    const run = fakeRun(instantClock())
    const shouldRetry = async ({ index }: RetryContext) => index % 2 === 1
    const last = await stage({ retries: 1, shouldRetry })(engine.dispatch)(chunkOf([0, 1, 2, 3]), run.context)
    expect(summary(...run.settled)).toEqual(['0: error 1', '2: error 1'])
    expect(summary(last)).toEqual(['1: error 2', '3: error 2'])
  })

  test('one that throws makes the failure final and warns once per run', async () => {
    const run = fakeRun(instantClock())
    const shouldRetry = ({ index }: RetryContext) => {
      if (index < 2) throw new Error('no idea')
      return Promise.reject(new Error('none either'))
    }
    const dispatch = stage({ retries: 1, shouldRetry })(fakeEngine(bad).dispatch)
    expect(summary(await dispatch(chunkOf([0, 1, 2]), run.context))).toEqual(['0: error 1', '1: error 1', '2: error 1'])
    await dispatch(chunkOf([3]), run.context)
    const message =
      "Cannot ask 'shouldRetry' about item 1: expected true or false, got an exception: Error: no idea. The failure is final"
    expect(run.events.warning).toEqual([{ code: 'SHOULD_RETRY_FAILED', message }])
  })
})

describe('retry: waiting', () => {
  const delays = async (options: RetryOptions, random?: number) => {
    const clock = instantClock(random)
    await stage(options)(fakeEngine(bad).dispatch)(chunkOf([0, 1]), fakeRun(clock).context)
    return clock.slept
  }

  test("the wait grows by p-retry's formula up to maxTimeout", async () => {
    expect(await delays({ retries: 5, minTimeout: 100, factor: 3, maxTimeout: 1000 })).toEqual([100, 300, 900, 1000, 1000])
  })

  test('a maxTimeout alone is the longest wait, also where it is shorter than the first one would be', async () => {
    expect(await delays({ retries: 3, maxTimeout: 500 })).toEqual([500, 500, 500])
    expect(await delays({ retries: 3, maxTimeout: 1500 })).toEqual([1000, 1500, 1500])
  })

  test('randomize multiplies it by 1 to 2, drawn from the clock', async () => {
    expect(await delays({ retries: 2, minTimeout: 100, randomize: true }, 0)).toEqual([100, 200])
    expect(await delays({ retries: 2, minTimeout: 100, randomize: true }, 0.25)).toEqual([125, 250])
  })

  test('without a minTimeout there is no wait, however many retries', async () => {
    expect(await delays({ retries: 1100, minTimeout: 0 })).toEqual([])
  })

  test('every item is announced before its wait', async () => {
    const run = fakeRun(instantClock())
    const error = bad()
    await stage({ retries: 2, minTimeout: 10 })(fakeEngine(() => error).dispatch)(chunkOf([0, 1]), run.context)
    const event = (index: number, attempt: number, delay: number) => ({ index, attempt, error, delay })
    expect(run.events.retry).toHaveLength(4)
    expect(run.events.retry).toEqual(expect.arrayContaining([event(0, 1, 10), event(1, 1, 10), event(0, 2, 20), event(1, 2, 20)]))
  })

  test('what is announced is the attempt the task was told of: crashes and earlier sessions count', async () => {
    const run = fakeRun(instantClock())
    const histories = new Map([[0, { attempts: 2, crashes: 2, firstFailedAt: undefined }]])
    await stage({ retries: 2, minTimeout: 10 })(fakeEngine(bad).dispatch)(chunkOf([0, 1], { histories }), run.context)
    const attempts = (of: number) => run.events.retry?.filter(({ index }) => index === of).map(({ attempt }) => attempt)
    expect(attempts(0)).toEqual([3, 4])
    expect(attempts(1)).toEqual([1, 2])
  })

  describe('in time', () => {
    beforeEach(() => vi.useFakeTimers())
    afterEach(() => vi.useRealTimers())

    test('successes settle at once, and the smaller chunk rests without a place', async () => {
      const run = fakeRun(globalClock)
      const engine = fakeEngine((index, attempt) => (index === 1 && attempt === 1 ? bad() : undefined))
      const outcomes = stage({ retries: 1 })(engine.dispatch)(chunkOf([0, 1, 2]), run.context)
      await vi.advanceTimersByTimeAsync(999)
      expect(summary(...run.settled)).toEqual(['0: ok 1', '2: ok 1'])
      expect([...run.resting].map((it) => [...it.indices])).toEqual([[1]])
      expect(engine.dispatched).toHaveLength(1)
      await vi.advanceTimersByTimeAsync(1)
      expect(summary(await outcomes)).toEqual(['1: ok 2'])
    })

    test('a drain ends the wait at once; what was left is pending and nothing more is started', async () => {
      const run = fakeRun(globalClock)
      const counter = { retries: 0 }
      const engine = fakeEngine((index) => (index === 1 ? bad() : undefined))
      const outcomes = stage({ retries: 3 }, counter)(engine.dispatch)(chunkOf([0, 1]), run.context)
      await vi.advanceTimersByTimeAsync(500)
      run.drain()
      expect(summary(await outcomes)).toEqual([])
      expect(summary(...run.settled)).toEqual(['0: ok 1'])
      expect(engine.dispatched).toHaveLength(1)
      expect(counter.retries).toBe(0)
      expect(vi.getTimerCount()).toBe(0)
    })

    test('chunks waiting by the dozen do not make Node warn of a leak', async () => {
      const warned: string[] = []
      const onWarning = (warning: Error) => warned.push(warning.name)
      process.on('warning', onWarning)
      const run = fakeRun(globalClock)
      const dispatch = stage({ retries: 1 })(fakeEngine(bad).dispatch)
      const all = Array.from({ length: 40 }, (_, index) => dispatch(chunkOf([index]), run.context))
      await vi.advanceTimersByTimeAsync(1)
      expect(run.resting.size).toBe(40)
      await new Promise((resolve) => process.nextTick(resolve))
      process.off('warning', onWarning)
      run.drain()
      await Promise.all(all)
      expect(warned).toEqual([])
    })
  })
})

describe('retry: draining', () => {
  test('counts only what was tried again: not what a drain overtook on its way there', async () => {
    const run = fakeRun(instantClock())
    const counter = { retries: 0 }
    const engine: Dispatch<string, Value> = async (chunk, context) => {
      if (!chunk.histories) return answer(chunk, bad)
      run.drain()
      context.settle(answer(chunkOf([0]), () => undefined))
      return answer(chunkOf([1]), bad) // And nothing of the last one, which had not begun.
    }
    await stage({ retries: 1 }, counter)(engine)(chunkOf([0, 1, 2]), run.context)
    expect(counter.retries).toBe(2)
  })

  test('what failed while a drain began stays pending; what is final or succeeded settles, late or not', async () => {
    const run = fakeRun(instantClock())
    const engine: Dispatch<string, Value> = async (chunk) => {
      run.drain()
      return answer(chunk, (index) => [undefined, bad(), { kind: 'crash' as const, reason: bad() }][index])
    }
    const last = await stage({ retries: 1 })(engine)(chunkOf([0, 1, 2]), run.context)
    expect(summary(last)).toEqual(['0: ok 1', '2: crash 1'])
    expect(run.settled).toEqual([])
    expect(run.events.retry).toBeUndefined()
  })

  test('a success that arrives after the drain began is kept, on a retry too', async () => {
    const run = fakeRun(instantClock())
    const engine: Dispatch<string, Value> = async (chunk) => {
      if (chunk.histories) run.drain()
      return answer(chunk, (_, attempt) => (attempt === 1 ? bad() : undefined))
    }
    expect(summary(await stage({ retries: 1 })(engine)(chunkOf([0]), run.context))).toEqual(['0: ok 2'])
  })

  test('items that the engine left pending are not tried again', async () => {
    const run = fakeRun(instantClock())
    const engine = vi.fn<Dispatch<string, Value>>(async (chunk) => {
      const { fulfilled, rejected } = answer(chunk, (index) => (index === 0 ? bad() : undefined))
      return { fulfilled: chunk.histories ? fulfilled : [], rejected }
    })
    expect(summary(await stage({ retries: 1 })(engine)(chunkOf([0, 1]), run.context))).toEqual(['0: error 2'])
    expect([...(engine.mock.calls[1]?.[0].indices ?? [])]).toEqual([0])
  })

  test('shouldRetry is not waited for: what it has not decided stays pending', async () => {
    const run = fakeRun(instantClock())
    const shouldRetry = () => {
      run.drain()
      return new Promise<boolean>(() => {})
    }
    const engine = fakeEngine((index) => [undefined, bad(), { kind: 'serialization' as const, reason: bad() }][index])
    const last = await stage({ retries: 1, shouldRetry })(engine.dispatch)(chunkOf([0, 1, 2]), run.context)
    expect(summary(last)).toEqual(['0: ok 1', '2: serialization 1'])
  })
})

describe('retry: budget', () => {
  const indices = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i)

  test('grants ten retries to the smallest run, then failures are final and one warning says so', async () => {
    const run = fakeRun(instantClock())
    const counter = { retries: 0 }
    const dispatch = stage({ retries: 4, budget: 0.1 }, counter)(fakeEngine(bad).dispatch)
    const last = [await dispatch(chunkOf([0, 1, 2]), run.context), await dispatch(chunkOf([3, 4]), run.context)]
    expect(counter.retries).toBe(10)
    const settled = summary(...run.settled, ...last)
    expect(settled.map((it) => it.split(':')[0])).toEqual(['0', '1', '2', '3', '4'])
    expect(settled.slice(3)).toEqual(['3: error 1', '4: error 1'])
    expect(run.events.warning).toEqual([{ code: 'RETRY_BUDGET', message: expect.stringContaining('at most 10 retries') }])
  })

  test('grows with the items started, whether or not they fail, and counts none twice', async () => {
    const run = fakeRun(instantClock())
    const counter = { retries: 0 }
    const dispatch = stage(
      { retries: 100, budget: 0.25 },
      counter,
    )(fakeEngine((index) => (index < 100 ? undefined : bad())).dispatch)
    await dispatch(chunkOf(indices(100)), run.context)
    await dispatch(chunkOf(indices(4, 100)), run.context)
    expect(counter.retries).toBe(26)
  })

  test('that was spent stays so, though more items start', async () => {
    const run = fakeRun(instantClock())
    const counter = { retries: 0 }
    const dispatch = stage({ retries: 100, budget: 0.5 }, counter)(fakeEngine(bad).dispatch)
    await dispatch(chunkOf([0]), run.context)
    await dispatch(chunkOf(indices(100, 1)), run.context)
    expect(counter.retries).toBe(10)
    expect(run.events.warning).toHaveLength(1)
  })

  test('is off by default', async () => {
    const run = fakeRun(instantClock())
    const counter = { retries: 0 }
    await stage({ retries: 20 }, counter)(fakeEngine(bad).dispatch)(chunkOf(indices(3)), run.context)
    expect(counter.retries).toBe(60)
    expect(run.events.warning).toBeUndefined()
  })

  test('for any chunks and failures no more is granted than the share, and each item settles once', async () => {
    const chunks = fc.array(fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 15 }), {
      minLength: 1,
      maxLength: 8,
    })
    await fc.assert(
      fc.asyncProperty(chunks, fc.double({ min: 0.01, max: 1, noNaN: true }), async (needs, budget) => {
        const run = fakeRun(instantClock())
        const counter = { retries: 0 }
        const flat = needs.flat()
        const dispatch = stage(
          { retries: 3, budget },
          counter,
        )(fakeEngine((index, attempt) => (attempt < (flat[index] ?? 1) ? bad() : undefined)).dispatch)
        let from = 0
        const last = await Promise.all(
          needs.map((chunk) => {
            from += chunk.length
            return dispatch(chunkOf(indices(chunk.length, from - chunk.length)), run.context)
          }),
        )
        expect(summary(...run.settled, ...last).map((it) => Number.parseInt(it, 10))).toEqual(flat.map((_, index) => index))
        expect(counter.retries).toBeLessThanOrEqual(Math.max(10, budget * flat.length))
        const isEarly = ({ index, attempts }: Rejection) => attempts < Math.min(flat[index] ?? 1, 4)
        const isCutShort = [...run.settled, ...last].some(({ rejected }) => rejected.some(isEarly))
        expect(isCutShort).toBe(run.events.warning !== undefined)
      }),
    )
  })
})
