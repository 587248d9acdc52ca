import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import type { BreakerOptions } from '../../src/options/options.ts'
import { resolveOptions } from '../../src/options/resolve-options.ts'
import { breaker } from '../../src/stages/breaker.ts'
import { retry } from '../../src/stages/retry.ts'
import { compose, type Dispatch } from '../../src/stages/stage.ts'
import type { Chunk, Outcomes } from '../../src/types.ts'
import { answer, chunkOf, fakeEngine, fakeRun, globalClock, summary, type Value } from './fake-run.ts'

// opossum waits on the global timers; they and the clock of the run are one fake time here.
beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

const bad = () => new Error('bad')

function openBreaker(options: BreakerOptions = {}) {
  const settings = resolveOptions({ breaker: options }).breaker
  if (!settings) throw new Error('the breaker is off')
  return breaker<string, Value>(settings)
}

/** A breaker over an engine whose chunks fail as long as `isBroken` says so; `send` dispatches chunks of one item. */
function circuitOver(options: BreakerOptions, isBroken: { now: boolean }) {
  const run = fakeRun(globalClock)
  const engine = fakeEngine(() => (isBroken.now ? bad() : undefined))
  const { stage, close } = openBreaker(options)
  const dispatch = stage(engine.dispatch)
  let index = 0
  const send = () => dispatch(chunkOf([index++]), run.context)
  const sendMany = async (count: number, isFailing: boolean) => {
    isBroken.now = isFailing
    for (let i = 0; i < count; i++) await send()
  }
  const states = () => (run.events.breaker ?? []).map((it) => it.state)
  return { run, engine, dispatch, close, send, sendMany, states }
}

/** An engine whose chunks stay in flight until `end` is called with what becomes of their items. */
function manualEngine() {
  const inFlight = new Map<number, (isFailing: boolean) => void>()
  const dispatch: Dispatch<string, Value> = (chunk) =>
    new Promise((resolve) => {
      inFlight.set(chunk.indices[0] ?? -1, (isFailing) => resolve(answer(chunk, () => (isFailing ? bad() : undefined))))
    })
  const end = (index: number, isFailing: boolean) => {
    inFlight.get(index)?.(isFailing)
    inFlight.delete(index)
  }
  return { dispatch, end, inFlight }
}

describe('breaker: when it opens', () => {
  test('at the threshold, once enough chunks were seen', async () => {
    const { sendMany, states } = circuitOver({ errorThresholdPercentage: 50, volumeThreshold: 10 }, { now: false })
    await sendMany(5, false)
    await sendMany(4, true)
    expect(states()).toEqual([])
    await sendMany(1, true)
    expect(states()).toEqual(['open'])
  })

  test('not below the threshold', async () => {
    const { sendMany, states } = circuitOver({ errorThresholdPercentage: 50, volumeThreshold: 2 }, { now: false })
    await sendMany(20, false)
    await sendMany(19, true)
    expect(states()).toEqual([])
    await sendMany(1, true)
    expect(states()).toEqual(['open'])
  })

  test('a threshold of 100 means all chunks, and can be reached', async () => {
    const all = circuitOver({ errorThresholdPercentage: 100, volumeThreshold: 4 }, { now: true })
    await all.sendMany(4, true)
    expect(all.states()).toEqual(['open'])
    const most = circuitOver({ errorThresholdPercentage: 100, volumeThreshold: 4 }, { now: true })
    await most.sendMany(1, false)
    await most.sendMany(50, true)
    expect(most.states()).toEqual([])
  })

  test.each([
    [4, []],
    [5, ['open']],
  ])('with %i of 10 items failed at a threshold of 50, a chunk gives %j', async (failures, expected) => {
    const run = fakeRun(globalClock)
    const { stage } = openBreaker({ errorThresholdPercentage: 50, volumeThreshold: 1 })
    const engine = fakeEngine((index) => (index < failures ? bad() : undefined))
    await stage(engine.dispatch)(chunkOf([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]), run.context)
    expect((run.events.breaker ?? []).map((it) => it.state)).toEqual(expected)
  })

  test('chunks in flight do not count', async () => {
    const run = fakeRun(globalClock)
    const engine = manualEngine()
    const { stage } = openBreaker({ volumeThreshold: 10 })
    const all = Array.from({ length: 100 }, (_, index) => stage(engine.dispatch)(chunkOf([index]), run.context))
    await vi.advanceTimersByTimeAsync(0)
    expect(engine.inFlight.size).toBe(100)
    for (let index = 0; index < 9; index++) engine.end(index, true)
    await vi.advanceTimersByTimeAsync(0)
    expect(run.events.breaker).toBeUndefined()
    engine.end(9, true)
    await vi.advanceTimersByTimeAsync(0)
    expect(run.events.breaker).toEqual([{ state: 'open' }])
    for (let index = 10; index < 100; index++) engine.end(index, false)
    expect(summary(...(await Promise.all(all)))).toHaveLength(100)
  })

  test('of chunks that end in the same turn, those behind are not counted as successes', async () => {
    const run = fakeRun(globalClock)
    const engine = manualEngine()
    const { stage } = openBreaker({ errorThresholdPercentage: 60, volumeThreshold: 10 })
    const all = Array.from({ length: 20 }, (_, index) => stage(engine.dispatch)(chunkOf([index]), run.context))
    await vi.advanceTimersByTimeAsync(0)
    for (let index = 0; index < 20; index++) engine.end(index, index < 10)
    await Promise.all(all)
    expect(run.events.breaker).toEqual([{ state: 'open' }])
  })

  test('what lies further back than rollingCountTimeout is forgotten, whatever the wall clock does', async () => {
    const { sendMany, states } = circuitOver({ volumeThreshold: 10, rollingCountTimeout: 1000 }, { now: true })
    await sendMany(9, true)
    vi.setSystemTime(Date.now() + 86_400_000)
    await vi.advanceTimersByTimeAsync(500)
    expect(states()).toEqual([])
    await vi.advanceTimersByTimeAsync(600)
    vi.setSystemTime(Date.now() - 2 * 86_400_000)
    await sendMany(9, true)
    expect(states()).toEqual([])
    vi.setSystemTime(Date.now() - 86_400_000)
    await sendMany(1, true)
    expect(states()).toEqual(['open'])
  })

  test('passes on what came of a chunk, and the chunk itself, untouched', async () => {
    const run = fakeRun(globalClock)
    const outcomes = answer(chunkOf([0]), bad)
    const next = vi.fn(async () => outcomes)
    const chunk = chunkOf([0])
    expect(await openBreaker().stage(next)(chunk, run.context)).toBe(outcomes)
    expect(next).toHaveBeenCalledWith(chunk, run.context)
  })
})

describe('breaker: while it is open', () => {
  test('chunks rest without a place; after resetTimeout one tries, and its success lets the others follow', async () => {
    const isBroken = { now: true }
    const { run, engine, send, sendMany, states } = circuitOver({ volumeThreshold: 2, resetTimeout: 500 }, isBroken)
    await sendMany(2, true)
    const held = [send(), send(), send()]
    await vi.advanceTimersByTimeAsync(499)
    expect(engine.dispatched).toHaveLength(2)
    expect(run.resting.size).toBe(3)
    isBroken.now = false
    await vi.advanceTimersByTimeAsync(1)
    expect(states()).toEqual(['open', 'halfOpen', 'closed'])
    expect(summary(...(await Promise.all(held)))).toEqual(['2: ok 1', '3: ok 1', '4: ok 1'])
  })

  test('half-open it lets one chunk through, and holds the rest until its outcome is known', async () => {
    const run = fakeRun(globalClock)
    const engine = manualEngine()
    const { stage } = openBreaker({ volumeThreshold: 1, resetTimeout: 500 })
    const dispatch = stage(engine.dispatch)
    const send = (index: number) => dispatch(chunkOf([index]), run.context)
    const first = send(0)
    await vi.advanceTimersByTimeAsync(0)
    engine.end(0, true)
    await first
    const held = [send(1), send(2)]
    await vi.advanceTimersByTimeAsync(500)
    held.push(send(3))
    await vi.advanceTimersByTimeAsync(10_000)
    expect([...engine.inFlight.keys()]).toEqual([1])
    engine.end(1, true)
    await vi.advanceTimersByTimeAsync(499)
    expect(engine.inFlight.size).toBe(0)
    await vi.advanceTimersByTimeAsync(1)
    expect([...engine.inFlight.keys()]).toEqual([2])
    engine.end(2, false)
    await vi.advanceTimersByTimeAsync(0)
    expect([...engine.inFlight.keys()]).toEqual([3])
    engine.end(3, false)
    await Promise.all(held)
    expect(run.events.breaker?.map((it) => it.state)).toEqual(['open', 'halfOpen', 'open', 'halfOpen', 'closed'])
  })

  test('a chunk gives back the place it has, which may be on another engine than that of the first', async () => {
    const { run, engine, dispatch, sendMany } = circuitOver({ volumeThreshold: 2, resetTimeout: 500 }, { now: true })
    await sendMany(2, true)
    const rested: Chunk<string>[] = []
    const rest: typeof run.context.rest = (chunk, wait) => {
      rested.push(chunk)
      return wait()
    }
    const chunk = chunkOf([7])
    const held = dispatch(chunk, { ...run.context, rest })
    await vi.advanceTimersByTimeAsync(500)
    await held
    expect(engine.indices()).toEqual([[0], [1], [7]])
    expect(rested).toEqual([chunk])
    expect(run.resting.size).toBe(0)
  })

  test('chunks dispatched before its last change neither close nor open it, and their outcomes are kept', async () => {
    const run = fakeRun(globalClock)
    const engine = manualEngine()
    const { stage } = openBreaker({ volumeThreshold: 1, resetTimeout: 500 })
    const send = (index: number) => stage(engine.dispatch)(chunkOf([index]), run.context)
    const states = () => run.events.breaker?.map((it) => it.state)
    const early = [send(0), send(1), send(2), send(3)]
    await vi.advanceTimersByTimeAsync(0)
    engine.end(0, true)
    await vi.advanceTimersByTimeAsync(500)
    engine.end(1, false)
    await vi.advanceTimersByTimeAsync(0)
    expect(states()).toEqual(['open', 'halfOpen'])
    engine.end(2, true)
    await vi.advanceTimersByTimeAsync(0)
    expect(states()).toEqual(['open', 'halfOpen'])
    const probe = send(4)
    await vi.advanceTimersByTimeAsync(0)
    engine.end(4, false)
    await probe
    engine.end(3, true)
    expect(summary(...(await Promise.all(early)))).toEqual(['0: error 1', '1: ok 1', '2: error 1', '3: error 1'])
    expect(states()).toEqual(['open', 'halfOpen', 'closed'])
  })

  test('closed again it counts anew: failures from before do not open it', async () => {
    const options = { volumeThreshold: 3, resetTimeout: 10, rollingCountTimeout: 60_000 }
    const { sendMany, states } = circuitOver(options, { now: true })
    await sendMany(3, true)
    await vi.advanceTimersByTimeAsync(10)
    await sendMany(1, false)
    await sendMany(2, true)
    expect(states()).toEqual(['open', 'halfOpen', 'closed'])
    await sendMany(1, true)
    expect(states()).toEqual(['open', 'halfOpen', 'closed', 'open'])
  })

  test('a drain ends the hold at once and leaves the items pending', async () => {
    const { run, engine, send, sendMany, close } = circuitOver({ volumeThreshold: 1 }, { now: true })
    await sendMany(1, true)
    const held = [send(), send()]
    await vi.advanceTimersByTimeAsync(100)
    run.drain()
    expect(summary(...(await Promise.all(held)), await send())).toEqual([])
    expect(engine.dispatched).toHaveLength(1)
    expect(run.resting.size).toBe(0)
    close()
    expect(vi.getTimerCount()).toBe(0)
  })

  test('a probe that tells nothing makes room for the next', async () => {
    const run = fakeRun(globalClock)
    const end = new Error('the pool is gone')
    let calls = 0
    const next: Dispatch<string, Value> = async (chunk) => {
      if (++calls === 2) throw end
      return answer(chunk, () => (calls === 1 ? bad() : undefined))
    }
    const dispatch = openBreaker({ volumeThreshold: 1, resetTimeout: 10 }).stage(next)
    await dispatch(chunkOf([0]), run.context)
    const lost = expect(dispatch(chunkOf([1]), run.context)).rejects.toBe(end)
    const second = dispatch(chunkOf([2]), run.context)
    await vi.advanceTimersByTimeAsync(10)
    await lost
    expect(summary(await second)).toEqual(['2: ok 1'])
  })

  test('a held chunk keeps the process alive, on the real clock', async () => {
    vi.useRealTimers()
    const timers = () => process.getActiveResourcesInfo().filter((it) => it === 'Timeout').length
    const run = fakeRun(systemClock)
    const { stage, close } = openBreaker({ volumeThreshold: 1 })
    const dispatch = stage(fakeEngine(bad).dispatch)
    await dispatch(chunkOf([0]), run.context)
    const before = timers()
    const held = [dispatch(chunkOf([1]), run.context), dispatch(chunkOf([2]), run.context)]
    await Promise.resolve()
    expect(timers()).toBe(before + 1)
    run.drain()
    await Promise.all(held)
    close()
    expect(timers()).toBe(before)
  })
})

describe('breaker: the end of patience', () => {
  test('at the opening number maxOpens the run ends with CircuitOpenError, and what is held stays pending', async () => {
    const { run, engine, send, sendMany, states } = circuitOver(
      { volumeThreshold: 2, resetTimeout: 500, maxOpens: 2 },
      { now: true },
    )
    await sendMany(2, true)
    const held = [send(), send(), send()]
    await vi.advanceTimersByTimeAsync(500)
    expect(summary(...(await Promise.all(held)))).toEqual(['2: error 1'])
    expect(run.ends).toMatchObject([{ code: 'ERR_PAWL_CIRCUIT_OPEN', cause: { message: 'bad' } }])
    expect(summary(await send())).toEqual([])
    expect(vi.getTimerCount()).toBe(0)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(states()).toEqual(['open', 'halfOpen', 'open'])
    expect(engine.dispatched).toHaveLength(3)
  })

  test('under retry the items of the last chunk stay pending too', async () => {
    const run = fakeRun(globalClock)
    const { stage } = openBreaker({ volumeThreshold: 1, maxOpens: 1 })
    const retries = retry<string, Value>(resolveOptions({ retry: 5 }).retry)
    const engine = fakeEngine((index) => (index > 0 ? bad() : undefined))
    expect(summary(await compose([retries, stage], engine.dispatch)(chunkOf([0, 1, 2]), run.context))).toEqual(['0: ok 1'])
    expect(run.ends).toHaveLength(1)
  })

  test('closed with its run it leaves no timer and lets nothing through', async () => {
    const { run, engine, send, sendMany, states, close } = circuitOver({ volumeThreshold: 1 }, { now: true })
    await sendMany(1, true)
    const held = send()
    await vi.advanceTimersByTimeAsync(1)
    close()
    expect(summary(await held, await send())).toEqual([])
    expect(vi.getTimerCount()).toBe(0)
    expect(states()).toEqual(['open'])
    expect(engine.dispatched).toHaveLength(1)
    expect(run.ends).toEqual([])
  })

  test('closed without ever being used it loads nothing and leaves nothing', () => {
    openBreaker().close()
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('breaker: in a run', () => {
  /** A run loop of `capacity` places; whoever rests gives its place back and queues for another. */
  async function runAll(
    chunks: Chunk<string>[],
    dispatch: Dispatch<string, Value>,
    run: ReturnType<typeof fakeRun>,
    capacity: number,
  ) {
    let free = capacity
    const queue: (() => void)[] = []
    const take = async () => {
      if (free === 0) await new Promise<void>((resolve) => queue.push(resolve))
      else free--
    }
    const giveBack = () => {
      const next = queue.shift()
      if (next) next()
      else free++
    }
    const context = {
      ...run.context,
      rest: async <V>(_: Chunk<string>, wait: () => Promise<V>) => {
        giveBack()
        try {
          return await wait()
        } finally {
          await take()
        }
      },
    }
    return Promise.all(
      chunks.map(async (chunk) => {
        await take()
        try {
          return await dispatch(chunk, context)
        } finally {
          giveBack()
        }
      }),
    )
  }

  const plan = fc.record({
    needs: fc.array(fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 12 }),
    times: fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 10 }),
    capacity: fc.integer({ min: 1, max: 4 }),
    retries: fc.integer({ min: 0, max: 3 }),
    volumeThreshold: fc.integer({ min: 1, max: 4 }),
    resetTimeout: fc.integer({ min: 1, max: 400 }),
    drainAt: fc.option(fc.integer({ min: 0, max: 3000 }), { nil: undefined }),
  })

  test('under retry, for any failures, times and capacity, each item settles once and none while it is open', async () => {
    await fc.assert(
      fc.asyncProperty(plan, async ({ needs, times, capacity, retries, volumeThreshold, resetTimeout, drainAt }) => {
        const run = fakeRun(globalClock)
        const flat = needs.flat()
        let state = 'closed'
        let inFlightHalfOpen = 0
        const wrong: string[] = []
        const emit = run.context.emit
        Object.assign(run.context, {
          emit: (...args: Parameters<typeof emit>) => {
            if (args[0] === 'breaker') {
              state = (args[1] as { state: string }).state
              inFlightHalfOpen = 0
            }
            emit(...args)
          },
        })
        let calls = 0
        const engine: Dispatch<string, Value> = async (chunk, { clock, draining }) => {
          if (state === 'open') wrong.push(`dispatched ${chunk.indices} while open`)
          if (state === 'halfOpen' && ++inFlightHalfOpen > 1) wrong.push(`a second chunk while half-open`)
          if (draining.aborted) wrong.push(`dispatched ${chunk.indices} while draining`)
          await clock.sleep(times[calls++ % times.length] ?? 0)
          return answer(chunk, (index, attempt) => (attempt < (flat[index] ?? 1) ? bad() : undefined))
        }
        const { stage, close } = openBreaker({ volumeThreshold, resetTimeout, maxOpens: 1000 })
        const retrying = retry<string, Value>(resolveOptions({ retry: { retries, minTimeout: 50 } }).retry)
        let from = 0
        const chunks = needs.map((chunk) => chunkOf(chunk.map(() => from++)))
        if (drainAt !== undefined) setTimeout(run.drain, drainAt)

        let last: Outcomes<string, Value>[] | undefined
        const ended = runAll(chunks, compose([retrying, stage], engine), run, capacity).then((it) => {
          last = it
        })
        await vi.advanceTimersByTimeAsync(300_000)
        expect(last, 'the run never ended').toBeDefined()
        await ended
        close()

        const settled = summary(...run.settled, ...(last ?? []))
        const all = flat.map((need, index) => `${index}: ${need <= retries + 1 ? `ok ${need}` : `error ${retries + 1}`}`)
        if (drainAt === undefined) expect(settled).toEqual(all)
        else expect(settled).toEqual(all.filter((it) => settled.includes(it)))
        expect(wrong).toEqual([])
        expect(vi.getTimerCount()).toBe(0)
      }),
      { numRuns: 150 },
    )
  })
})
