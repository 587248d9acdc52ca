import { deepStrictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { loadCodec } from '../../src/values/codec.ts'
import { anything, nest } from './samples.ts'

const codec = await loadCodec('json')

function textOf(values: ArrayLike<unknown>): string {
  const { bytes, refused } = codec.encode(values)
  expect(refused).toEqual([])
  return Buffer.from(bytes).toString('utf8')
}

function roundTrip(values: ArrayLike<unknown>): unknown[] {
  return codec.decode(Buffer.from(textOf(values)))
}

class Point {
  x = 1
  y = -0

  toJSON(): string {
    return 'never called'
  }
}

describe('jsonCodec', () => {
  test('knows itself to be sound', () => expect(codec.isSound()).toBe(true))

  const held: [name: string, value: unknown, text: string][] = [
    ['null', null, 'null'],
    ['-0', -0, '-0'],
    ['-0 inside', { a: [0, -0], b: '-0' }, '{"a":[0,-0],"b":"-0"}'],
    ['numbers', [1e21, 5e-324, 0.1, -1], '[1e+21,5e-324,0.1,-1]'],
    ['strings', ['größe', 'a\nb', '"', ''], '["größe","a\\\\nb","\\\\"",""]'.replaceAll('\\\\', '\\')],
    ['lone surrogates', ['\ud800', { '\udc00': 1 }], '["\\ud800",{"\\udc00":1}]'],
    ['own __proto__', JSON.parse('{"__proto__":{"a":1}}'), '{"__proto__":{"a":1}}'],
    ['own __proto__ beside -0', JSON.parse('{"__proto__":{"a":-0}}'), '{"__proto__":{"a":-0}}'],
    ['toJSON that is data', { toJSON: 1 }, '{"toJSON":1}'],
    ['toJSON that nobody sees', Object.defineProperty({ a: 1 }, 'toJSON', { value: () => 'called' }), '{"a":1}'],
    ['toJSON of an array', Object.defineProperty([1], 'toJSON', { value: () => 'called' }), '[1]'],
    ['class instance with toJSON', new Point(), '{"x":1,"y":-0}'],
    ['class instance inside', [{ p: new Point() }], '[{"p":{"x":1,"y":-0}}]'],
    ['null prototype', Object.assign(Object.create(null), { a: 1 }), '{"a":1}'],
    [
      'getter',
      {
        get a() {
          return -0
        },
      },
      '{"a":-0}',
    ],
    [
      'symbol keys and non-enumerables are dropped',
      Object.defineProperty({ [Symbol('s')]: 1, a: 2 }, 'b', { value: 3 }),
      '{"a":2}',
    ],
    ['shared part', ((part) => [part, part])({ a: 1 }), '[{"a":1},{"a":1}]'],
    ['shared part beside -0', ((part) => [part, part])({ a: -0 }), '[{"a":-0},{"a":-0}]'],
    ['deep', nest(500), `${'['.repeat(500)}"core"${']'.repeat(500)}`],
  ]

  test.each(held)('writes what JSON can hold and gives it back: %s', (_, value, text) => {
    expect(textOf([value])).toBe(`[${text}]`)
    deepStrictEqual(roundTrip([value]), [structuredClone(value)])
  })

  test('gives back any column of JSON values, on one line', () => {
    const values = fc.array(
      fc.oneof(
        fc.jsonValue({ stringUnit: 'binary' }),
        fc.constant(-0),
        fc.string({ unit: 'binary' }),
        fc.double({ noNaN: true, noDefaultInfinity: true }),
      ),
    )
    fc.assert(
      fc.property(values, (column) => {
        deepStrictEqual(roundTrip(column), structuredClone(column))
        expect(textOf(column)).not.toMatch(/[\n\r]/)
      }),
      { numRuns: 2000 },
    )
  })

  test('holds anything or refuses it, and never changes it', () => {
    fc.assert(
      fc.property(fc.array(anything), (column) => {
        const { bytes, refused } = codec.encode(column)
        const places = new Set(refused.map(({ at }) => at))
        deepStrictEqual(codec.decode(bytes), structuredClone(column.filter((_, at) => !places.has(at))))
      }),
      { numRuns: 2000 },
    )
  })

  test('keeps the order around values it writes slowly', () => {
    deepStrictEqual(roundTrip([1, -0, { a: 1 }, new Point(), 'b', -0]), [1, -0, { a: 1 }, { x: 1, y: -0 }, 'b', -0])
    deepStrictEqual(roundTrip([]), [])
  })

  test('decode raises CheckpointCorruptError for anything but a JSON array', () => {
    for (const bytes of [
      Buffer.from(''),
      Buffer.from('{}'),
      Buffer.from('[1'),
      Buffer.from('[1]x'),
      Buffer.from([0x5b, 0x22, 0xff, 0x22, 0x5d]),
    ]) {
      expect(() => codec.decode(bytes)).toThrow(expect.objectContaining({ code: 'ERR_PAWL_CHECKPOINT_CORRUPT' }))
    }
  })
})

describe('jsonCodec refuses', () => {
  const cycle: Record<string, unknown> = { list: [] }
  cycle['list'] = [0, cycle]
  const refusals: [name: string, value: unknown, path: string, got: string][] = [
    ['undefined', undefined, '', 'undefined'],
    ['undefined in an array', [1, undefined], '[1]', 'undefined'],
    ['undefined in an object', { a: undefined }, 'a', 'undefined'],
    ['NaN', { a: { b: Number.NaN } }, 'a.b', 'NaN'],
    ['Infinity', [-Infinity], '[0]', '-Infinity'],
    ['BigInt', { 'odd key': 1n }, '["odd key"]', 'a BigInt'],
    ['Date', { tags: [0, 1, 2, { x: new Date() }] }, 'tags[3].x', 'a Date'],
    ['Map', { tags: [0, 1, 2, new Map()] }, 'tags[3]', 'a Map'],
    ['Set', [new Set()], '[0]', 'a Set'],
    ['typed array', { data: new Uint8Array(1) }, 'data', 'a Uint8Array'],
    ['Buffer', { data: Buffer.from('a') }, 'data', 'a Uint8Array'],
    ['ArrayBuffer', { data: new ArrayBuffer(1) }, 'data', 'an ArrayBuffer'],
    ['RegExp', /a/, '', 'a RegExp'],
    ['boxed', [Object(1)], '[0]', 'a Number'],
    ['Error', { e: new TypeError('x') }, 'e', 'a TypeError'],
    ['cycle', cycle, 'list[1]', 'a reference back to what holds it'],
    ['function', { toJSON: () => 1 }, 'toJSON', "the function 'toJSON'"],
    ['symbol', [Symbol('s')], '[0]', 'a symbol'],
    ['hole', [[1, , 2]], '[0]', 'an array without an element 1'],
    ['named array properties', { m: Object.assign([1], { x: 1 }) }, 'm', "an array with a property 'x'"],
    ['hole and name', Object.assign([1, ,], { x: 1 }), '', "an array with a property 'x'"],
    ['Promise', [Promise.resolve(1)], '[0]', 'a Promise'],
    ['Blob', { blob: new Blob(['x']) }, 'blob', 'a Blob'],
    [
      'getter that throws',
      {
        get a(): never {
          throw new Error('boom')
        },
      },
      'a',
      'a property that throws when it is read (Error: boom)',
    ],
  ]

  const nearest = new Map([
    ['undefined', 'null'],
    ['a BigInt', 'what its toString() gives'],
    ['a Date', 'what its toISOString() gives'],
    ['a Map', 'what Object.fromEntries() makes of it'],
    ['a Set', 'an array of its members'],
  ])

  test.each(refusals)('%s, and says where', (_, value, path, got) => {
    const { bytes, refused } = codec.encode(['one', value, { two: 2 }])
    expect(Buffer.from(bytes).toString()).toBe('["one",{"two":2}]')
    expect(refused).toHaveLength(1)
    expect(refused[0]?.at).toBe(1)
    expect(refused[0]?.error).toMatchObject({ code: 'ERR_PAWL_SERIALIZATION', path })
    const place = path === '' ? '' : ` at result${path.startsWith('[') ? '' : '.'}${path}`
    const plain = nearest.get(got) ?? 'plain data'
    const cure = `Return ${plain}, or use format 'msgpack', which holds whatever structured clone carries`
    expect(refused[0]?.error.message).toBe(
      `Cannot record the result of item 1: expected a value that JSON can hold, got ${got}${place}. ${cure}`,
    )
  })

  test('a value too deep for the stack', () => {
    const { refused } = codec.encode([1, nest(100_000)])
    expect(refused.map(({ at }) => at)).toEqual([1])
  })
})
