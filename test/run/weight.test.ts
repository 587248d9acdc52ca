import { expect, test } from 'vitest'
import { weighColumn } from '../../src/run/weight.ts'

const record = { id: 1, name: 'x'.repeat(100), tags: ['a', 'b'] }

test.each<[string, unknown, number, number]>([
  ['nothing', undefined, 8, 8],
  ['a number', 1, 8, 8],
  ['text', 'x'.repeat(1000), 1000, 1100],
  ['bytes', new Uint8Array(2 ** 20), 2 ** 20, 2 ** 20 + 100],
  ['a buffer', new ArrayBuffer(5000), 5000, 5100],
  ['a record', record, 100, 200],
  ['records', Array(10_000).fill(record), 1_000_000, 2_000_000],
  ['a map', new Map(Array.from({ length: 1000 }, (_, n) => [n, 'x'.repeat(500)])), 500_000, 600_000],
  ['a set', new Set(Array.from({ length: 1000 }, (_, n) => `${n}`.padEnd(500))), 500_000, 600_000],
  ['nested lists', [[[[[['x'.repeat(1000)]]]]]], 8, 100],
])('weighColumn() of %s', (_, value, least, most) => {
  expect(weighColumn([value])).toBeGreaterThanOrEqual(least)
  expect(weighColumn([value])).toBeLessThanOrEqual(most)
  expect(weighColumn([value, 0, 0, value])).toBe(4 * weighColumn([value]))
})

test.each([new Map([[1, 2]]), new Set([1, 2])])(
  'weighColumn() of %s comes to an end, whatever iterator the program gave it',
  (value) => {
    const weight = weighColumn([value])
    Object.assign(value, {
      *[Symbol.iterator]() {
        for (;;) yield [0, 0]
      },
    })
    expect(weighColumn([value])).toBe(weight)
  },
)

test('weighColumn() of numbers that lie together, and of none', () => {
  expect(weighColumn(new Float64Array(100))).toBe(800)
  expect(weighColumn([])).toBe(0)
})
