import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MAX_NESTING } from '../../src/nesting.ts'
import { carry } from '../../src/values/carry.ts'
import { loadCodec } from '../../src/values/codec.ts'
import { assertSame, identities } from './same.ts'
import { anything, carriedKinds, nest, pairs } from './samples.ts'

const codec = await loadCodec('msgpack')

function roundTrip(values: ArrayLike<unknown>): unknown[] {
  const { bytes, refused } = codec.encode(values)
  expect(refused).toEqual([])
  expect(codec.countIn(bytes)).toBe(values.length)
  const copy = new Uint8Array(bytes)
  const decoded = codec.decode(copy)
  copy.fill(0xff)
  return decoded
}

/** Records as results mostly are: the same few keys, plain contents. */
const record = fc.record({
  id: fc.integer(),
  name: fc.string({ unit: 'binary' }),
  score: fc.double(),
  tags: fc.array(fc.oneof(fc.string(), fc.boolean(), fc.constant(null))),
})

describe('msgpackCodec', () => {
  test.each(carriedKinds())('gives back what structured clone gives: %s', (_, value) => {
    assertSame(roundTrip([value]), [structuredClone(value)])
  })

  test('knows itself to be sound, before msgpackr is loaded and after', () => {
    expect(codec.isSound()).toBe(true)
    roundTrip([1, 'a', new Map()])
    expect(codec.isSound()).toBe(true)
  })

  test('gives back a column that mixes all kinds, in order', () => {
    const values = carriedKinds().map(([, value]) => value)
    const decoded = roundTrip(values)
    expect(decoded).toHaveLength(values.length)
    for (const [at, value] of values.entries()) assertSame(decoded[at], structuredClone(value))
  })

  test('gives back any column of anything', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(anything, record)), (values) => {
        assertSame(
          roundTrip(values),
          values.map((value) => structuredClone(value)),
        )
      }),
      { numRuns: 2000 },
    )
  })

  test.each([
    ['integers', fc.integer()],
    ['small integers', fc.integer({ min: -200, max: 200 })],
    ['numbers', fc.oneof(fc.double(), fc.constant(-0), fc.integer())],
    ['strings', fc.string({ unit: 'binary' })],
    ['halves of surrogate pairs', fc.constantFrom('\ud83d', '\ude00', 'a', '', 'é')],
    ['dates', fc.date()],
    ['BigInts', fc.bigInt()],
    ['records', record],
    ['records of records', fc.record({ id: fc.nat(), of: record, choice: fc.constantFrom(true, false, null, undefined) })],
    ['lists', fc.array(fc.oneof(fc.integer(), fc.constant(null)))],
    ['lists of records', fc.array(record, { maxLength: 3 })],
    ['choices', fc.constantFrom(true, false, null, undefined)],
    ['choices among records', fc.option(record)],
  ])('gives back any column of %s', (_, values: fc.Arbitrary<unknown>) => {
    fc.assert(
      fc.property(fc.array(values, { maxLength: 300 }), (column) => {
        assertSame(roundTrip(column), structuredClone(column))
      }),
      { numRuns: 1000 },
    )
  })

  test('gives back any record whatever its keys', () => {
    const odd = fc.constantFrom(
      '__proto__',
      'constructor',
      'toJSON',
      'hasOwnProperty',
      '__keys__',
      '"',
      "'",
      '\u2028',
      '\ud800',
      '0',
      '',
    )
    const key = fc.oneof(fc.string({ unit: 'binary' }), odd)
    fc.assert(
      fc.property(fc.array(fc.array(fc.tuple(key, fc.jsonValue()), { maxLength: 8 })), (lists) => {
        const column = lists.map((entries) => Object.fromEntries(entries))
        // More than twice, so that msgpackr compiles its readers.
        assertSame(
          roundTrip([...column, ...column, ...column]),
          [...column, ...column, ...column].map((it) => structuredClone(it)),
        )
      }),
      { numRuns: 1000 },
    )
  })

  test('takes any array-like column', () => {
    expect(roundTrip(Float64Array.of(1, 0.5))).toEqual([1, 0.5])
    expect(roundTrip({ length: 2, 0: 'a', 1: {} })).toEqual(['a', {}])
    expect(roundTrip([])).toEqual([])
  })

  test('keeps the stack and the name of an error', () => {
    const error = new RangeError('far')
    const [decoded] = roundTrip([error]) as [Error]
    expect(decoded).toBeInstanceOf(RangeError)
    expect(decoded.stack).toBe(error.stack)
  })

  test('leaves no cause of any error to V8, of which a newer one cannot read the older form', () => {
    const chain = ['a', 'b', 'c', 'd', 'e'].reduce((cause: unknown, name) => new Error(name, { cause }), 'core')
    const { causes = [] } = carry({ failures: [chain] }) as { causes?: readonly unknown[] }
    const errors = causes.filter((_, at) => at % 2 === 0) as Error[]
    expect(errors.map(({ message }) => message)).toEqual(['e', 'd', 'c', 'b', 'a'])
    for (const error of errors) expect('cause' in error).toBe(false)
    assertSame(roundTrip([chain]), [structuredClone(chain)])
  })

  test('keeps shared parts shared however many ways lead to them', () => {
    const value = pairs(40)
    expect(identities(roundTrip([value])[0])).toEqual(identities(value))
  })

  test('leaves prototypes alone', () => {
    const [decoded] = roundTrip([JSON.parse('{"__proto__":{"polluted":1}}')]) as [object]
    expect(Object.getPrototypeOf(decoded)).toBe(Object.prototype)
    expect(Object.keys(decoded)).toEqual(['__proto__'])
    expect('polluted' in {}).toBe(false)
  })

  test('brings along of a Buffer only its own bytes', () => {
    const { bytes } = codec.encode([new Map([['digest', Buffer.from('ab')]]), { digest: Buffer.from('ab') }])
    expect(bytes.length).toBeLessThan(120)
  })

  test('gives bytes that are all of their ArrayBuffer', () => {
    for (const column of [[1], ['a'], [{}], [new Map()]]) {
      const { bytes } = codec.encode(column)
      expect(bytes.buffer.byteLength).toBe(bytes.length)
    }
  })

  test('is clearly smaller than JSON for records', () => {
    const records = Array.from({ length: 10_000 }, (_, id) => ({ id, name: `item ${id}`, score: id * 1.37, ok: id % 2 === 0 }))
    expect(codec.encode(records).bytes.length).toBeLessThan(JSON.stringify(records).length / 2)
  })

  test('keeps what is one object in a value one, and what is one in two values two', () => {
    const part = { x: 1 }
    const list = [1]
    const column = [
      { a: part, b: part, c: [list, list] },
      { a: { x: 2 }, b: { x: 3 }, c: [[2], [3]] },
    ]
    expect(identities(roundTrip(column)[0])).toEqual(identities(column[0]))
    const across = [
      { a: part, c: list },
      { a: part, c: list },
    ]
    const [first, second] = roundTrip(across) as typeof across
    expect(first).toEqual(second)
    expect(first?.a).not.toBe(second?.a)
  })

  test.each<[string, () => unknown]>([
    ['a list with a property of its own', () => Object.assign([1, 2], { named: true })],
    ['a list with a hole and a property', () => Object.assign(new Array(1), { named: true })],
    ['a record of another prototype', () => Object.create({ inherited: 1 }, { id: { value: 1, enumerable: true } })],
    ['a record without a prototype', () => Object.assign(Object.create(null), { id: 1 })],
    ['a field that is not enumerable', () => Object.defineProperty({ id: 1 }, 'hidden', { value: 2 })],
    ['a field named by a symbol', () => ({ id: 1, [Symbol('s')]: 2 })],
    ['a record without fields', () => ({})],
    ['records in records, nine deep', () => Array.from({ length: 9 }).reduce((inner) => ({ inner, id: 1 }), {})],
    ['a list in lists, twelve deep', () => wrap(12)],
    ['negative zero', () => ({ id: -0 })],
    ['fields in another order', () => ({ b: 1, a: 2 })],
    ['fields that look like places', () => ({ b: 1, 1: 2, 0: 3 })],
    ['a field that all objects have', () => ({ toString: 1, valueOf: 2, constructor: 3 })],
    ['a lone surrogate as a name', () => ({ '\ud800': 1 })],
    ['half a pair of surrogates', () => ({ text: '\ud83d' })],
    ['empty strings and lists', () => ({ text: '', list: [], lists: [[], []] })],
  ])('gives back records of one shape: %s', (_, make) => {
    const column = Array.from({ length: 3 }, make)
    assertSame(
      roundTrip(column),
      column.map((value) => structuredClone(value)),
    )
  })

  test.each<[string, (depth: number, end: unknown) => unknown]>([
    ['lists', (depth, end) => Array.from({ length: depth }).reduce((inner) => [inner], end)],
    ['records', (depth, end) => Array.from({ length: depth }).reduce((inner) => ({ inner }), end)],
    ['trees', (depth, end) => Array.from({ length: depth }).reduce((inner) => ({ name: 'n', children: [inner, null] }), end)],
  ])('gives back %s of any depth, whatever they end in', (_, make) => {
    for (const end of [[], [null], { a: [] }, null, 'text', 1, [[], []]]) {
      for (let depth = 0; depth < 14; depth++) {
        const column = [1, 2, 3].map(() => make(depth, structuredClone(end)))
        assertSame(roundTrip(column), structuredClone(column))
      }
    }
  })

  test.each<[string, (list: unknown[]) => void]>([
    ['shorter', (list) => list.splice(1)],
    ['longer', (list) => list.push(4)],
  ])('can be read though a getter makes its list %s', (_, change) => {
    const list: unknown[] = [0, 2, 3]
    Object.defineProperty(list, 0, { enumerable: true, configurable: true, get: () => change(list) })
    const { bytes, refused } = codec.encode([[1, 2], list, [3]])
    expect(codec.decode(bytes).length + refused.length).toBe(3)
  })

  test('gives back records whatever the program made of names', () => {
    const column = [1, 2].map((odd) => ({ odd }))
    const { bytes } = codec.encode(column)
    Object.defineProperty(Object.prototype, 'odd', { configurable: true, set: () => {} })
    try {
      expect(Object.entries((codec.decode(bytes) as typeof column)[1] as object)).toEqual([['odd', 2]])
    } finally {
      Reflect.deleteProperty(Object.prototype, 'odd')
    }
  })

  test('gives back what is part of itself', () => {
    const column = [1, 2].map((id) => {
      const record = { id, self: undefined as unknown, list: [] as unknown[] }
      record.self = record
      record.list.push(record.list)
      return record
    })
    for (const [at, value] of roundTrip(column).entries()) expect(identities(value)).toEqual(identities(column[at]))
  })

  test('needs no msgpackr for values of one shape', () => {
    const program = `
      import { createRequire } from 'node:module'
      import { loadCodec } from ${JSON.stringify(new URL('../../build/values/codec.js', import.meta.url))}
      const codec = await loadCodec('msgpack')
      const isLoaded = () => Object.keys(createRequire(import.meta.url).cache ?? {}).some((file) => file.includes('msgpackr'))
      const told = []
      for (const value of [{ id: 1, of: { list: [null, 'a'] } }, [true, 1], new Map()]) {
        codec.decode(codec.encode([value, structuredClone(value)]).bytes)
        told.push(isLoaded())
      }
      process.stdout.write(JSON.stringify(told))`
    const output: unknown = JSON.parse(
      execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' }),
    )
    expect(output).toEqual([false, false, true])
  })

  test('gives the same values while other msgpackr codecs are at work in a getter', async () => {
    const { pack } = await import('msgpackr')
    const value = {
      get nested() {
        return pack({ a: 1 }).length
      },
    }
    expect(roundTrip([value, value])).toEqual([{ nested: pack({ a: 1 }).length }, { nested: pack({ a: 1 }).length }])
  })

  test('decodes where compiling from strings is forbidden', () => {
    const records = Array.from({ length: 20 }, (_, id) => ({ id, 'odd "key"': 'x' }))
    const bytes = Buffer.from(codec.encode(records).bytes).toString('hex')
    const program = `
      import { loadCodec } from ${JSON.stringify(new URL('../../build/values/codec.js', import.meta.url))}
      const codec = await loadCodec('msgpack')
      const values = codec.decode(Buffer.from('${bytes}', 'hex'))
      const isForbidden = (() => { try { new Function('') } catch { return true } })()
      process.stdout.write(JSON.stringify({ isForbidden, values }))`
    const flags = ['--disallow-code-generation-from-strings', '--input-type=module', '-e', program]
    const output: unknown = JSON.parse(execFileSync(process.execPath, flags, { encoding: 'utf8' }))
    expect(output).toEqual({ isForbidden: true, values: records })
  })
})

describe('msgpackCodec refuses', () => {
  class Weird {
    run = () => 1
  }
  const throwing = {
    a: {
      get b(): never {
        throw new Error('boom')
      },
    },
  }
  const refusals: [string, unknown, string, RegExp][] = [
    ['a function', () => 1, '', /got a function\. Return/],
    [
      'a named function',
      { tags: [1, { run: function go() {} }] },
      'tags[1].run',
      /got the function 'go' at result\.tags\[1\]\.run\./,
    ],
    ['a symbol', { 'odd key': Symbol('s') }, '["odd key"]', /got a symbol at result\["odd key"\]/],
    ['a symbol in an array', [Symbol('s')], '[0]', /at result\[0\]/],
    ['a SharedArrayBuffer', [new SharedArrayBuffer(1)], '[0]', /got a SharedArrayBuffer/],
    ['a view of one', { a: new Uint8Array(new SharedArrayBuffer(1)) }, 'a', /got a view of a SharedArrayBuffer/],
    ['a WeakMap', { a: new WeakMap() }, 'a', /got a WeakMap/],
    ['a Promise', { a: Promise.resolve() }, 'a', /got a Promise/],
    ['a MessagePort', { a: new MessageChannel().port1 }, 'a', /got a MessagePort/],
    ['a Blob', [new Blob(['x'])], '[0]', /got a Blob/],
    ['a Proxy of what is not plain', { a: new Proxy(new Map(), {}) }, 'a', /got a Proxy/],
    ['a Proxy of a record', new Proxy({ a: 1 }, {}), '', /got a Proxy/],
    ['a Proxy of a record in a record', { a: new Proxy({ a: 1 }, {}) }, 'a', /got a Proxy/],
    ['a Proxy of a list', [new Proxy([1], {})], '[0]', /got a Proxy/],
    [
      'arguments',
      (
        function () {
          // biome-ignore lint/complexity/noArguments: it is what is refused
          return arguments
        } as (...all: unknown[]) => unknown
      )(1, 'a'),
      '',
      /got/,
    ],
    ['a generator', { a: (function* () {})() }, 'a', /got an? /],
    ['a function in a Map', { m: new Map([['k', () => 1]]) }, 'm.get("k")', /a function/],
    ['a function as key of a Map', new Map([[() => 1, 1]]), 'keys[0]', /a function/],
    ['a function in a Set', new Set([1, () => 1]), 'values[1]', /a function/],
    ['a function as cause', new Error('x', { cause: () => 1 }), 'cause', /the function 'cause' at result\.cause\./],
    [
      'a Blob as the cause of a cause of a cause',
      ['a', 'b', 'c'].reduce((cause: unknown, name) => new Error(name, { cause }), new Blob(['x'])),
      'cause.cause.cause',
      /got a Blob at result\.cause\.cause\.cause\./,
    ],
    [
      'a SharedArrayBuffer as the cause of a cause',
      new Error('a', { cause: new Error('b', { cause: new SharedArrayBuffer(8) }) }),
      'cause.cause',
      /got a SharedArrayBuffer/,
    ],
    [
      'what is nested too deep as the cause of a cause',
      new Error('a', { cause: new Error('b', { cause: nest(MAX_NESTING + 1) }) }),
      '',
      /more than 1000 levels deep/,
    ],
    ['a function in a class instance', { w: new Weird() }, 'w.run', /the function 'run'/],
    ['a getter that throws', throwing, 'a.b', /a property that throws when it is read \(Error: boom\) at result\.a\.b/],
    ['a boxed symbol', [Object(Symbol('s'))], '[0]', /got a Symbol/],
    ['a value too deep for the stack', nest(100_000), '', /expected a value that structured clone carries/],
  ]

  test.each(refusals)('%s, and says where', (_, value, path, message) => {
    const { bytes, refused } = codec.encode([1, value, 'two', value], (at) => `item ${at + 10} (key 'k')`)
    expect(codec.decode(bytes)).toEqual([1, 'two'])
    expect(refused.map(({ at }) => at)).toEqual([1, 3])
    const [refusal] = refused
    expect(refusal?.error).toMatchObject({ code: 'ERR_PAWL_SERIALIZATION', path })
    expect(refusal?.error.message).toMatch(message)
    expect(refusal?.error.message).toMatch(
      /^Cannot record the result of item 11 \(key 'k'\): expected a value that structured clone carries, got /,
    )
  })

  test('nothing else of the column when a getter changes its mind', () => {
    let reads = 0
    const fickle = {
      get value() {
        return reads++ % 2 === 0 ? 1 : () => 1
      },
    }
    const { bytes, refused } = codec.encode(['a', fickle, { b: 1 }])
    const decoded = codec.decode(bytes)
    expect(decoded.length + refused.length).toBe(3)
    expect(decoded.at(0)).toBe('a')
    expect(decoded.at(-1)).toEqual({ b: 1 })
  })
})

describe('what a getter gives another kind of the second time', () => {
  test.each<[string, unknown]>([
    ['a map', new Map([[1, 2]])],
    ['an error', new Error('e')],
    ['a wide bigint', 2n ** 70n],
    ['nested deep', wrap(300)],
    ['many keys', Object.fromEntries(Array.from({ length: 300 }, (_, at) => [`key ${at}`, at]))],
  ])('is recorded so that it can be read: %s', (_, second) => {
    let reads = 0
    const fickle = {
      get value() {
        return reads++ === 0 ? 1 : second
      },
    }
    const { bytes, refused } = codec.encode([{ value: 0 }, fickle, { other: 2 }])
    expect(refused).toEqual([])
    expect(codec.decode(bytes)).toEqual([{ value: 0 }, { value: second }, { other: 2 }])
  })

  test('is recorded as it was the first time when nothing needs to read it twice', () => {
    let reads = 0
    const fickle = {
      get value() {
        return reads++
      },
    }
    expect(roundTrip([{ value: 0.5 }, fickle, { value: 2 }])).toEqual([{ value: 0.5 }, { value: 0 }, { value: 2 }])
    expect(reads).toBe(1)
  })
})

function wrap(depth: number): unknown {
  return depth === 0 ? 'core' : [wrap(depth - 1)]
}

describe('the bytes of version 1', () => {
  const golden = JSON.parse(readFileSync(new URL('../fixtures/values-v1.json', import.meta.url), 'utf8')) as Record<
    string,
    string
  >
  const columns: Record<string, unknown[]> = {
    bytes: [1, -2, 3],
    halves: [1000, -2],
    ints: [100_000, 0],
    doubles: [0.5, -0, Number.NaN],
    ascii: ['abc', '', 'd'],
    utf8: ['größe', '✓ abcdefgh'],
    utf16: ['\ud800', 'x'],
    records: [1, 2, 3, 4].map((id) => ({
      id,
      name: `n${id}`,
      when: new Date(id * 1500),
      data: Uint8Array.of(id),
      none: undefined,
      big: 5n,
    })),
    mixed: ['a', new Map([['k', new Set([1])]]), { a: [-0] }, 2, new TypeError('x', { cause: new Error('y') })],
  }

  test.each(Object.entries(columns))('are read for ever: %s', (name, column) => {
    assertSame(codec.decode(Buffer.from(golden[name] ?? '', 'hex')), column)
  })

  test('are read whichever Node serialized them', () => {
    assertSame(codec.decode(Buffer.from(golden['mixedByNode24'] ?? '', 'hex')), columns['mixed'])
  })

  // How V8 serializes is its own affair, so of mixed columns only reading is promised.
  test.each(Object.entries(columns).filter(([name]) => name !== 'mixed'))('are written still: %s', (name, column) => {
    expect(Buffer.from(codec.encode(column).bytes).toString('hex')).toBe(golden[name])
  })
})
