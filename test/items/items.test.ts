import { describe, expect, test } from 'vitest'
import { arraySource } from '../../src/items/array-source.ts'
import { isArrayLike, type Selection, type Source, takeItems } from '../../src/items/items.ts'
import { iterableSource } from '../../src/items/iterable-source.ts'
import { createKeys, listKeys } from '../../src/items/keys.ts'
import { SLICE_MS } from '../../src/turn.ts'

/** What a source gives, chunk by chunk. */
async function drainSource(source: Source<string>, size: number) {
  const chunks: { items: string[]; indices: number[]; alone?: true }[] = []
  for (;;) {
    const chunk = await source.next(size)
    if (!chunk) return chunks
    chunks.push({ items: Array.from(chunk.items), indices: [...chunk.indices], ...(chunk.alone ? { alone: true } : {}) })
  }
}

const LETTERS = ['a', 'b', 'c', 'd', 'e']
const selection = (pending: string, suspects = ''): Selection<string> => ({
  isPending: (_index, _key, item) => pending.includes(item),
  historyOf: () => undefined,
  isSuspect: (index) => suspects.includes(LETTERS[index] as string),
  isLast: () => false,
  lastSuspect: LETTERS.findLastIndex((letter) => suspects.includes(letter)),
})

describe.each(['arraySource', 'iterableSource'] as const)('%s()', (kind) => {
  const make = (chosen?: Selection<string>, pending = 5) =>
    kind === 'arraySource' ? arraySource(LETTERS, undefined, chosen, pending) : iterableSource(LETTERS, undefined, chosen)

  test('cuts the items into chunks of at most the size asked for', async () => {
    expect(await drainSource(make(), 2)).toEqual([
      { items: ['a', 'b'], indices: [0, 1] },
      { items: ['c', 'd'], indices: [2, 3] },
      { items: ['e'], indices: [4] },
    ])
    expect(await drainSource(make(), 100)).toEqual([{ items: LETTERS, indices: [0, 1, 2, 3, 4] }])
  })

  test('leaves out what is not pending', async () => {
    const source = make(selection('ace'), 3)
    expect(await drainSource(source, 2)).toEqual([
      { items: ['a', 'c'], indices: [0, 2] },
      { items: ['e'], indices: [4] },
    ])
    expect(source).toMatchObject({ total: 5, left: 0 })
    expect(await drainSource(make(selection(''), 0), 2)).toEqual([])
  })

  test('gives suspects alone, each item once', async () => {
    const chunks = await drainSource(make(selection('abcde', 'c')), 10)
    expect(chunks.filter((it) => it.alone)).toEqual([{ items: ['c'], indices: [2], alone: true }])
    expect(chunks.flatMap((it) => it.items).sort()).toEqual(LETTERS)
  })

  test('gives suspects first, however many were asked for, and the rest in order', async () => {
    const alone = (place: number) => ({ items: [LETTERS[place]], indices: [place], alone: true })
    expect(await drainSource(make(selection('abcde', 'bd')), 2)).toEqual([
      alone(1),
      alone(3),
      { items: ['a', 'c'], indices: [0, 2] },
      { items: ['e'], indices: [4] },
    ])
  })
})

test('arraySource() gives the keys it was made with', async () => {
  const chunk = await arraySource(['a', 'b'], ['ka', 'kb'], undefined, 2).next(5)
  expect(chunk?.keys).toEqual(['ka', 'kb'])
})

test('takeItems() puts numbers into memory that threads share, of which a chunk is a view', async () => {
  const items = [1, -0, Number.NaN, 0.5]
  const taken = takeItems(items)
  items[0] = 2
  expect(taken).toEqual(Float64Array.of(1, -0, Number.NaN, 0.5))
  const chunk = await arraySource(taken, undefined, undefined, 4).next(2)
  expect(chunk?.items).toEqual(Float64Array.of(1, -0))
  expect(chunk).toHaveProperty('items.buffer', (taken as unknown as Float64Array).buffer)
})

test('takeItems() keeps integers as integers, for work on doubles is slower, and falls over to doubles at the first other number', async () => {
  const taken = takeItems([2, -(2 ** 31), 2 ** 31 - 1, 0])
  expect(taken).toEqual(Int32Array.of(2, -(2 ** 31), 2 ** 31 - 1, 0))
  const source = arraySource(taken, undefined, undefined, 4)
  expect(source.areNumbers).toBe(true)
  const chunk = await source.next(2)
  expect(chunk?.items).toEqual(Int32Array.of(2, -(2 ** 31)))
  expect(chunk).toHaveProperty('items.buffer', (taken as unknown as Int32Array).buffer)
  for (const last of [2 ** 31, -(2 ** 31) - 1, 0.5, -0, Number.NaN, Number.POSITIVE_INFINITY])
    expect(takeItems([7, -7, last])).toEqual(Float64Array.of(7, -7, last))
})

test('takeItems() copies other items', () => {
  for (const items of [[], [1, 'two', 3], [1, , 3], ['one'], [1, 2n], [{}], [Object(1)]]) {
    const taken = takeItems(items)
    expect(taken).toEqual([...items])
    expect(taken).not.toBe(items)
  }
  const own = Object.assign([1, 2, 3], {
    *[Symbol.iterator]() {
      yield 7
    },
  })
  expect(takeItems(own)).toEqual([7])
})

test.each(['arraySource', 'iterableSource'] as const)('%s() tells the past of each item by its key', async (kind) => {
  const past = (crashes: number) => ({ attempts: crashes, crashes, firstFailedAt: 5 })
  const chosen: Selection<string> = {
    ...selection('abde', 'd'),
    historyOf: (_, key) => ({ 'key b': past(1), 'key d': past(2), 'key e': past(3) })[key ?? ''],
  }
  const keyOf = (item: string) => `key ${item}`
  const source =
    kind === 'arraySource' ? arraySource(LETTERS, LETTERS.map(keyOf), chosen, 4) : iterableSource(LETTERS, keyOf, chosen)
  const histories = new Map<number, unknown>()
  for (let chunk = await source.next(2); chunk; chunk = await source.next(2))
    for (const [index, history] of chunk.histories ?? []) histories.set(index, history)
  expect(histories).toEqual(
    new Map([
      [1, past(1)],
      [3, past(2)],
      [4, past(3)],
    ]),
  )
})

test('iterableSource() does not hold items back for a suspect that an async iterable has yet to give', async () => {
  let give = () => {}
  const items = (async function* () {
    yield 'a'
    await new Promise<void>((resolve) => {
      give = resolve
    })
    yield 'b'
  })()
  const source = iterableSource(items, undefined, selection('ab', 'b'))
  expect(await source.next(2)).toMatchObject({ items: ['a'] })
  give()
  expect(await source.next(2)).toMatchObject({ items: ['b'], alone: true })
})

test('iterableSource() knows no total before its end, and tells blocks of all it pulled', async () => {
  const blocks: [number, number][] = []
  const source = iterableSource(new Array(2500).fill('a'), undefined, {
    ...selection(''),
    onBlock: (block, count) => void blocks.push([block, count]),
  })
  expect(source).toMatchObject({ total: undefined, left: undefined })
  expect(await source.next(10)).toBeUndefined()
  expect(source.total).toBe(2500)
  expect(blocks).toEqual([
    [0, 1000],
    [1, 1000],
    [2, 500],
  ])
})

test('iterableSource() tells the keys of an async iterable, and rejects with what making one throws', async () => {
  const items = (async function* () {
    yield* LETTERS
  })()
  const keyOf = (item: string, index: number) => {
    if (item === 'd') throw new Error('no key for d')
    return `${item}${index}`
  }
  const source = iterableSource(items, keyOf, undefined)
  expect(await source.next(2)).toMatchObject({ items: ['a', 'b'], keys: ['a0', 'b1'] })
  await expect(source.next(2)).rejects.toThrow('no key for d')
})

test('iterableSource() asks an async iterable for no more than is to be given, whatever comes late', async () => {
  const answers: ((result: IteratorResult<string>) => void)[] = []
  const next = () => new Promise<IteratorResult<string>>((resolve) => answers.push(resolve))
  const give = (value: string) => answers.at(-1)?.({ value, done: false })
  const source = iterableSource<string>({ [Symbol.asyncIterator]: () => ({ next }) }, undefined, undefined)
  const first = source.next(2)
  give('a')
  expect(await first).toMatchObject({ items: ['a'] })
  give('b')
  await new Promise((resolve) => setImmediate(resolve))
  expect(answers).toHaveLength(2)
  const second = source.next(1)
  expect(await second).toMatchObject({ items: ['b'], indices: Uint32Array.of(1) })
  expect(answers).toHaveLength(2)
})

test('iterableSource() that was closed knows no end, though the async iterable says that it is done', async () => {
  let letGo: ((result: IteratorResult<string>) => void) | undefined
  const iterator: AsyncIterator<string> = {
    next: () =>
      new Promise((resolve) => {
        letGo = resolve
      }),
    return: async () => {
      letGo?.({ value: undefined, done: true })
      return { value: undefined, done: true }
    },
  }
  const source = iterableSource({ [Symbol.asyncIterator]: () => iterator }, undefined, undefined)
  const asked = source.next(1)
  await source.close()
  expect(await asked).toBeUndefined()
  expect(source).toMatchObject({ total: undefined, left: undefined })
})

test.each(['sync', 'async'])('iterableSource() gives no item of a block seen before until all are compared: %s', async (kind) => {
  const compared: number[] = []
  let pulled = 0
  function* count() {
    while (pulled < 2500) yield String(pulled++)
  }
  async function* countSlowly() {
    yield* count()
  }
  const source = iterableSource(kind === 'sync' ? count() : countSlowly(), undefined, {
    ...selection(''),
    isPending: () => true,
    isKnownBlock: (block) => block === 1,
    onBlock: (block, count) => void compared.push(block, count),
  })
  expect((await source.next(900))?.items).toHaveLength(900)
  // What is there goes on at the edge of the block, and does not wait for a thousand more.
  expect((await source.next(900))?.items).toHaveLength(100)
  expect([pulled, ...compared]).toEqual([1000, 0, 1000])
  expect((await source.next(1))?.indices).toEqual(Uint32Array.of(1000))
  expect([pulled, ...compared]).toEqual([2000, 0, 1000, 1, 1000])
  expect((await source.next(1200))?.indices.at(-1)).toBe(2200)
  expect((await source.next(1200))?.items).toHaveLength(299)
  expect(await source.next(1)).toBeUndefined()
  expect(compared).toEqual([0, 1000, 1, 1000, 2, 500])
})

test('iterableSource() gives what an iterator gave that has one object for all it gives, of a block seen before too', async () => {
  const result = { done: false, value: -1 }
  const next = () => {
    result.done = ++result.value === 1500
    return result
  }
  const compared: unknown[] = []
  const source = iterableSource({ [Symbol.iterator]: () => ({ next }) }, undefined, {
    ...{ ...selection(''), isPending: () => true, isKnownBlock: () => true },
    onItem: (item) => void compared.push(item),
  })
  const given: unknown[] = []
  for (let chunk = await source.next(400); chunk; chunk = await source.next(400)) given.push(...Array.from(chunk.items))
  const all = Array.from({ length: 1500 }, (_, at) => at)
  expect({ given, compared }).toEqual({ given: all, compared: all })
})

test.each(['iterable', 'async iterable'])('iterableSource() leaves out what is not pending in slices: of an %s', async (kind) => {
  let turns = 0
  const count = () => {
    turns++
    next = setImmediate(count)
  }
  let next = setImmediate(count)
  const seen: number[] = []
  const isPending = () => {
    seen.push(turns)
    for (const end = performance.now() + SLICE_MS; performance.now() < end; );
    return false
  }
  const items = new Array<string>(20).fill('a')
  async function* give() {
    yield* items
  }
  const source = iterableSource(kind === 'iterable' ? items.values() : give(), undefined, { ...selection(''), isPending })
  expect(await source.next(1)).toBeUndefined()
  clearImmediate(next)
  expect(seen).toHaveLength(20)
  expect(new Set(seen).size).toBeGreaterThan(5)
})

test('iterableSource() gives no item behind the last index there is', async () => {
  const source = iterableSource(LETTERS, undefined, undefined, { most: 3, which: 'of them in one run' })
  expect((await source.next(2))?.items).toEqual(['a', 'b'])
  await expect(source.next(2)).rejects.toMatchObject({
    code: 'ERR_PAWL_INVALID_OPTION',
    message: "Cannot use option 'items': expected at most 3 of them in one run, got 4",
  })
  expect(await drainSource(iterableSource(LETTERS, undefined, undefined, { most: 5, which: 'of them' }), 5)).toHaveLength(1)
})

test('createKeys() refuses more items than there may be keys, listKeys() before it asks for any', () => {
  const keyOf = createKeys(String, 2)
  expect([keyOf('a', 0), keyOf('b', 1)]).toEqual(['a', 'b'])
  const refused = (most: number) => ({
    code: 'ERR_PAWL_INVALID_OPTION',
    message: `Cannot use option 'key': expected at most ${most} items, whose keys are all held in memory: several runs take more, got ${most + 1}`,
  })
  expect(() => keyOf('c', 2)).toThrow(expect.objectContaining(refused(2)))
  const many = { length: 2 ** 24 + 1 } as ArrayLike<string> as readonly string[]
  const list = () => listKeys(many, () => expect.unreachable(), undefined)
  expect(list).toThrow(expect.objectContaining(refused(2 ** 24)))
})

test('createKeys() refuses a second item of one key, naming both', () => {
  const keyOf = createKeys((item: string) => item)
  expect(keyOf('a', 0)).toBe('a')
  expect(keyOf('b', 1)).toBe('b')
  expect(() => keyOf('a', 2)).toThrow(/item 0 and item 2/)
})

test('isArrayLike() takes arrays and typed arrays', () => {
  expect([[], new Uint8Array(), Buffer.alloc(1), new BigInt64Array()].map(isArrayLike)).toEqual([true, true, true, true])
  expect([new Set(), 'text', new DataView(new ArrayBuffer(1)), { length: 1 }, null].map(isArrayLike)).toEqual([
    false,
    false,
    false,
    false,
    false,
  ])
})
