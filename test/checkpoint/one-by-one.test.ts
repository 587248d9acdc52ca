import fc from 'fast-check'
import { expect, test } from 'vitest'
import { oneByOne } from '../../src/checkpoint/stored/one-by-one.ts'

const batchesOf = fc.array(fc.array(fc.nat(9), { maxLength: 3 }), { maxLength: 4 })
/** How many calls are made before any is awaited, and which. */
const callsOf = fc.array(fc.array(fc.constantFrom('next', 'next', 'next', 'return', 'throw'), { minLength: 1, maxLength: 4 }), {
  maxLength: 6,
})

test('oneByOne() answers any calls, also before earlier ones are answered, as a generator does', async () => {
  await fc.assert(
    fc.asyncProperty(batchesOf, fc.boolean(), callsOf, async (batches, isFaulty, calls) => {
      const ends: string[] = []
      const read = (name: string) => readBatches(batches, isFaulty, () => ends.push(name))
      async function* plain() {
        // Not by `yield*`: of a `throw` that an array's iterator cannot take, Node 20 and 24 make different things.
        for await (const batch of read('plain')) for (const value of batch) yield value
      }
      const expected = await callAll(plain(), calls)
      expect(await callAll(oneByOne(read('by hand')), calls)).toEqual(expected)
      expect(ends.filter((name) => name === 'by hand')).toHaveLength(ends.length / 2)
    }),
  )
})

test('oneByOne() ends what it reads when a loop is left, or its scope', async () => {
  const ends: string[] = []
  for await (const value of oneByOne(readBatches([[1, 2], [3]], false, () => ends.push('left')))) if (value === 1) break
  const values = oneByOne(readBatches([[1]], false, () => ends.push('disposed')))
  await values.next()
  await values[Symbol.asyncDispose]()
  expect(ends).toEqual(['left', 'disposed'])
  expect(await values.next()).toEqual({ value: undefined, done: true })
})

async function* readBatches(
  batches: readonly number[][],
  isFaulty: boolean,
  ended: () => void,
): AsyncGenerator<number[], void, void> {
  try {
    for (const batch of batches) {
      await Promise.resolve()
      yield batch
    }
    if (isFaulty) throw new Error('the disk is gone')
  } finally {
    ended()
  }
}

/** What the calls came to, told one after the other. */
async function callAll(values: AsyncGenerator<number, void, void>, calls: readonly string[][]): Promise<unknown[]> {
  const answers: unknown[] = []
  for (const some of calls) {
    const asked = some.map((name) => {
      if (name === 'throw') return values.throw(new Error('enough'))
      return name === 'return' ? values.return() : values.next()
    })
    answers.push(...(await Promise.allSettled(asked)))
  }
  return answers
}
