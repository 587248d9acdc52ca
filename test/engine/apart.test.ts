import { deepStrictEqual, notStrictEqual } from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import { serialize } from 'node:v8'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { areApart, cloneApart, copyApart, ODD } from '../../src/engine/apart.ts'
import { move } from '../../src/move.ts'
import { jsonCodec } from '../../src/values/json.ts'
import { msgpackCodec } from '../../src/values/msgpack.ts'

const anything = fc.anything({
  ...{ withBigInt: true, withDate: true, withMap: true, withSet: true, withNullPrototype: true },
  ...{ withObjectString: true, withBoxedValues: true, withSparseArray: true, withTypedArray: true },
})

/** As a part keeps it. */
function keep(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  const copy = copyApart(value)
  return copy === ODD ? cloneApart(value) : copy
}

const SHARED = new SharedArrayBuffer(8)
/** Alike for whoever is given them. The first tells invalid dates apart, the other how V8 holds a number. */
function areAlike(a: unknown, b: unknown): boolean {
  return isDeepStrictEqual(a, b) || serialize(a).equals(serialize(b))
}

/** That it makes no difference to what comes of a value whether it was kept apart. */
function expectAlike(value: unknown): void {
  const kept = keep(value)
  expect(areAlike(structuredClone(kept), structuredClone(value))).toBe(true)
  for (const codec of [msgpackCodec, jsonCodec]) {
    const [ofKept, ofValue] = [codec.encode([kept]), codec.encode([value])]
    expect(areAlike(codec.decode(ofKept.bytes, true), codec.decode(ofValue.bytes, true))).toBe(true)
    expect(ofKept.refused.map(({ error }) => error.message)).toEqual(ofValue.refused.map(({ error }) => error.message))
  }
}

const bytes = Uint8Array.from({ length: 40 }, (_, at) => at)
const twice = { n: 1 }
const cycle: { self?: unknown } = {}
cycle.self = cycle

const VALUES: readonly (readonly [string, () => unknown])[] = [
  ['a record', () => ({ a: 1, b: 'x', c: null, d: undefined, e: -0, f: 5n, g: Number.NaN })],
  ['records in lists in records', () => ({ list: [{ a: [1, [2]] }, { a: [] }], at: new Date(5) })],
  ['a part that lies in it twice', () => [twice, twice]],
  ['a cycle', () => cycle],
  ['an array with a hole', () => [1, , 3]],
  ['an array with a name', () => 'x'.match(/x/)],
  ['an array with a hole and a name', () => Object.assign([1, , 3], { sum: 4 })],
  ['an array with as many names as holes', () => ({ list: Object.assign([, , 'x'], { a: 1, b: 2 }) })],
  ['a long array', () => Array.from({ length: 1000 }, (_, at) => ({ at }))],
  [
    'an instance of a class',
    () =>
      new (class Point {
        x = 1
        #y = 2
        get y() {
          return this.#y
        }
      })(),
  ],
  [
    'a record with a getter',
    () => ({
      get now() {
        return { a: 1 }
      },
    }),
  ],
  ['a record with a key named __proto__', () => JSON.parse('{"__proto__": {"a": 1}, "b": {"c": 2}}')],
  ['a record without a prototype', () => Object.assign(Object.create(null), { a: { b: 1 } })],
  [
    'symbols as keys, and keys that are not enumerable',
    () => Object.defineProperty({ [Symbol('s')]: 1, a: 1 }, 'b', { value: 2 }),
  ],
  ['a map and a set', () => new Map<unknown, unknown>([[{ a: 1 }, new Set([{ b: 2 }])]])],
  ['an error', () => new RangeError('no', { cause: new Error('why') })],
  ['boxed values, a pattern, an invalid date', () => [Object(1), Object('s'), Object(2n), /x/gi, new Date(Number.NaN)]],
  ['bytes', () => bytes.slice()],
  ['views of a part of a buffer', () => ({ a: bytes.subarray(3, 9) })],
  ['two views of one buffer', () => ({ a: bytes.subarray(0, 8), b: new DataView(bytes.buffer, 4, 8) })],
  ['a buffer', () => bytes.slice().buffer],
  ['a Buffer of the pool', () => ({ text: Buffer.from('some text') })],
  ['views of all kinds', () => [new Float64Array(3), new BigInt64Array(2), new Uint8ClampedArray(5), new Int16Array(0)]],
  ['many bytes', () => ({ pixels: new Uint8Array(100_000).fill(7) })],
  ['an object 200 deep', () => Array.from({ length: 200 }).reduce((inner: unknown) => ({ inner }), 1)],
]

describe('a result that is kept apart', () => {
  test.each(VALUES)('comes through structured clone and codecs as it would itself: %s', (_, make) => {
    expectAlike(make())
  })

  test('comes through as it would itself: anything', () => {
    fc.assert(
      fc.property(anything, (value) => expectAlike(value)),
      { numRuns: 1000 },
    )
  })

  test.each<[string, () => unknown, (value: any) => void]>([
    ['a record', () => ({ n: 1 }), (value) => (value.n = 2)],
    ['a list in a record', () => ({ list: [1] }), (value) => value.list.push(2)],
    ['a date', () => ({ at: new Date(1) }), (value) => value.at.setTime(2)],
    ['bytes', () => new Float64Array(2), (value) => value.fill(2)],
    ['a view in a record', () => ({ rows: [bytes.subarray(2, 5)] }), (value) => value.rows[0].fill(2)],
    ['a buffer', () => new ArrayBuffer(8), (value) => new Uint8Array(value).fill(2)],
    ['a map', () => new Map([['n', { n: 1 }]]), (value) => (value.get('n').n = 2)],
    [
      'an instance',
      () =>
        new (class {
          n = 1
        })(),
      (value) => (value.n = 2),
    ],
    ['two views of one buffer', () => [bytes.subarray(0, 8), bytes.subarray(4, 9)], (value) => value[0].fill(9)],
    ['a part of a large one', () => Array.from({ length: 100 }, () => ({ n: 1 })), (value) => (value[99].n = 2)],
  ])('is not seen to change: %s', (_, make, change) => {
    const value = structuredClone(make())
    const [before, kept] = [structuredClone(value), keep(value)]
    notStrictEqual(kept, value)
    change(value)
    deepStrictEqual(structuredClone(kept), before)
  })

  test('is itself where that is refused anyway, and refused for what it is', () => {
    const { proxy } = Proxy.revocable({}, {})
    for (const value of [{ f: () => {} }, [Symbol('s')], proxy, new Proxy({ a: 1 }, {}), new WeakMap(), { p: new Proxy({}, {}) }])
      expect(keep(value)).toBe(value)
    const given = {
      get bad() {
        throw new Error('no')
      },
    }
    expect(keep(given)).toBe(given)
  })

  test('is left what it shares with other threads, and what was given away goes as it is', () => {
    const shared = new Int32Array(new SharedArrayBuffer(8))
    const given = move(new Uint8Array(20_000))
    const kept = keep({ shared, given }) as { shared: Int32Array; given: Uint8Array }
    expect(kept.shared).toBe(shared)
    expect(kept.given).toBe(given)
  })
})

describe('items lie apart', () => {
  test.each<[string, unknown, boolean]>([
    ['numbers', Float64Array.of(1, 2), true],
    ['values without parts', [1, 'a', null, undefined, 'a'], true],
    ['records of their own', [{ a: [1] }, { a: [1] }], true],
    ['one record twice', [twice, twice], false],
    [
      'a part of two',
      [
        { a: 1, twice },
        { a: 2, twice },
      ],
      false,
    ],
    ['a part of two, deep inside', [{ a: [{ twice }] }, { b: new Map([['k', [twice]]]) }], false],
    ['a member of two sets', [new Set([twice]), new Set([twice])], false],
    ['the cause of two errors', [new Error('a', { cause: twice }), { e: new Error('b', { cause: twice }) }], false],
    ['errors with causes of their own', [new Error('a', { cause: { n: 1 } }), new Error('a', { cause: { n: 1 } })], true],
    ['a key of two maps', [new Map([[twice, 1]]), new Map([[twice, 1]])], false],
    ['views next to one another', [bytes.subarray(5, 9), bytes.subarray(0, 5)], true],
    ['views that overlap', [{ a: bytes.subarray(0, 6) }, { b: bytes.subarray(5, 9) }], false],
    ['a view, and its buffer', [bytes.subarray(0, 6), bytes.buffer], false],
    ['memory that threads share', [new Int32Array(SHARED), new Int32Array(SHARED), SHARED, SHARED], true],
    ['one that is in itself', [cycle, { a: 1 }], false],
  ])('%s', (_, items, are) => {
    expect(areApart(items as unknown[])).toBe(are)
  })
})
