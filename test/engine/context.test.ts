import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createDrainSignal, ItemContext } from '../../src/engine/context.ts'

const facts = { runId: 'r', shared: { n: 1 }, seed: 0 }
const noSignal = () => new AbortController().signal
const randomOf = (key: string, seed = 0) => new ItemContext({ ...facts, seed }, 0, key, 1, noSignal).random

describe('random()', () => {
  test('gives the same numbers for the same seed and key, in [0, 1)', () => {
    fc.assert(
      fc.property(fc.string(), fc.integer(), (key, seed) => {
        const [a, b] = [randomOf(key, seed), randomOf(key, seed)]
        const numbers = Array.from({ length: 20 }, () => a())
        expect(Array.from({ length: 20 }, () => b())).toEqual(numbers)
        expect(numbers.every((it) => it >= 0 && it < 1)).toBe(true)
      }),
    )
  })

  test('never changes from one release to the next, as resumed runs depend on it', () => {
    const random = randomOf('0')
    expect([random(), random(), random()]).toMatchInlineSnapshot(`
      [
        0.01910015451721847,
        0.4063729317858815,
        0.2197404725011438,
      ]
    `)
  })

  test('is even, and unlike for keys that are alike', () => {
    const firsts = Array.from({ length: 10_000 }, (_, i) => randomOf(`${i}`)())
    const buckets = new Array(10).fill(0)
    for (const it of firsts) buckets[Math.floor(it * 10)]++
    for (const count of buckets) expect(Math.abs(count - 1000)).toBeLessThan(200)
    expect(new Set(firsts).size).toBeGreaterThan(9_990)
  })
})

test('ItemContext has the index for a key where none was given, and asks for its signal only when used', () => {
  let asked = 0
  const signal = () => {
    asked++
    return new AbortController().signal
  }
  const context = new ItemContext(facts, 7, undefined, 2, signal)
  expect([context.index, context.key, context.attempt, context.runId, context.shared]).toEqual([7, '7', 2, 'r', { n: 1 }])
  expect(asked).toBe(0)
  expect(context.signal.aborted).toBe(false)
  expect(asked).toBe(1)
  expect(context.random()).toBe(randomOf('7')())
  expect(new ItemContext(facts, 7, 'k', 1, signal).random()).toBe(randomOf('k')())
})

describe('createDrainSignal()', () => {
  test('knows of a drain whenever it is asked', () => {
    let isStopped = false
    const signal = createDrainSignal(() => isStopped, undefined)
    expect(signal.aborted).toBe(false)
    signal.throwIfAborted()
    isStopped = true
    expect(signal.aborted).toBe(true)
    expect(() => signal.throwIfAborted()).toThrow(/being drained/)
    expect(signal.reason).toMatchObject({ code: 'ERR_PAWL_ABORTED' })
  })

  test('fires for its listeners once it is told', async () => {
    let isStopped = false
    let tell!: () => void
    const signal = createDrainSignal(
      () => isStopped,
      new Promise<void>((resolve) => {
        tell = resolve
      }),
    )
    const fired = new Promise((resolve) => signal.addEventListener('abort', resolve))
    isStopped = true
    tell()
    await fired
    expect(signal.aborted).toBe(true)
    expect(AbortSignal.any([signal]).aborted).toBe(true)
  })
})
