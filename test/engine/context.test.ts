import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createDrainSignal, ItemContext } from '../../src/engine/context.ts'
import { mixSeed } from '../../src/engine/random.ts'

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
        0.08560628414981597,
        0.894599830121133,
        0.7524602408094334,
      ]
    `)
  })

  test('is even, and unlike for keys that are alike', () => {
    const firsts = Array.from({ length: 10_000 }, (_, i) => randomOf(`${i}`)())
    const buckets = new Array(10).fill(0)
    for (const it of firsts) buckets[Math.floor(it * 10)]++
    for (const count of buckets) expect(Math.abs(count - 1000)).toBeLessThan(200)
    expect(new Set(firsts).size).toBe(10_000)
  })

  test('has 53 random bits', () => {
    const random = randomOf('bits')
    const numbers = Array.from({ length: 1000 }, () => random() * 2 ** 53)
    expect(numbers.every(Number.isInteger)).toBe(true)
    for (let bit = 0; bit < 53; bit++) {
      const ones = numbers.filter((it) => Math.floor(it / 2 ** bit) % 2 === 1).length
      expect(Math.abs(ones - 500), `bit ${bit}`).toBeLessThan(100)
    }
  })

  test('is another sequence for each of 200,000 keys', () => {
    const keys = Array.from({ length: 200_000 }, (_, index) => `customer-${Math.imul(index, 0x9e3779b1) >>> 0}-${index}`)
    expect(new Set(keys.map((key) => randomOf(key)())).size).toBe(keys.length)
  })

  test('is another for texts that differ in what follows, or in a unit that is 0', () => {
    const keys = ['', '\0', '\0\0', 'a', 'a\0', '\0a', '1', '11', '\u0100', '\u0001']
    expect(new Set(keys.map((key) => randomOf(key)())).size).toBe(keys.length)
    expect(randomOf('1', 1)()).not.toBe(randomOf('11', 0)())
  })
})

test.each([
  [[5], [16823399, 2940995229, 2290007392, 1039507385]],
  [
    [3735928559, 195939070, 229505742, 305419896],
    [3914649087, 576849849, 3593928901, 2229911004],
  ],
  [
    [1, 2, 3, 4, 5, 6],
    [488360481, 3956080669, 2986500235, 3488252836],
  ],
])('mixSeed() makes of %j what SeedSequence of NumPy makes', (words, mixed) => {
  const state = mixSeed(words.length, (at) => words[at] as number)
  expect(Array.from(state.slice(0, 4), (word) => word >>> 0)).toEqual(mixed)
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
    expect(() => signal.throwIfAborted()).toThrow(/got a drain/)
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
