import { createSecretKey } from 'node:crypto'
import { createHistogram } from 'node:perf_hooks'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createDigest } from '../../src/values/digest.ts'
import { anything, carriedKinds, nest } from './samples.ts'

function digestOf(...values: unknown[]): string {
  const digest = createDigest()
  digest.update(values)
  return digest.digest()
}

describe('createDigest()', () => {
  test('gives 32 hexadecimal digits, the same on every version of Node', () => {
    const values = [
      1,
      0.5,
      'a',
      'é',
      null,
      undefined,
      true,
      5n,
      [1],
      { a: { b: 'c' } },
      new Date(0),
      /a/g,
      new Map([[1, 2]]),
      new Set([1]),
      Uint8Array.of(1),
    ]
    expect(digestOf()).toBe('e3b0c44298fc1c149afbf4c8996fb924')
    expect(digestOf(...values)).toMatch(/^[0-9a-f]{32}$/)
    expect(digestOf(...values)).toBe('ac47b59f28dbe40a92ac0bd7368478a1')
  })

  test('is the same for a structured clone of anything', () => {
    fc.assert(
      fc.property(anything, (value) => {
        expect(digestOf(structuredClone(value))).toBe(digestOf(value))
      }),
      { numRuns: 2000 },
    )
  })

  test('differs when values differ', () => {
    fc.assert(
      fc.property(anything, anything, (one, other) => {
        // Prototypes and invalid dates aside, which deepStrictEqual tells apart and a digest does not.
        if (digestOf(one) === digestOf(other))
          expect(isDeepStrictEqual(structuredClone([one]), structuredClone([other])) || one instanceof Date).toBe(true)
      }),
      { numRuns: 2000 },
    )
    const kinds: unknown[] = [
      ...[1, '1', 1n, true, Object(1), Object('1'), [1], ['1'], { 0: 1 }, new Set([1]), new Map([[0, 1]]), new Date(1)],
      ...[
        null,
        undefined,
        'null',
        '',
        [],
        {},
        [undefined],
        [null],
        [[]],
        [, ,],
        new Map(),
        new Set(),
        Number.NaN,
        0,
        -0,
        false,
        0n,
      ],
      ...[
        Uint8Array.of(1),
        Int8Array.of(1),
        Uint8ClampedArray.of(1),
        Uint16Array.of(1),
        Float64Array.of(1),
        Uint8Array.of(1).buffer,
      ],
      ...[{ a: 1, b: 2 }, { b: 2, a: 1 }, { a: 1 }, { a: { b: 2 } }, Object.assign([1], { a: 1 }), Object.assign([1], { b: 1 })],
      ...[
        Object.assign([, 1], { a: 1 }),
        new Error('a'),
        new TypeError('a'),
        new Error('b'),
        new Error('a', { cause: 1 }),
        /a/,
        /a/g,
        'a',
        'b',
      ],
      ...[
        '\ud800',
        '\ufffd',
        'é',
        'e\u0301',
        () => 1,
        Symbol('s'),
        new URL('http://a/'),
        new URL('http://b/'),
        2 ** 31,
        2 ** 32,
        0.1,
      ],
    ]
    expect(new Set(kinds.map((kind) => digestOf(kind))).size).toBe(kinds.length)
  })

  test.each(carriedKinds())('takes every kind, twice the same: %s', (_, value) => {
    expect(digestOf(value)).toBe(digestOf(value))
    expect(digestOf(structuredClone(value))).toBe(digestOf(value))
  })

  test('does not depend on how the sequence is cut', () => {
    fc.assert(
      fc.property(fc.array(fc.array(anything)), (parts) => {
        const digest = createDigest()
        for (const part of parts) digest.update(part)
        expect(digest.digest()).toBe(digestOf(...parts.flat()))
      }),
    )
    expect(digestOf('ab', 'c')).not.toBe(digestOf('a', 'bc'))
    expect(digestOf([1, 2])).not.toBe(digestOf(1, 2))
    expect(digestOf([[1], 2])).not.toBe(digestOf([[1, 2]]))
  })

  test('tells the digest so far and goes on', () => {
    const digest = createDigest()
    digest.update([1])
    expect(digest.digest()).toBe(digestOf(1))
    expect(digest.digest()).toBe(digestOf(1))
    digest.update(Uint8Array.of(2))
    expect(digest.digest()).toBe(digestOf(1, 2))
  })

  test('does not see how V8 holds a value', () => {
    const twoByte = '✓abc'.slice(1)
    const joined = ['ab', 'c'].join('')
    const heapNumber = JSON.parse('1.5') - 0.5
    const dictionary: Record<string, number> = { x: 0, a: 1 }
    delete dictionary['x']
    const holey = new Array(2).fill(1)
    const doubles = [1.5, 1]
    doubles[0] = 1
    expect(digestOf(twoByte, joined, heapNumber, dictionary, holey)).toBe(digestOf('abc', 'abc', 1, { a: 1 }, [1, 1]))
    expect(digestOf(doubles)).toBe(digestOf([1, 1]))
    for (const length of [10, 47, 48, 100, 30_000, 100_000]) {
      expect(digestOf(`✓${'a'.repeat(length)}`.slice(1))).toBe(digestOf('a'.repeat(length)))
    }
  })

  test('sees every character of strings and every byte of buffers of any length', () => {
    for (const length of [1, 47, 48, 21_839, 21_846, 65_536, 200_000]) {
      const texts = ['a', 'b', 'é', '\ud800', '\ud801'].map((end) => 'x'.repeat(length - 1) + end)
      expect(new Set(texts.map((text) => digestOf(text))).size).toBe(5)
      expect(digestOf(new Uint8Array(length))).not.toBe(digestOf(new Uint8Array(length).fill(1, length - 1)))
      expect(digestOf(new Uint8Array(length))).toBe(digestOf(new Uint8Array(length + 2).subarray(1, length + 1)))
    }
  })

  test('sees what a DOMException is, on every version of Node', () => {
    expect(digestOf(new DOMException('gone', 'AbortError'))).toBe('39d029c4c81ef43965d0761df7e0fca5')
    expect(digestOf(new DOMException('gone', 'AbortError'))).not.toBe(digestOf(new DOMException('gone', 'TimeoutError')))
    expect(digestOf(new DOMException('gone'))).not.toBe(digestOf(new DOMException('late')))
  })

  test('tells of the first value that it cannot see into', () => {
    const digest = createDigest()
    digest.update([{}, new URL('http://a/'), new Map(), new (class Empty {})(), () => 1, new Proxy({}, {}), Promise.resolve()])
    expect(digest.unseen).toBe(undefined)
    digest.update([{ a: [new Blob(['x'])] }, createSecretKey(Buffer.from('secret'))])
    expect(digest.unseen).toBe('Blob')
  })

  test.each([
    ['Blob', Object.assign(new Blob(['x']), { name: 'x.txt' })],
    ['RecordableHistogram', createHistogram()],
  ])('tells of a %s that has properties, too', (name, value) => {
    const digest = createDigest()
    const marked = Object.assign(new (class Marked {})(), { [Symbol('mark')]: 1, n: 1 })
    digest.update([marked, marked])
    expect(digest.unseen).toBe(undefined)
    digest.update([{ value }])
    expect(digest.unseen).toBe(name)
  })

  test('has one NaN', () => {
    const odd = new Float64Array(new BigUint64Array([0x7ff8_0000_0000_0001n]).buffer)
    expect(digestOf(odd)).toBe(digestOf(Float64Array.of(Number.NaN)))
    expect(digestOf(odd[0])).toBe(digestOf(Number.NaN))
  })

  test('ends for cycles, depth and properties that throw', () => {
    const cycle: unknown[] = [1]
    cycle.push(cycle)
    const same: unknown[] = [1]
    same.push(same)
    expect(digestOf(cycle)).toBe(digestOf(same))
    expect(digestOf(cycle)).not.toBe(digestOf([1, [1]]))
    expect(digestOf(nest(100_000))).toBe(digestOf(nest(200_000)))
    const throwing = {
      get a(): never {
        throw new Error('boom')
      },
      b: 1,
    }
    expect(digestOf(throwing)).toBe(digestOf(throwing))
    expect(digestOf(throwing)).not.toBe(digestOf({ ...{ b: 2 }, a: 1 }))
    const hostile = new Proxy(
      {},
      {
        ownKeys() {
          throw new Error('no keys')
        },
      },
    )
    expect(digestOf([[hostile]], 1)).toBe(digestOf([[hostile]], 1))
    expect(digestOf([[hostile]], 1)).not.toBe(digestOf([[hostile]], 2))
  })
})
