import { setFlagsFromString } from 'node:v8'
import { runInThisContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { createEmitter } from '../../src/events.ts'
import { type Collector, createCollector } from '../../src/run/collector.ts'
import { refuseTooMany } from '../../src/run/result-places.ts'

const FAST = 2 ** 25

setFlagsFromString('--allow-natives-syntax')
const isDictionary: (array: unknown[]) => boolean = runInThisContext('(array) => %HasDictionaryElements(array)')

function collect(length: number | undefined, areNumbers = false): Collector<number, unknown> {
  const given = { emitter: createEmitter({}), clock: systemClock, session: undefined, codec: undefined, onOutcomes: undefined }
  return createCollector<number, unknown>({
    ...{ ...given, areNumbers, isLeft: () => false, onTooManyFailures: () => {}, onSample: () => {} },
    options: { collect: true, maxFailures: { count: 0 } },
    length: () => length,
    total: () => length,
  })
}

const settle = ({ settle: take }: Collector<number, unknown>, ...indices: number[]) =>
  take({ fulfilled: [{ indices: Uint32Array.from(indices), values: indices }], rejected: [] })

describe.each(['numbers', 'others'] as const)('results of %s beyond 2^25 do not become a dictionary', (kind) => {
  test('of as many items as are known from the start', () => {
    const collector = collect(FAST + 7, kind === 'numbers')
    settle(collector, 0, FAST - 1, FAST + 6)
    collector.finish()
    const { results } = collector
    expect(isDictionary(results)).toBe(false)
    expect([results.length, results[FAST + 6], FAST + 5 in results]).toEqual([FAST + 7, FAST + 6, false])
  })

  test('of items that come one by one', () => {
    const collector = collect(undefined, kind === 'numbers')
    for (const index of [7, FAST - 1, FAST, FAST + 9]) settle(collector, index)
    expect(isDictionary(collector.results)).toBe(false)
    collector.finish()
    const { results } = collector
    expect(isDictionary(results)).toBe(false)
    expect([results.length, results[7], results[FAST + 9], FAST + 8 in results]).toEqual([FAST + 10, 7, FAST + 9, false])
  })
})

test('results that no array holds are refused with what to do', () => {
  const refused = expect.objectContaining({
    code: 'ERR_PAWL_INVALID_OPTION',
    message: "Cannot use option 'collect': expected false for more than 134216704 items, which no array holds, got true",
  })
  const collected = { collect: true, shard: undefined }
  expect(() => refuseTooMany(collected, 2 ** 27)).toThrow(refused)
  refuseTooMany(collected, 2 ** 26)
  refuseTooMany({ ...collected, collect: false }, 2 ** 27)
})

test('results of a shard of more items than an array holds in one block are collected', () => {
  refuseTooMany({ collect: true, shard: '1/10' }, 2 ** 27)
  const collector = collect(2 ** 27)
  settle(collector, 7, 2 ** 27 - 1)
  collector.finish()
  const { results } = collector
  expect([results.length, results[7], results[2 ** 27 - 1]]).toEqual([2 ** 27, 7, 2 ** 27 - 1])
})
