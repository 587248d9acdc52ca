import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { createEmitter } from '../../src/events.ts'
import { countTolerated } from '../../src/options/count-tolerated.ts'
import { createCollector } from '../../src/run/collector.ts'
import { restoreOutcomes } from '../../src/run/restore.ts'
import type { Selected } from '../../src/run/select.ts'
import { createTolerance } from '../../src/run/tolerance.ts'

describe('countTolerated()', () => {
  test('takes of any percentage with two decimals what whole numbers say', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10_000 }), fc.integer({ min: 0, max: 1e9 }), (hundredths, known) => {
        const percentage = Number.parseFloat((hundredths / 100).toFixed(2))
        const exact = Number((BigInt(hundredths) * BigInt(known)) / 10_000n)
        expect(countTolerated({ percentage }, 0, known)).toBe(exact)
      }),
    )
  })
})

describe('createTolerance()', () => {
  test('is exceeded from the first time on', () => {
    const tolerance = createTolerance({ percentage: 5 })
    expect(tolerance.isExceeded(99, 99, undefined)).toBe(false)
    expect(tolerance.isExceeded(6, 120, undefined)).toBe(false)
    expect(tolerance.isExceeded(7, 120, undefined)).toBe(true)
    expect(tolerance.isExceeded(7, 1000, undefined)).toBe(true)
    expect(tolerance.isExceeded(7, 1000, 1000)).toBe(true)
  })
})

test('what is restored of an iterable is judged as a whole: a part of it may hold more failures than the rest', async () => {
  const judged = async (lastBatch: number) => {
    let told = 0
    const collector = createCollector<number, number>({
      ...{ options: { collect: true, maxFailures: { percentage: 5 } }, emitter: createEmitter({}), clock: systemClock },
      ...{
        session: undefined,
        codec: undefined,
        onOutcomes: undefined,
        isLeft: () => false,
        areNumbers: false,
        length: () => undefined,
      },
      ...{ total: () => undefined, onTooManyFailures: () => void told++, onSample: () => {} },
    })
    const batch = (from: number, count: number) => {
      const indices = Uint32Array.from({ length: count }, (_, n) => from + n)
      return { indices, values: Array.from(indices) }
    }
    const failure = (index: number) => ({ index, kind: 'error' as const, reason: new Error('no'), attempts: 1, crashes: 0 })
    const restored = {
      async *read() {
        const failed = Array.from({ length: 10 }, (_, n) => failure(100 + n))
        yield {
          fulfilled: [batch(0, 100)],
          rejected: failed.map((it) => ({ ...it, firstFailedAt: 1, lastFailedAt: 1, session: 's' })),
        }
        yield { fulfilled: [batch(110, lastBatch)], rejected: [] }
      },
    }
    const selected = { placeOf: (index: number) => index, itemOf: () => undefined, onSettled: () => {} }
    const options = { keepFailures: true, isKeyedIterable: false }
    await restoreOutcomes(restored as never, collector, selected as Partial<Selected<number>> as Selected<number>, options)
    return [told, collector.excess()?.code]
  }
  expect(await judged(90)).toEqual([0, undefined])
  expect(await judged(89)).toEqual([1, 'ERR_PAWL_RUN_FAILED'])
})
