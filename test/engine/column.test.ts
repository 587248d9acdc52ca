import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Column } from '../../src/engine/column.ts'
import { NUMBERS_TOGETHER } from '../../src/engine/protocol.ts'

function fill(most: number, values: readonly unknown[]): ArrayLike<unknown> {
  const column = new Column(most)
  for (const value of values) column.push(value)
  return column.take()
}

const numbers = (count: number) => Array.from({ length: count }, (_, at) => [-0, Number.NaN, 0.5][at] ?? at)

test('keeps many numbers in a block of memory that holds nothing else', () => {
  for (const [most, count] of [
    [NUMBERS_TOGETHER, NUMBERS_TOGETHER],
    [1000, 999],
    [200_000, 150_000],
    [200_000, 200_000],
  ] as const) {
    const values = fill(most, numbers(count)) as Float64Array<ArrayBuffer>
    expect(values).toEqual(Float64Array.from(numbers(count)))
    expect(values.buffer.byteLength).toBe(count * Float64Array.BYTES_PER_ELEMENT)
  }
})

test('keeps few numbers as they are', () => {
  const few = NUMBERS_TOGETHER - 1
  expect(fill(few, numbers(few))).toEqual(numbers(few))
  expect(fill(1000, numbers(few))).toEqual(numbers(few))
  expect(fill(1000, [])).toEqual([])
})

test('any values come back as they were, in order', () => {
  const value = fc.oneof({ weight: 20, arbitrary: fc.double() }, fc.string(), fc.constant(undefined))
  fc.assert(
    fc.property(fc.array(value, { maxLength: 3 * NUMBERS_TOGETHER }), fc.nat(100), (values, more) => {
      expect(Array.from(fill(values.length + more, values))).toEqual(values)
    }),
  )
})
