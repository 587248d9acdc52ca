import { execute, memoryStore } from 'pawl'
import { expect, test } from 'vitest'
import { isWithin } from '../../src/nesting.ts'
import { createDigest } from '../../src/values/digest.ts'
import { jsonCodec } from '../../src/values/json.ts'
import { msgpackCodec } from '../../src/values/msgpack.ts'

const endless = () => ({ [Symbol.iterator]: () => ({ next: () => ({ done: false, value: 1 }) }) })

/** `value`, with iterators of its own that come to no end, none of which structured clone sees. */
function neverEnding<V extends object>(value: V): V {
  const hidden = { value: endless, configurable: true }
  const iterator = { value: endless()[Symbol.iterator], configurable: true }
  return Object.defineProperties(value, { keys: hidden, values: hidden, entries: hidden, [Symbol.iterator]: iterator })
}

const MAKE: Record<string, (part: unknown) => object> = {
  array: (part) => [1, part],
  'array with -0': (part) => [-0, part],
  set: (part) => new Set([1, part]),
  map: (part) =>
    new Map([
      ['a', part],
      [part, 2],
    ] as [unknown, unknown][]),
  error: (part) => new Error('one', { cause: part }),
}
const CODECS = [msgpackCodec, jsonCodec]

test.each(Object.keys(MAKE))('a value whose own iterators come to no end is like any other: %s', (name) => {
  const make = MAKE[name] as (part: unknown) => object
  const digestOf = (value: unknown) => {
    const digest = createDigest()
    digest.update([value])
    return digest.digest()
  }
  const part = () => neverEnding(new Set(['x']))
  expect(digestOf(neverEnding(make(part())))).toBe(digestOf(make(new Set(['x']))))
  expect(isWithin(9, neverEnding(make(part())))).toBe(true)
  for (const codec of CODECS) {
    for (const [mine, plain] of [
      [part(), new Set(['x'])],
      ['x', 'x'],
      [() => 1, () => 1], // Which no codec takes.
    ]) {
      const got = codec.encode([neverEnding(make(mine)), neverEnding(make(mine))])
      const expected = codec.encode([make(plain), make(plain)])
      expect(got.refused.map(({ error }) => error.message)).toEqual(expected.refused.map(({ error }) => error.message))
      expect(codec.decode(got.bytes)).toEqual(codec.decode(expected.bytes))
    }
  }
})

test('items and what is shared may have such iterators', async () => {
  const map = neverEnding(new Map([['a', neverEnding(new Set([1]))]]))
  const task = (item: Map<string, unknown>, { shared }: { shared: unknown }) => [item.size, (shared as Set<unknown>).size]
  const shared = neverEnding(new Set([1, 2]))
  const { results } = await execute(task, [map], { checkpoint: memoryStore(), shared, workers: 1, runId: 'run' })
  expect(results).toEqual([[1, 2]])
})
