import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type Block,
  createFileItems,
  fitFileItems,
  isFileItems,
  packFileItems,
  pickFileItems,
  unpackItems,
} from '../../src/items/file-items.ts'
import { isArrayLike } from '../../src/items/items.ts'

/** A block of `values`, one per line. */
function blockOf(values: readonly unknown[]): Block {
  const texts = values.map((value) => `${JSON.stringify(value)}\n`)
  const starts = new Uint32Array(new SharedArrayBuffer(4 * (values.length + 1)))
  let at = 0
  for (const [place, text] of texts.entries()) starts[place + 1] = at += Buffer.byteLength(text)
  const bytes = Buffer.from(new SharedArrayBuffer(at))
  bytes.write(texts.join(''))
  return { bytes, starts }
}

const listOf = (blocks: readonly (readonly unknown[])[]) => createFileItems({ kind: 'jsonl' }, blocks.map(blockOf))
const blocks = fc.array(fc.array(fc.jsonValue({ maxDepth: 2 }), { maxLength: 5 }), { maxLength: 6 })

describe('createFileItems()', () => {
  test('gives a list that has what an array of the items would have, however they are cut into blocks', async () => {
    const property = fc.asyncProperty(blocks, fc.nat(30), fc.nat(30), async (cut, from, to) => {
      const list = await listOf(cut)
      const expected = JSON.parse(JSON.stringify(cut.flat())) // A line cannot say -0.
      expect([...list]).toEqual(expected)
      expect(list).toHaveLength(expected.length)
      for (let at = 0; at <= expected.length; at++) expect(list[at]).toEqual(expected[at])
      const some = list.slice(from, from + to)
      expect(some).toHaveLength(expected.slice(from, from + to).length)
      expect(some[0]).toEqual(expected.slice(from, from + to)[0])
      expect([...some.slice(1)]).toEqual(expected.slice(from, from + to).slice(1))
    })
    await fc.assert(property)
  })

  test('is known from any other list', async () => {
    const list = await listOf([[1]])
    expect([list, list.slice(0), [1], new Uint8Array(1), undefined].map(isFileItems)).toEqual([true, true, false, false, false])
    expect(isArrayLike(list)).toBe(true)
  })
})

test('packFileItems() and unpackItems() carry any of the items', async () => {
  const property = fc.asyncProperty(blocks, fc.infiniteStream(fc.boolean()), async (cut, isTaken) => {
    const list = await listOf(cut)
    const indices = Uint32Array.from([...Array(list.length).keys()].filter(() => isTaken.next().value))
    const picked = pickFileItems(list, indices)
    expect([...picked]).toEqual(Array.from(indices, (index) => list[index]))
    const packed = packFileItems(picked)
    expect(packed.parts.every(({ places }) => places.length > 0)).toBe(true)
    expect(await unpackItems(structuredClone(packed))).toEqual([...picked])
    expect(await unpackItems(packFileItems(picked.slice(1)))).toEqual([...picked].slice(1))
  })
  await fc.assert(property)
})

test('fitFileItems() takes about a MiB, and at least one item', async () => {
  const long = 'x'.repeat(400_000)
  const list = await listOf([
    [long, long],
    [long, long, 'y'.repeat(2 ** 21), 1],
  ])
  expect(fitFileItems(list, [0, 1, 2, 3, 4, 5])).toBe(3)
  expect(fitFileItems(list, [4, 5])).toBe(1)
  expect(fitFileItems(list, [5])).toBe(1)
  expect(fitFileItems(list, [])).toBe(0)
})
