import { expect, test } from 'vitest'
import { createCache } from '../../src/checkpoint/reading/cache.ts'

test('createCache() lets go of the oldest until there is room, and keeps what is too large alone', () => {
  const kept = createCache<string, number>(10)
  const all = () => ['a', 'b', 'c', 'd'].map((key) => kept.get(key))
  kept.put('a', 1, 4)
  kept.put('b', 2, 4)
  kept.put('c', 3, 5)
  expect(all()).toEqual([undefined, 2, 3, undefined])
  kept.drop('c')
  kept.put('a', 4, 6)
  expect(all()).toEqual([4, 2, undefined, undefined])
  kept.put('a', 5, 1) // In place of the other, whose bytes do not count any more.
  kept.put('c', 6, 5)
  expect(all()).toEqual([5, 2, 6, undefined])
  kept.put('d', 7, 11)
  expect(all()).toEqual([undefined, undefined, undefined, 7])
})
