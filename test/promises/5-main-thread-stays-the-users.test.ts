import { threadId } from 'node:worker_threads'
import { createExecutor, type ExecuteOptions, execute } from 'pawl'
import { describe, expect, test } from 'vitest'
import { busy, busyFor, neverRunBefore, onThread } from '../fixtures/tasks/thread.mjs'
import { newDirectory, range } from '../resume/place.ts'

/** Longest slice that promise 5 allows, in ms. */
const SLICE_MS = 5

describe("the main thread stays the user's", () => {
  test.each<[string, ExecuteOptions<number>]>([
    ['auto', {}],
    ['a checkpoint', { checkpoint: 'runs' }],
    ['a timeout', { timeout: 10_000 }],
    ['one worker', { workers: 1 }],
    ['a pinned chunk size', { chunkSize: 1 }],
  ])('no item runs on it when it costs more than being carried to a worker: %s', async (_, options) => {
    const checkpoint = options.checkpoint === undefined ? {} : { checkpoint: newDirectory() }
    const { results, plan } = await execute(busy, range(60), { ...options, ...checkpoint })
    expect(results.filter((thread) => thread === threadId)).toEqual([])
    expect(plan.mode).toBe('threads')
  })

  test.each<[string, ExecuteOptions<number>]>([
    ['a checkpoint', { checkpoint: 'runs' }],
    ['a timeout', { timeout: 10_000 }],
    ['resource limits', { resourceLimits: { maxOldGenerationSizeMb: 200 } }],
  ])('not even the cheapest with %s', async (_, options) => {
    const checkpoint = options.checkpoint === undefined ? {} : { checkpoint: newDirectory() }
    const { results } = await execute(onThread, range(5000), { ...options, ...checkpoint })
    expect(results.filter((thread) => thread === threadId)).toEqual([])
  })

  test('nothing runs on it before it was measured in a worker', async () => {
    const { results } = await execute(neverRunBefore, range(2000))
    expect(results[0]).not.toBe(threadId)
  })

  test('of items that are heavier than what an earlier run measured, one at most runs on it, and none where a thread stands ready', async () => {
    const [quick, heavy] = [Array<number>(40).fill(0.01), [50, 50, 50, 50]]
    const onMain = (results: readonly number[]) => results.filter((thread) => thread === threadId).length
    await execute(busyFor, quick)
    expect(onMain((await execute(busyFor, heavy)).results)).toBeLessThanOrEqual(1)
    expect(onMain((await execute(busyFor, heavy)).results)).toBe(0) // That one was measured.

    await using executor = createExecutor()
    await executor.execute(busyFor, quick)
    expect(onMain((await executor.execute(busyFor, quick)).results)).toBe(0)
    expect(onMain((await executor.execute(busyFor, heavy)).results)).toBe(0)
  })

  test('nor do the last items of a run whose chunks are so long that they answer in parts', async () => {
    const items = [...Array<number>(2000).fill(0.1), ...Array<number>(8).fill(20)]
    const { results } = await execute(busyFor, items, { mode: 'auto', workers: 2, chunkSize: 1000 })
    expect(results.filter((thread) => thread === threadId)).toEqual([])
  })

  test('inline, the event loop turns after every slice of 5 ms', async () => {
    // Each item takes 1 ms or more, so that a slice holds 5 of them at most, however slow the machine is.
    const turns = countTurns()
    const { results } = await execute(busy, range(300), { mode: 'inline' })
    expect(results.every((thread) => thread === threadId)).toBe(true)
    expect(turns.stop()).toBeGreaterThanOrEqual(300 / (SLICE_MS + 1))
  })

  test('inline, what else the event loop has to do is not taken for work of the items', async () => {
    const abort = new AbortController()
    let turns = 0
    let isOver = false
    const onTurn = () => {
      for (const until = performance.now() + 5; performance.now() < until; );
      if (++turns > 1000) abort.abort(new Error('next to nothing is done in a turn'))
      if (!isOver) setImmediate(onTurn)
    }
    onTurn()
    const { results } = await execute((n: number) => n + 1, range(100_000), { mode: 'inline', signal: abort.signal })
    isOver = true
    expect(results).toHaveLength(100_000)
  })

  test('inline, runs of an executor take turns by slice, and each slice has a turn of its own', async () => {
    await using executor = createExecutor({ mode: 'inline' })
    const turns = countTurns()
    const ended: number[] = []
    const runs = range(4).map((n) => executor.execute(busy, range(n === 3 ? 20 : 80)).then(() => ended.push(n)))
    await Promise.all(runs)
    expect(turns.stop()).toBeGreaterThanOrEqual(260 / (SLICE_MS + 1))
    expect(ended[0]).toBe(3)
  })

  test('inline, timers of the user run in time order with the items', async () => {
    let fired = 0
    const timer = setInterval(() => fired++, 1)
    await execute(busy, range(100), { mode: 'inline' })
    clearInterval(timer)
    expect(fired).toBeGreaterThanOrEqual(100 / (SLICE_MS + 1) / 2)
  })

  test('on threads it turns many times per item', async () => {
    const turns = countTurns()
    await execute(busy, range(100), { mode: 'threads', workers: 2, chunkSize: 10 })
    expect(turns.stop()).toBeGreaterThan(100)
  })

  test('on threads it turns between chunks, however long a listener takes with what they give', async () => {
    const turns = countTurns()
    const seen: number[] = []
    const outcome = () => {
      for (const until = performance.now() + SLICE_MS; performance.now() < until; );
      seen.push(turns.count())
    }
    await execute(onThread, range(60), { mode: 'threads', workers: 1, chunkSize: 1, on: { outcome } })
    turns.stop()
    // A worker has two chunks at a time, so that no more than these are there at once.
    expect((seen.at(-1) as number) - (seen[0] as number)).toBeGreaterThanOrEqual(60 / 3)
  })
})

/** Turns of the event loop. */
function countTurns(): { count(): number; stop(): number } {
  let turns = 0
  let next: NodeJS.Immediate | undefined
  const turn = () => {
    turns++
    next = setImmediate(turn)
  }
  turn()
  return {
    count: () => turns,
    stop: () => {
      clearImmediate(next)
      return turns
    },
  }
}
