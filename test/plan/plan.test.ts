import { createExecutor, execute, plan } from 'pawl'
import { describe, expect, test } from 'vitest'
import { MAX_AUTO_ITEMS } from '../../src/items/chunk.ts'
import {
  createPlanner,
  MAX_PULLED_ITEMS,
  type Planner,
  type PlannerOptions,
  RECORDED_CHUNK_MS,
  TARGET_CHUNK_MS,
} from '../../src/plan/plan.ts'
import { range, sharedCells } from '../execute/calls.ts'
import arithmetic from '../fixtures/tasks/arithmetic.mjs'
import { counted } from '../fixtures/tasks/counted.mjs'
import { spin } from '../fixtures/tasks/where.mjs'

let tasks = 0
const planner = (options: Partial<PlannerOptions> = {}) =>
  createPlanner({ task: `task ${++tasks}`, mode: 'auto', needsThreads: false, maxWorkers: 4, chunkSize: undefined, ...options })

let now = 0
const observe = (it: Planner, items: number, taskTime: number) => {
  now += taskTime
  it.observe({ items, taskTime, sendTime: 0.01, now })
}

describe('createPlanner()', () => {
  test.each([
    ['twofold', 0.2, 2],
    ['eightfold while they take next to nothing', 0.001, 8],
  ])('starts with one item on one thread, and grows chunks towards the target at most %s', (_, itemTime, most) => {
    const it = planner()
    expect(it.mode(1000)).toBe('threads')
    const sizes: number[] = []
    for (let chunk = 0; chunk < 20; chunk++) {
      const size = it.chunkSize(undefined)
      sizes.push(size)
      observe(it, size, size * itemTime)
    }
    expect(sizes[0]).toBe(1)
    const growths = sizes.slice(1).map((size, at) => size / (sizes[at] as number))
    expect(Math.max(...growths)).toBe(most)
    for (let at = 1; at < sizes.length; at++) {
      if ((sizes[at - 1] as number) * itemTime > 0.2) expect(growths[at - 1]).toBeLessThanOrEqual(2)
    }
    expect(sizes.at(-1)).toBe(Math.min(TARGET_CHUNK_MS / itemTime, MAX_PULLED_ITEMS))
  })

  test.each([
    ['longer while outcomes are recorded', 1000, RECORDED_CHUNK_MS],
    ['a tenth of the time between two flushes', 500, 50],
    ['no shorter than others when flushes are frequent', 20, TARGET_CHUNK_MS],
    ['no longer when flushes are rare', 60_000, RECORDED_CHUNK_MS],
  ])('makes chunks %s', (_, interval, expected) => {
    const it = planner({ interval })
    for (let chunk = 0; chunk < 20; chunk++) observe(it, it.chunkSize(undefined), it.chunkSize(undefined))
    expect(it.chunkSize(undefined)).toBe(expected)
  })

  test('shrinks chunks at once when items get slower', () => {
    const it = planner()
    for (let chunk = 0; chunk < 20; chunk++) observe(it, it.chunkSize(undefined), it.chunkSize(undefined) * 0.01)
    expect(it.chunkSize(undefined)).toBeGreaterThan(100)
    observe(it, 10, 10 * 5)
    expect(it.chunkSize(undefined)).toBe(Math.max(1, Math.floor(TARGET_CHUNK_MS / 5)))
  })

  test('makes chunks smaller towards the end, so that workers finish together', () => {
    const it = planner({ maxWorkers: 2, isThreadUp: () => true })
    for (let chunk = 0; chunk < 20; chunk++) observe(it, it.chunkSize(undefined), it.chunkSize(undefined) * 0.1)
    const sizes = [1000, 100, 60, 30, 12].map((left) => it.chunkSize(left))
    expect([...sizes].sort((a, b) => b - a)).toEqual(sizes)
    expect(sizes.at(-1)).toBeLessThan(sizes[0] as number)
    expect(it.chunkSize(1)).toBeGreaterThanOrEqual(1)
  })

  test('never takes more items than a message may hold, and keeps a pinned size', () => {
    const it = planner()
    for (let chunk = 0; chunk < 40; chunk++) observe(it, it.chunkSize(1e9), 0)
    expect(it.chunkSize(1e9)).toBe(MAX_AUTO_ITEMS)
    expect(it.chunkSize(undefined)).toBe(MAX_PULLED_ITEMS)
    for (let chunk = 0; chunk < 20; chunk++) it.observe({ items: 1000, taskTime: 0, sendTime: 5, now: ++now })
    expect(it.chunkSize(1e9)).toBeLessThan(1000) // What takes the main thread 5 ms to send.
    expect(planner({ chunkSize: 77 }).chunkSize(5)).toBe(77)
  })

  test('takes fewer items when their results are costly to read', () => {
    const [it, cheap] = [planner(), planner()]
    for (let chunk = 0; chunk < 20; chunk++) {
      it.observe({ items: 1000, taskTime: 1, sendTime: 0.001, packTime: 0.01, now: ++now })
      cheap.observe({ items: 1000, taskTime: 1, sendTime: 0.001, packTime: 0.000_001, now: ++now })
    }
    expect(it.chunkSize(1e9)).toBeLessThanOrEqual(100) // What takes the main thread 1 ms.
    expect(cheap.chunkSize(1e9)).toBeGreaterThan(1000)
  })

  test('takes a few at a time of items that take a ms each to send or to read, be they slow or not', () => {
    for (const cost of [{ sendTime: 1 }, { sendTime: 0.01, packTime: 1 }]) {
      const it = planner()
      const sizes: number[] = []
      for (let chunk = 0; chunk < 20; chunk++) {
        const items = it.chunkSize(1e9)
        sizes.push(items)
        it.observe({ items, taskTime: items * 0.01, ...cost, sendTime: cost.sendTime * items, now: ++now })
      }
      expect(Math.max(...sizes)).toBeLessThanOrEqual(2)
    }
  })

  test('finds chunks of the usual size after a pause that passed for the cost of the first item', () => {
    const it = planner()
    const sizes = [20, ...Array<number>(20).fill(0.01)].map((sendTime) => {
      const items = it.chunkSize(1e9)
      it.observe({ items, taskTime: items * 0.01, sendTime, now: ++now })
      return items
    })
    expect(sizes.slice(0, 2)).toEqual([1, 1])
    expect(sizes.at(-1)).toBe(TARGET_CHUNK_MS / 0.01)
  })

  test('does not take it for the cost of items that a thread has to wait for its core while it packs', () => {
    const it = planner()
    const send = (micros: number) => {
      const items = it.chunkSize(1e9)
      it.observe({ items, taskTime: items * 0.02, sendTime: (items * micros) / 1000, now: ++now })
    }
    for (let chunk = 0; chunk < 20; chunk++) send(1)
    const usual = it.chunkSize(1e9)
    for (let chunk = 0; chunk < 3; chunk++) send(200)
    expect(it.chunkSize(1e9)).toBe(usual)
    for (let chunk = 0; chunk < 20; chunk++) send(200)
    expect(it.chunkSize(1e9)).toBeLessThan(usual / 4)
    for (let chunk = 0; chunk < 20; chunk++) send(1)
    expect(it.chunkSize(1e9)).toBe(usual) // Chunks never get too short to tell what an item costs.
  })

  describe('runs the rest inline when threads take longer than one alone would', () => {
    const take = (it: Planner, items: number, time: number) => {
      now += time
      it.observe({ items, taskTime: items * 0.001, sendTime: 0.01, now })
    }

    test.each([
      ['planned', undefined, 10_000],
      ['pinned', 1500, 1500],
    ])('in %s chunks', (_, chunkSize, items) => {
      const it = planner({ chunkSize })
      for (let chunk = 0; chunk < 20; chunk++) take(it, items, items * 0.0015)
      expect(it.mode(1e9)).toBe('threads')
      for (let chunk = 0; chunk < 20; chunk++) take(it, items, items * 0.003)
      expect(it.mode(1e9)).toBe('inline')
    })

    test('but not for the time of chunks that do not count', () => {
      const it = planner()
      for (let round = 0; round < 10; round++) {
        take(it, 10_000, 10)
        for (let chunk = 0; chunk < 20; chunk++) take(it, 1000, 1)
      }
      expect(it.mode(1e9)).toBe('threads')
    })
  })

  test('says of threads that would be slower by how much', () => {
    const it = planner({ mode: 'threads', maxWorkers: 1 })
    it.observe({ items: 1, taskTime: 0.2, sendTime: 0.4, now: 1 })
    expect(it.describe(2)).toMatchObject({
      speedup: expect.closeTo(1 / 3),
      reason: expect.stringMatching(/so slower than one after the other: it takes about 3\.0 times as long\.$/),
    })
  })

  test('says of one item that it is one', () => {
    planner({ task: 'one' }).observe({ items: 1, taskTime: 0.01, sendTime: 0.02, now: 1 })
    const it = planner({ task: 'one' })
    expect(it.describe(1).reason).toBe('Runs inline: what is left, 1 item, takes about 10 µs, less than starting threads.')
    expect(it.describe(2).reason).toContain('2 items, takes')
  })

  test('wants as many workers as there is work for', () => {
    const it = planner({ mode: 'threads' })
    expect(it.workers(1000)).toBe(4)
    expect(it.workers(2)).toBe(2)
    expect(it.workers(undefined)).toBe(4)
    observe(it, 10, 1)
    expect(it.workers(10)).toBe(1)
    expect(it.workers(100_000)).toBe(4)
  })

  test('wants workers for what earlier runs on the same threads would have been worth, though no run is', () => {
    const it = planner({ mode: 'threads', worked: 120 })
    expect(it.earned).toBe(3)
    observe(it, 10, 1)
    expect(it.workers(10)).toBe(3)
    expect(it.workers(2)).toBe(2)
    expect(planner({ worked: 120, maxWorkers: 2 }).earned).toBe(2)
    expect(planner().earned).toBe(1)
  })

  test('wants workers for what has not settled, also when nothing is left to be dispatched', () => {
    const it = planner()
    observe(it, 2, 600)
    it.mode(0)
    expect(it.workers(2)).toBe(2)
    expect(it.workers(undefined)).toBe(4)
    expect(it.describe(2)).toMatchObject({ mode: 'threads', workers: 2 })
  })

  test('tells how many workers cheap items are worth by what they take at their best, once enough were measured', () => {
    const it = planner({ mode: 'threads' })
    observe(it, 100, 0.1)
    expect(it.isWarm).toBe(true)
    observe(it, 1000, 0.3)
    expect(it.isWarm).toBe(false)
    observe(it, 10_000, 4)
    expect(it.isWarm).toBe(false)
    observe(it, 10_000, 0.2)
    expect(it.isWarm).toBe(true)
    expect(it.workers(1_000_000)).toBe(1)
    for (let chunk = 0; chunk < 3; chunk++) observe(it, 1000, 1)
    expect(it.workers(1_000_000)).toBe(1)
    observe(it, 1000, 1)
    expect(it.workers(1_000_000)).toBe(4)
  })

  test('runs inline only what was measured, and never what needs threads', () => {
    const task = 'measured'
    let isUp = false
    const first = planner({ task, isThreadUp: () => isUp })
    expect(first.mode(1)).toBe('threads')
    observe(first, 1, 0.001)
    isUp = true
    expect(first.mode(1)).toBe('threads') // One is up.
    const it = planner({ task })
    expect(it.mode(1)).toBe('inline')
    expect(it.describe(1)).toMatchObject({ mode: 'inline', workers: 1 })
    expect(planner({ task, needsThreads: true }).mode(1)).toBe('threads')
    expect(planner({ mode: 'inline' }).mode(undefined)).toBe('inline')
  })

  test('runs nothing inline of a task that took a worker down, in this run or a later one', () => {
    const task = 'dangerous'
    observe(planner({ task }), 1, 0.001)
    const second = planner({ task })
    expect(second.mode(1)).toBe('inline')
    second.beware()
    expect(second.mode(1)).toBe('threads')
    second.forget()
    observe(second, 1, 0.001)
    expect(planner({ task }).mode(1)).toBe('threads')
  })

  test('nor when a run beside it, or a plan, saw that, whoever measures last', async () => {
    const task = 'dangerous beside'
    observe(planner({ task }), 1, 0.001)
    const [dying, other] = [planner({ task }), planner({ task })]
    dying.beware()
    observe(other, 1, 0.001)
    expect([other.mode(1), planner({ task }).mode(1)]).toEqual(['threads', 'threads'])
    const exits = (item: number) => (item < 0 ? process.exit(3) : item)
    const modes = () => Promise.all(range(4).map(async () => (await plan(exits, [1])).mode))
    expect(await modes()).toContain('inline')
    await plan(exits, [-1])
    expect(await modes()).not.toContain('inline')
  })

  test('remembers a task from one run to the next, until told to forget', () => {
    const task = 'remembered'
    const first = planner({ task })
    for (let chunk = 0; chunk < 20; chunk++) observe(first, first.chunkSize(undefined), first.chunkSize(undefined) * 0.1)
    const second = planner({ task })
    expect(second.itemTime).toBeCloseTo(0.1)
    expect(second.chunkSize(undefined)).toBeGreaterThan(10)
    second.forget()
    expect(second.itemTime).toBe(0)
    expect(second.chunkSize(undefined)).toBe(1)
  })

  test('explains itself in a sentence with item time, overhead and speed-up', () => {
    const it = planner({ mode: 'threads' })
    expect(it.describe(10)).toMatchObject({
      itemTime: 0,
      speedup: 1,
      reason: 'Runs on 4 threads; nothing is measured yet.',
      warnings: [],
    })
    observe(it, 100, 150)
    it.warn('something')
    it.warn('something')
    const described = it.describe(10_000)
    expect(described.reason).toMatch(
      /^Runs on 4 threads in chunks of about \d+: an item takes 1\.5 ms, carrying it costs .+, so about \d\.\d times as fast/,
    )
    expect(described.itemTime).toBe(1.5)
    expect(described.speedup).toBeGreaterThan(3)
    expect(described.speedup).toBeLessThanOrEqual(4)
    expect(described.warnings).toEqual(['something'])
  })

  test('does not speak of chunks larger than what is left', () => {
    const it = planner({ mode: 'threads' })
    observe(it, 100, 0.1)
    expect(it.describe(1_000_000).chunkSize).toBeGreaterThan(3)
    expect(it.describe(3)).toMatchObject({ chunkSize: 3, reason: expect.stringContaining('in chunks of about 3: ') })
  })
})

describe('plan()', () => {
  test('says of an item that takes its worker down what happened, and nothing of limits that nobody gave', async () => {
    const { warnings } = await plan(() => process.exit(3), [1], { workers: 1, mode: 'threads' })
    expect(warnings).toEqual([
      'Of 1 tried, 1 failed, first item 0: it took its worker down: the worker thread ended with exit code 3',
    ])
  })

  test('refuses two items of one key, as the run would, and gives tasks the keys', async () => {
    const key = (item: string) => item.toLowerCase()
    const expected = {
      code: 'ERR_PAWL_INVALID_OPTION',
      option: 'key',
      message: expect.stringContaining('both item 0 and item 2'),
    }
    await expect(plan((item: string) => item, ['a', 'b', 'A'], { key })).rejects.toMatchObject(expected)
    const task = (_: string, context: { key: string }) => {
      if (context.key !== 'b') throw new Error(`${context.key} is not b`)
    }
    expect((await plan(task, ['B'], { key })).warnings).toEqual([])
    expect((await plan(task, new Set(['B']), { key })).warnings).toEqual([])
  })

  test('explains a run after a few items, in a worker', async () => {
    const calls = sharedCells(100_000)
    const made = await plan(counted, range(100_000), { shared: { calls }, workers: 2 })
    const ran = calls.reduce((sum, it) => sum + it, 0)
    expect(ran).toBeGreaterThan(0)
    expect(ran).toBeLessThanOrEqual(2000)
    expect(calls.every((it) => it <= 1)).toBe(true)
    expect(made.itemTime).toBeGreaterThan(0)
    expect(made.reason).toMatch(/^Runs (on|inline)/)
    expect(made.warnings).toEqual([])
  })

  test('takes threads for items that take long, and says how much faster', async () => {
    const made = await plan(
      spin,
      range(1000).map(() => 5),
      { workers: 2 },
    )
    expect(made).toMatchObject({ mode: 'threads', workers: 2 })
    expect(made.itemTime).toBeGreaterThanOrEqual(5)
    expect(made.speedup).toBeGreaterThan(1)
    expect(made.speedup).toBeLessThanOrEqual(2)
    expect(made.reason).toMatch(/an item takes [\d.]+ ms, carrying it costs .* times as fast as one after the other/)
  })

  test('does not count its own thread as standing ready, but that of an executor', async () => {
    const task = (item: number) => item + 1
    const few = [1, 2]
    let made = await plan(task, few)
    for (let tries = 0; made.mode !== 'inline' && tries < 20; tries++) made = await plan(task, few) // An item may seem slow.
    expect(made.mode).toBe('inline')
    await using executor = createExecutor({ workers: 1 })
    await executor.execute(arithmetic, range(10))
    expect((await executor.plan(task, few)).mode).toBe('threads')
  })

  test.each([
    ['an array', (items: number[]) => items],
    ['an iterable', (items: number[]) => new Set(items)],
  ])('runs items of its shard only: %s', async (_, given) => {
    const [planned, ran] = [sharedCells(100), sharedCells(100)]
    const options = { shard: '1/2', workers: 1 } as const
    await plan(counted, given(range(100)), { ...options, shared: { calls: planned } })
    await execute(counted, given(range(100)), { ...options, shared: { calls: ran } })
    expect(planned).toContain(1)
    expect(range(100).filter((n) => planned[n] === 1 && ran[n] === 0)).toEqual([])
  })

  test('wants no more workers than its shard has items', async () => {
    const options = { shard: '1/20', mode: 'threads', workers: 40 } as const
    const { stats } = await execute(arithmetic, range(40), { ...options, workers: 1 })
    expect(stats.items).toBeLessThan(20)
    const made = await plan(
      spin,
      range(40).map(() => 100),
      options,
    )
    expect(made.workers).toBe(stats.items)
  })

  test('does so for an iterable, and lets go of it', async () => {
    let returned = false
    function* items() {
      try {
        for (let i = 0; ; i++) yield i
      } finally {
        returned = true
      }
    }
    await expect(plan(arithmetic, items(), { workers: 2 })).resolves.toMatchObject({ itemTime: expect.any(Number) })
    expect(returned).toBe(true)
  })

  test('of nothing, and of items that fail, is a plan all the same', async () => {
    await expect(plan((n: number) => n - 1, [])).resolves.toMatchObject({ itemTime: 0 })
    const failing = { calls: sharedCells(3), fails: [9, 9, 9] }
    const made = await plan(counted, [1, 2, 3], { shared: failing })
    expect(made.reason).toEqual(expect.any(String))
    expect(made.warnings).toEqual([expect.stringMatching(/^Of (\d) tried, \1 failed, first item 0: ./)])
  })

  test('measures as much of a task that takes longer to load than all of it is to take', async () => {
    const source =
      "import { setTimeout } from 'node:timers/promises'\nawait setTimeout(300)\nexport default (n) => { if (n === 1) throw new Error('odd') }"
    const task = `data:text/javascript,${encodeURIComponent(source)}`
    expect((await plan(task, [0, 1], { mode: 'threads' })).warnings).toEqual(['Of 2 tried, 1 failed, first item 1: odd'])
  })

  test.each([
    ['short', 0],
    ['slow', 400],
  ])('warns when the results of %s items would not fit into memory', async (_, ms) => {
    const task = (_: number, { shared: ms }: { shared: unknown }) => {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms as number)
      return 'x'.repeat(1_000_000)
    }
    const made = await plan(task, new Float64Array(1_000_000), { mode: 'threads', shared: ms })
    expect(made.warnings.join()).toMatch(/GB.*collect: false/)
  })
})
