import { describe, expect, test } from 'vitest'
import { attemptsBefore, cut, historyAt, withHistories } from '../../src/items/chunk.ts'
import type { Chunk } from '../../src/types.ts'

const chunk: Chunk<string> = {
  items: ['a', 'b', 'c', 'd'],
  indices: Uint32Array.of(3, 5, 7, 9),
  keys: ['ka', 'kb', 'kc', 'kd'],
  histories: new Map([[7, { attempts: 2, crashes: 1, firstFailedAt: 5 }]]),
}

describe('cut()', () => {
  test('gives the places asked for, all columns of them', () => {
    const piece = cut(chunk, 1, 3)
    expect(piece).toMatchObject({ items: ['b', 'c'], keys: ['kb', 'kc'] })
    expect([...piece.indices]).toEqual([5, 7])
    expect(historyAt(piece, 1)).toEqual({ attempts: 2, crashes: 1, firstFailedAt: 5 })
    expect(historyAt(piece, 0)).toBeUndefined()
  })

  test('gives the chunk itself when all is asked for, and nothing of nothing', () => {
    expect(cut(chunk, 0, 4)).toBe(chunk)
    expect(cut(chunk, 2, 2).items).toHaveLength(0)
  })

  test('cuts typed arrays and whatever else has a length', () => {
    const numbers = { items: Float64Array.of(1, 2, 3), indices: Uint32Array.of(0, 1, 2) }
    expect(cut(numbers, 1, 3).items).toEqual(Float64Array.of(2, 3))
    const like = { items: { length: 3, 0: 'x', 1: 'y', 2: 'z' }, indices: Uint32Array.of(0, 1, 2) }
    expect(cut(like, 1, 2).items).toEqual(['y'])
    expect('keys' in cut(numbers, 1, 3)).toBe(false)
  })
})

test('withHistories() puts changes over what was known, and leaves the chunk alone', () => {
  const changed = withHistories(chunk, [[5, { attempts: 1, crashes: 0, firstFailedAt: 9 }]])
  expect(historyAt(changed, 1)).toEqual({ attempts: 1, crashes: 0, firstFailedAt: 9 })
  expect(historyAt(changed, 2)).toEqual({ attempts: 2, crashes: 1, firstFailedAt: 5 })
  expect(historyAt(chunk, 1)).toBeUndefined()
})

test('attemptsBefore() is a column where any item was tried, and absent where none was', () => {
  expect([...(attemptsBefore(chunk) ?? [])]).toEqual([0, 0, 2, 0])
  expect(attemptsBefore({ items: ['a'], indices: Uint32Array.of(0) })).toBeUndefined()
})
