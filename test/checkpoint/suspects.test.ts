import { describe, expect, test } from 'vitest'
import { IndexSet } from '../../src/checkpoint/format/index-set.ts'
import type { RunIndex } from '../../src/checkpoint/record/run-index.ts'
import { findSuspects } from '../../src/checkpoint/record/suspects.ts'

const MAX_CRASHES = 2
const ITEMS = 600
/** What two workers hold at once, two chunks each. */
const IN_FLIGHT = 60

/**
 * Sessions of a run, one after the other, as items.ts orders them: suspects first and alone, then the others, then who is put
 * off, alone. Each is killed from outside when it has begun `lasts()` items, or by an item among `killers`, until one completes
 * the run. Gives the items given up, and how many processes died.
 */
function play(lasts: () => number, killers: ReadonlySet<number>): { givenUp: number[]; deaths: number } {
  const fulfilled = new IndexSet()
  const sessions: RunIndex['sessions'][number][] = []
  for (let number = 0; ; number++) {
    const index = {
      isKeyed: false,
      fulfilled: { indices: fulfilled },
      failures: new Map(),
      attempted: new Map(),
      knownDead: [],
      sessions,
    }
    const suspects = findSuspects(index as unknown as RunIndex, new Set())
    const pending = Array.from({ length: ITEMS }, (_, item) => item).filter((item) => !fulfilled.has(item))
    const crashesOf = (item: number) => suspects.historyOf(item, undefined)?.crashes ?? 0
    const isLast = (item: number) => crashesOf(item) >= MAX_CRASHES || suspects.isPutOff(item, undefined)
    const alone = pending.filter((item) => suspects.has(item, undefined))
    const first = alone.filter((item) => !isLast(item))
    const last = alone.filter(isLast).sort((a, b) => crashesOf(a) - crashesOf(b))
    const others = pending.filter((item) => !alone.includes(item))
    const session = {
      ...{ writer: String(number).padStart(9, '0'), hasEnded: false, lastIndex: ITEMS },
      ...{ running: { indices: new IndexSet(), hashes: new Set<number>() }, alone: new Set<number>(), aside: new Set<number>() },
    }
    const givenUp: number[] = []
    let left = lasts()
    /** False when the process died. */
    const run = (item: number, isAlone: boolean) => {
      if (isAlone) session.alone.add(item)
      if (isAlone) session.running.indices.add(item)
      if (killers.has(item) || left-- <= 0) return false
      fulfilled.add(item)
      return true
    }
    const runAlone = (item: number) => {
      if (crashesOf(item) < MAX_CRASHES) return run(item, true)
      givenUp.push(item)
      return true
    }
    const runTogether = (item: number, at: number) => {
      for (const begun of others.slice(at, at + IN_FLIGHT)) session.running.indices.add(begun)
      return run(item, false)
    }
    const isComplete = first.every(runAlone) && others.every(runTogether) && last.every(runAlone)
    if (isComplete) return { givenUp, deaths: number }
    sessions.push(session as unknown as RunIndex['sessions'][number])
  }
}

/** Numbers in [0, 1), the same for a seed: mulberry32 by Tommy Ettinger. */
function chance(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

describe('who killed', () => {
  test.each([
    [[0], 2],
    [[40], 2],
    [[599], 2],
    [[40, 300], 4],
    [[40, 170, 300, 430], 8],
    [[40, 41], 4],
    [[40, 41, 42], 6],
  ])('items %j, after %i deaths, and nobody else', (killers, died) => {
    expect(play(() => Number.POSITIVE_INFINITY, new Set(killers))).toEqual({ givenUp: killers, deaths: died })
  })

  test('an item that was given up and is tried again, by the same count', () => {
    const died = (writer: string, items: number[], alone: number[] = []) => {
      const indices = new IndexSet()
      for (const item of items) indices.add(item)
      return {
        writer,
        hasEnded: false,
        lastIndex: 9,
        running: { indices, hashes: new Set() },
        alone: new Set(alone),
        aside: new Set(),
      }
    }
    const sessions = [died('1', [3, 4]), died('2', [3], [3]), died('4', [3, 5]), died('5', [3], [3])]
    const fulfilled = new IndexSet()
    for (const item of [4, 5]) fulfilled.add(item)
    const failures = new Map([[3, { index: 3, session: '3', crashes: 2, firstFailedAt: 1 }]])
    const index = { isKeyed: false, fulfilled: { indices: fulfilled }, failures, attempted: new Map(), knownDead: [], sessions }
    const { historyOf } = findSuspects(index as unknown as RunIndex, new Set())
    expect(historyOf(3, undefined)).toEqual({ attempts: 2, crashes: 4, pardoned: 2, firstFailedAt: 1 })
  })

  test('nobody, but in one of a hundred series of kills from outside that go on and on', () => {
    const blamed = Array.from({ length: 200 }, (_, seed) => {
      const random = chance(seed)
      const { givenUp, deaths } = play(() => Math.floor(random() * (seed % 2 === 0 ? 40 : 15)), new Set())
      return { seed, deaths, givenUp }
    }).filter(({ deaths, givenUp }) => deaths > 2 && givenUp.length > 0)
    expect(blamed.length).toBeLessThanOrEqual(2)
  })

  test('a killer is found among kills from outside', () => {
    for (let seed = 0; seed < 50; seed++) {
      const random = chance(seed)
      const { givenUp } = play(() => Math.floor(random() * 200), new Set([300]))
      expect(givenUp).toEqual([300])
    }
  })
})
