import { describe, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { createDrain } from '../../src/drain.ts'
import { createPlaces } from '../../src/engine/places.ts'
import { arraySource } from '../../src/items/array-source.ts'
import type { Source } from '../../src/items/items.ts'
import { type LoopOptions, runLoop } from '../../src/run/loop.ts'
import type { Dispatch } from '../../src/stages/stage.ts'
import type { Chunk } from '../../src/types.ts'

const NOTHING = { fulfilled: [], rejected: [] }

/** A loop over ten items with `count` places, whose chunks `dispatch` settles. */
function loop(
  dispatch: Dispatch<number, number>,
  { count = 2, ...options }: Partial<LoopOptions<number, number>> & { count?: number } = {},
) {
  const drain = createDrain(() => {})
  const places = createPlaces(count)
  const items = Array.from({ length: 10 }, (_, i) => i)
  const settled: unknown[] = []
  const run = runLoop<number, number>({
    source: arraySource(items, undefined, undefined, items.length),
    context: {
      draining: drain.signal,
      clock: systemClock,
      emit: () => {},
      settle: (outcomes) => void settled.push(outcomes),
      setAside: async () => {},
      fail: drain.fail,
    },
    route: () => ({ places, dispatch }),
    chunkSize: () => 1,
    backlog: () => undefined,
    saved: async () => {},
    ...options,
  })
  return { run, drain, places, settled }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))
const first = (chunk: Chunk) => chunk.indices[0] as number

describe('runLoop()', () => {
  test('keeps as many chunks in flight as there are places, and ends when all came back', async () => {
    const pending: (() => void)[] = []
    let widest = 0
    const { run, settled } = loop(async () => {
      widest = Math.max(widest, pending.length + 1)
      await new Promise<void>((resolve) => pending.push(resolve))
      return NOTHING
    })
    for (let i = 0; i < 10; i++) {
      await turn()
      pending.shift()?.()
    }
    await run
    expect(widest).toBe(2)
    expect(settled).toHaveLength(10)
  })

  test('waits for no item of a source that never answers, when it drained just before or meanwhile', async () => {
    for (const isBefore of [true, false]) {
      const asked: number[] = []
      const next = (size: number) => {
        asked.push(size)
        return new Promise<never>(() => {})
      }
      const source: Source<number> = { total: undefined, left: undefined, next, close: async () => {} }
      const { run, drain } = loop(async () => NOTHING, {
        source,
        chunkSize: () => {
          if (isBefore) drain.begin(new Error('enough'))
          return 1
        },
        count: 1,
      })
      await turn()
      if (!isBefore) drain.begin(new Error('enough'))
      await run
      expect(asked).toEqual([1])
    }
  })

  test('takes nothing more once it drains, and waits for what is in flight', async () => {
    const seen: number[] = []
    let release!: () => void
    const { run, drain } = loop(
      async (chunk) => {
        seen.push(first(chunk))
        await new Promise<void>((resolve) => {
          release = resolve
        })
        return NOTHING
      },
      { count: 1 },
    )
    await turn()
    drain.begin('enough')
    let isOver = false
    const over = run.then(() => {
      isOver = true
    })
    await turn()
    expect(isOver).toBe(false)
    release()
    await over
    expect(seen).toEqual([0])
  })

  test('gives the place of a chunk that rests to others, and ends the run when a dispatch rejects', async () => {
    const order: number[] = []
    const { run, drain } = loop(
      async (chunk, context) => {
        if (first(chunk) === 0) {
          await context.rest(chunk, async () => {
            while (order.length < 3) await turn()
          })
        }
        order.push(first(chunk))
        if (first(chunk) === 5) throw new Error('dispatch is broken')
        return NOTHING
      },
      { count: 1 },
    )
    await run
    expect(order.indexOf(0)).toBeGreaterThanOrEqual(3)
    expect(drain.error()).toMatchObject({ message: 'dispatch is broken' })
    expect(drain.isFatal).toBe(true)
  })

  test('gives a chunk that is alone the run to itself', async () => {
    let inFlight = 0
    const alone = { items: [1], indices: Uint32Array.of(0), alone: true }
    const chunks: Chunk<number>[] = [
      alone,
      { items: [2], indices: Uint32Array.of(1) },
      { items: [3], indices: Uint32Array.of(2) },
    ]
    const source: Source<number> = { total: 3, left: 3, next: async () => chunks.shift(), close: async () => {} }
    const beside: [number, number][] = []
    const { run } = loop(
      async (chunk) => {
        inFlight++
        await turn()
        beside.push([first(chunk), inFlight])
        await turn()
        inFlight--
        return NOTHING
      },
      { count: 3, source },
    )
    await run
    expect(beside).toEqual([
      [0, 1],
      [1, 2],
      [2, 2],
    ])
  })

  test('a chunk that is alone leaves its place to those that have to end before it', async () => {
    const chunks: Chunk<number>[] = [
      { items: [1], indices: Uint32Array.of(0) },
      { items: [2], indices: Uint32Array.of(1), alone: true },
    ]
    const source: Source<number> = { total: 2, left: 2, next: async () => chunks.shift(), close: async () => {} }
    const order: number[] = []
    const { run } = loop(
      async (chunk, context) => {
        // Until the other has the place, which is the only one.
        if (first(chunk) === 0) {
          await context.rest(chunk, async () => {
            while (chunks.length > 0) await turn()
          })
        }
        order.push(first(chunk))
        return NOTHING
      },
      { count: 1, source },
    )
    await run
    expect(order).toEqual([0, 1])
  })

  test('waits while too much waits to be taken', async () => {
    let taken = 0
    let release: (() => void) | undefined
    const { run } = loop(
      async () => {
        taken++
        return NOTHING
      },
      {
        backlog: () => {
          if (taken !== 4 || release) return undefined
          return new Promise<void>((resolve) => {
            release = resolve
          })
        },
      },
    )
    for (let i = 0; i < 5; i++) await turn()
    expect(taken).toBeLessThan(10)
    release?.()
    await run
    expect(taken).toBe(10)
  })
})
