import fc from 'fast-check'

/** Values of every kind that fast-check knows and structured clone carries. */
export const anything = fc.anything({
  withBigInt: true,
  withBoxedValues: true,
  withDate: true,
  withMap: true,
  withSet: true,
  withTypedArray: true,
  withSparseArray: true,
  withNullPrototype: true,
  withUnicodeString: true,
})

/** One value of every kind that structured clone carries and msgpack must give back equal. */
export function carriedKinds(): [name: string, value: unknown][] {
  const shared = { of: 'two' }
  const cycle: Record<string, unknown> = { name: 'cycle' }
  cycle['self'] = cycle
  const ring: unknown[] = [1]
  ring.push(ring, new Map([['ring', ring]]))
  const named = Object.assign([1, 2], { sum: 3 })
  const buffer = new ArrayBuffer(8)
  const resizable = new (ArrayBuffer as new (length: number, options: object) => ArrayBuffer)(4, { maxByteLength: 16 })
  const float16: unknown = Reflect.get(globalThis, 'Float16Array')
  return [
    ['undefined', undefined],
    ['null', null],
    ['true', true],
    ['NaN', Number.NaN],
    ['-0', -0],
    ['-0 in a record', { zero: -0 }],
    ['infinities', [Infinity, -Infinity]],
    ['integers at their bounds', [2 ** 31 - 1, -(2 ** 31), 2 ** 32, 2 ** 53, -129, 128, 63, 64, 127, -32, -33]],
    ['smallest and largest number', [Number.MIN_VALUE, Number.MAX_VALUE, Number.EPSILON]],
    ['small BigInts', [0n, -1n, 2n ** 63n - 1n, -(2n ** 63n)]],
    ['large BigInts', [2n ** 63n, 2n ** 64n, -(2n ** 200n), 7n ** 900n]],
    ['string', 'größe ✓ 😀'],
    ['empty string', ''],
    ['long string', 'x'.repeat(70_000)],
    ['byte order marks', ['\ufeff', `\ufeff${'a'.repeat(100)}`, { [`\ufeff${'k'.repeat(80)}`]: 1 }]],
    ['lone surrogates', ['\ud800', '\udc00x', { '\ud83d': 'key' }]],
    ['line separators', '\u2028\u2029\n\r\0'],
    ['Date', new Date(1234567890123)],
    ['Dates far away', [new Date(8.64e15), new Date(-8.64e15), new Date(0), new Date(-1), new Date(2 ** 35 * 1000 + 7)]],
    ['invalid Date', new Date(Number.NaN)],
    ['RegExp', /a(b)+/giu],
    [
      'Map',
      new Map<unknown, unknown>([
        ['a', 1],
        [{ key: true }, new Map()],
        [Number.NaN, -0],
      ]),
    ],
    ['Set', new Set([1, 'a', new Set([2])])],
    ['Int8Array', Int8Array.of(-1, 2)],
    ['Uint8Array', Uint8Array.of(1, 255)],
    ['Uint8ClampedArray', Uint8ClampedArray.of(1, 255)],
    ['Int16Array', Int16Array.of(-1, 2)],
    ['Uint16Array', Uint16Array.of(1, 65535)],
    ['Int32Array', Int32Array.of(-1, 2)],
    ['Uint32Array', Uint32Array.of(1, 2 ** 32 - 1)],
    ['Float32Array', Float32Array.of(0.5, -0, Number.NaN)],
    ['Float64Array', Float64Array.of(0.1, -0, Number.NaN)],
    ['BigInt64Array', BigInt64Array.of(-1n, 2n)],
    ['BigUint64Array', BigUint64Array.of(1n, 2n ** 64n - 1n)],
    ...(typeof float16 === 'function' ? [['Float16Array', Reflect.construct(float16, [[0.5, -2]])] as [string, unknown]] : []),
    ['empty views', [new Uint8Array(0), new Float64Array(0)]],
    ['large view', new Uint8Array(70_000).fill(7)],
    ['part of a buffer', new Uint8Array(Uint8Array.of(1, 2, 3, 4).buffer, 1, 2)],
    ['ArrayBuffer', Uint8Array.of(1, 2, 3).buffer],
    ['resizable ArrayBuffer', resizable],
    ['view of a resizable ArrayBuffer', { view: new Uint8Array(resizable) }],
    ['DataView', new DataView(buffer, 2, 4)],
    ['two views of one buffer', { bytes: new Uint8Array(buffer), floats: new Float64Array(buffer), buffer }],
    ['Buffer', { digest: Buffer.from('ab') }],
    [
      'Buffer beside a Map',
      { digest: Buffer.from('ab'), map: new Map([[1, Buffer.from('cd')]]), set: new Set([Buffer.from('ef')]) },
    ],
    ['boxed primitives', [Object('s'), Object(1), Object(-0), Object(true), Object(1n)]],
    ['Error', new TypeError('wrong', { cause: { why: new Error('deeper') } })],
    ['Error whose cause is undefined', new Error('x', { cause: undefined })],
    ['Error with own fields', Object.assign(new Error('io'), { code: 'ENOENT' })],
    ['AggregateError', new AggregateError([new Error('one')], 'many')],
    ['shared reference', { a: shared, b: shared, list: [shared] }],
    ['many parts with one shared', [...Array.from({ length: 40 }, () => ({})), shared, shared]],
    ['shared Date', ((date) => [date, date])(new Date(5))],
    ['cycle', cycle],
    ['cycle through arrays and maps', ring],
    ['sparse array', [, 1, , 2, ,]],
    ['sparsest array', Object.assign([], { 4_294_967_294: 1, 4_294_967_295: 'named' })],
    ['very sparse array', Object.assign([], { 100_000: 1 })],
    ['array with a hole and a name', Object.assign([, 1], { x: 1 })],
    ['undefined elements', [undefined, null, undefined]],
    ['named array properties', named],
    ['match of a RegExp', /a(?<b>b)/.exec('ab')],
    ['own __proto__', JSON.parse('{"__proto__":{"polluted":true},"a":1}')],
    [
      'odd keys',
      { constructor: 1, toJSON: 2, hasOwnProperty: 3, __keys__: 4, '': 5, 0: 6, '-1': 7, 'a"\'`\n\u2028': 8, valueOf: 9 },
    ],
    ['each odd key alone', [{ constructor: {} }, { toJSON: null }, { hasOwnProperty: 0 }, { __keys__: [] }, { prototype: 1 }]],
    ['no keys', {}],
    ['many keys', Object.fromEntries(Array.from({ length: 300 }, (_, at) => [`key ${at}`, at]))],
    ['null prototype', Object.assign(Object.create(null), { a: 1 })],
    ['class instance', new Point(1, 2)],
    ['class instance inside', { point: new Point(1, 2), again: [new Point(3, 4)] }],
    ['instance of a subclass of Map', new (class Registry extends Map<string, number> {})([['a', 1]])],
    ['toJSON that is inherited', new WithToJson()],
    [
      'getter',
      {
        get answer() {
          return 42
        },
      },
    ],
    ['symbol key and non-enumerable', Object.defineProperty({ [Symbol('s')]: 1, a: 2 }, 'hidden', { value: 3 })],
    ['deep nesting', nest(500)],
  ]
}

class Point {
  x: number
  y: number
  #secret = 1

  constructor(x: number, y: number) {
    this.x = x
    this.y = y
  }

  get sum(): number {
    return this.x + this.y + this.#secret
  }
}

class WithToJson {
  a = 1

  toJSON(): string {
    return 'never called'
  }
}

/** Arrays in arrays, `depth` deep. */
export function nest(depth: number): unknown {
  let value: unknown = 'core'
  for (let level = 0; level < depth; level++) value = [value]
  return value
}

/** A value in which `depth + 1` objects make 2^depth ways from the root to the core. */
export function pairs(depth: number): unknown {
  let value: unknown = 'core'
  for (let level = 0; level < depth; level++) value = [value, value]
  return value
}
