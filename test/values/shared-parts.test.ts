import { describe, expect, test } from 'vitest'
import { MAX_NESTING } from '../../src/nesting.ts'
import { createDigest } from '../../src/values/digest.ts'
import { findUnwritable, jsonCodec, writeJson } from '../../src/values/json.ts'

/** Written out it has 2^levels leaves. */
function doubled(levels: number, leaf: unknown = 1): unknown {
  let part: unknown = [leaf]
  for (let level = 0; level < levels; level++) part = level % 2 === 0 ? [part, part] : { a: part, b: part }
  return part
}

class Node {
  readonly part: unknown

  constructor(part: unknown) {
    this.part = part
  }
}

const wide = Array.from({ length: 2 ** 15 }, (_, at) => at)

const endless: [name: string, value: unknown][] = [
  ['records and arrays 60 levels deep', doubled(60)],
  ['more levels than are walked', doubled(400)],
  ['just too many', doubled(29)],
  ['with -0, which JSON.stringify does not write', doubled(60, -0)],
  ['in instances of a class', new Node([doubled(60), new Node(doubled(60))])],
  ['a long array in many places', [Array(2 ** 15).fill(wide)]],
]

describe('a value that shares its parts', () => {
  test.each(endless)('is refused when JSON of it is longer than a string can be: %s', (_, value) => {
    const { bytes, refused } = jsonCodec.encode(['one', value, 'two'], (at) => `item ${at}`)
    expect(Buffer.from(bytes).toString()).toBe('["one","two"]')
    expect(refused.map(({ at, error }) => [at, error.code])).toEqual([[1, 'ERR_PAWL_SERIALIZATION']])
    expect(refused[0]?.error.message).toMatch(
      /^Cannot record the result of item 1: expected a value that JSON can hold, got one too large for JSON.*Return it smaller, or without repeated parts, or use format 'msgpack'/,
    )
    expect(findUnwritable([value]).map(({ at }) => at)).toEqual([0])
    expect(writeJson(value)).toMatchObject({ path: '' })
  })

  test.each([1, -0])('is written out when it is small enough (%d)', (leaf) => {
    const [value] = jsonCodec.decode(jsonCodec.encode([doubled(12, leaf)]).bytes)
    expect(value).toEqual(doubled(12, leaf))
  })

  test('is written out when it has many parts', () => {
    const value = [doubled(19), doubled(19)]
    expect(writeJson(value)).toBe(JSON.stringify(value))
  })

  test('is refused for its depth where a shared part lies deepest', () => {
    const nest = (value: unknown, levels: number): unknown => (levels === 0 ? value : new Node(nest(value, levels - 1)))
    const part = nest(-0, 10)
    expect(writeJson([part, nest(part, MAX_NESTING - 11)])).toBeTypeOf('string')
    expect(writeJson([part, nest(part, MAX_NESTING - 10)])).toMatchObject({ got: expect.stringContaining('nested more than') })
  })

  test('a large value without shared parts is held', () => {
    const value = Array.from({ length: 2 ** 18 }, (_, at) => ({ at, is: { odd: at % 2 === 1, of: [at] } }))
    expect(writeJson(value)).toBe(JSON.stringify(value))
  })

  test('has the digest of an equal one that shares nothing, and another than one that differs at its end', () => {
    const digestOf = (...values: unknown[]) => {
      const digest = createDigest()
      digest.update(values)
      return digest.digest()
    }
    const tree = (levels: number): unknown => {
      if (levels === 0) return [1]
      return levels % 2 === 1 ? [tree(levels - 1), tree(levels - 1)] : { a: tree(levels - 1), b: tree(levels - 1) }
    }
    expect(digestOf('before', doubled(20), 'behind')).toBe(digestOf('before', tree(20), 'behind'))
    expect(digestOf(doubled(60))).toBe(digestOf(doubled(60)))
    expect(digestOf([doubled(60), 1])).not.toBe(digestOf([doubled(60), 2]))
    expect(digestOf([doubled(60), [1]])).not.toBe(digestOf([doubled(60), [2]]))
    expect(digestOf(doubled(60, 1))).not.toBe(digestOf(doubled(60, 2)))
    expect(digestOf(Array(2 ** 15).fill(wide))).toMatch(/^[0-9a-f]{32}$/)
  })
})

describe('JSON of a value that changes when it is read', () => {
  const changing = (first: unknown, then: unknown) => {
    let reads = 0
    return Object.defineProperty({}, 'v', { enumerable: true, get: () => (reads++ === 0 ? first : then) })
  }

  const changes: [name: string, value: () => unknown, text: string][] = [
    ['to NaN', () => changing(1, Number.NaN), '{"v":1}'],
    ['to undefined', () => changing(1, undefined), '{"v":1}'],
    ['to a Map', () => changing(1, new Map()), '{"v":1}'],
    ['to another number', () => changing(1, 2), '{"v":1}'],
    ['inside', () => [{ a: [changing({ b: [1] }, 2)] }], '[{"a":[{"v":{"b":[1]}}]}]'],
    [
      'an element',
      () =>
        Object.defineProperty([0], 0, {
          get: (() => {
            let n = 0
            return () => n++
          })(),
          enumerable: true,
        }),
      '[0]',
    ],
  ]

  test.each(changes)('is of what was checked: %s', (_, make, text) => {
    expect(Buffer.from(jsonCodec.encode([make()]).bytes).toString()).toBe(`[${text}]`)
  })

  test.each([
    ['Proxy', new Proxy({ a: 1 }, {})],
    ['Proxy of an array, inside', { a: [new Proxy([1], {})] }],
    [
      'arguments',
      (function () {
        // biome-ignore lint/complexity/noArguments: it is what is refused
        return arguments
      })(),
    ],
  ])('refuses what structured clone refuses: %s', (_, value) => {
    expect(() => structuredClone(value)).toThrow()
    expect(jsonCodec.encode([value]).refused).toHaveLength(1)
  })
})
