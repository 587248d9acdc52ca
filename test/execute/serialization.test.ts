import { execute, memoryStore, type SerializationError } from 'pawl'
import { describe, expect, test } from 'vitest'
import { runProgram } from '../fixtures/program.ts'
import { carry, moving, movingInside } from '../fixtures/tasks/carrying.mjs'
import { range } from './calls.ts'

const MODES = ['threads', 'inline'] as const

describe.each(MODES)('execute() carries, %s,', (mode) => {
  test.each([
    ['undefined', undefined],
    ['negativeZero', -0],
    ['nan', Number.NaN],
    ['map', new Map([['a', new Set([1n])]])],
    ['date', new Date(0)],
    ['thenable', 'awaited'],
  ])('a result as structured clone does: %s', async (way, value) => {
    const { results } = await execute(carry, [{ way }, { way }], { mode })
    expect(results[0]).toStrictEqual(value)
    expect(results[1]).toStrictEqual(value)
  })

  test('numbers of every kind, also when they are all there is', async () => {
    const values = [0, -0, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 5e-324]
    const { results } = await execute((n: number) => n, values, { mode })
    expect(results).toStrictEqual(values)
  })

  test('a class instance as a plain object, a cycle and an error as they are', async () => {
    const { results } = await execute(carry, [{ way: 'classInstance' }, { way: 'cycle' }, { way: 'error' }], { mode })
    expect(Object.getPrototypeOf(results[0])).toBe(Object.prototype)
    expect(results[0]).toEqual({ x: 1 })
    expect(results[1].self).toBe(results[1])
    expect(results[2]).toBeInstanceOf(RangeError)
  })

  test.each(['function', 'deepFunction', 'symbol', 'promiseInside', 'proxy', 'accessThrows'])(
    'no result that cannot be cloned, which fails alone: %s',
    async (way) => {
      const items = [{ way: 'same', value: 1 }, { way }, { way: 'same', value: { three: 3 } }, { way }, { way: 'same', value: 5 }]
      const report = await execute(carry, items, { mode, chunkSize: 5, maxFailures: 2, retry: { retries: 2, minTimeout: 0 } })
      expect(report.results).toEqual([1, undefined, { three: 3 }, undefined, 5])
      expect(report.failures.map(({ index, kind, attempts }) => ({ index, kind, attempts }))).toEqual([
        { index: 1, kind: 'serialization', attempts: 1 },
        { index: 3, kind: 'serialization', attempts: 1 },
      ])
      expect(report.failures[0]?.reason).toMatchObject({ name: 'SerializationError', code: 'ERR_PAWL_SERIALIZATION' })
      expect(report.failures[0]?.reason.message).toMatch(/result/)
      expect(report.stats.attempts).toBe(5)
    },
  )

  test.each([undefined, 'msgpack', 'json'] as const)(
    'no result of which nothing would be left, which fails alone, by its place (checkpoint: %s)',
    async (format) => {
      const places = ['whole', 'record', 'long list', 'map', 'promise']
      const items = ['a', ...places, 'b'].map((where) =>
        where.length === 1 ? { way: 'same', value: where } : { way: 'platform', where },
      )
      const checkpoint = format && { store: memoryStore(), format }
      for (const chunkSize of [1, items.length]) {
        const options = { mode, chunkSize, maxFailures: places.length, ...(checkpoint && { checkpoint }) }
        const { results, failures } = await execute(carry, items, options)
        expect([results[0], results[6]]).toEqual(['a', 'b'])
        expect(failures.map(({ index, kind, attempts }) => [index, kind, attempts])).toEqual(
          places.map((_, at) => [at + 1, 'serialization', 1]),
        )
        const reasons = failures.map(({ reason }) => reason as SerializationError)
        for (const [at, { index, code, message }] of reasons.entries()) {
          expect([index, code]).toEqual([at + 1, 'ERR_PAWL_SERIALIZATION'])
          expect(message).toContain(`the result of item ${at + 1}`)
        }
        if (!process.version.startsWith('v20.')) continue
        expect(reasons.map(({ path }) => path)).toEqual(['', 'site.url', '[70]', 'get("sites").values[0]', 'url'])
        expect(reasons[1]?.message).toContain('got a URL at result.site.url. Return plain data')
      }
    },
  )

  test.each<[string, unknown]>([
    ['a function', () => {}],
    ['a symbol', Symbol('item')],
    ['an object with a function', { way: 'same', value: { callback: () => {} } }],
    ['a promise', { way: 'same', value: Promise.resolve() }],
    ['a weak map', new WeakMap()],
  ])('no item that cannot be cloned, which fails alone: %s', async (_, bad) => {
    const good = (value: number) => ({ way: 'same', value })
    const items = [good(0), good(1), bad, good(3), bad, good(5)] as { way: string }[]
    const report = await execute(carry, items, { mode, chunkSize: 6, maxFailures: 2, retry: { retries: 2, minTimeout: 0 } })
    expect(report.results).toEqual([0, 1, undefined, 3, undefined, 5])
    // Neither was started.
    expect(report.failures.map(({ index, kind, attempts }) => ({ index, kind, attempts }))).toEqual([
      { index: 2, kind: 'serialization', attempts: 0 },
      { index: 4, kind: 'serialization', attempts: 0 },
    ])
    expect(report.stats).toMatchObject({ attempts: 4, retries: 0, dispatched: 6 })
    expect(report.failures[0]).toMatchObject({ reason: { name: 'SerializationError', code: 'ERR_PAWL_SERIALIZATION' } })
    expect(report.failures[0]?.reason.message).toMatch(/item 2\b/)
    expect(report.failures[0]?.item).toBe(bad)
  })

  test('a large chunk with one bad item and one bad result', async () => {
    const items = range(5000).map((value): { way: string; value?: unknown } => ({ way: 'same', value }))
    items[1234] = { way: 'same', value: () => {} }
    items[4321] = { way: 'deepFunction' }
    const report = await execute(carry, items, { mode, chunkSize: 5000, maxFailures: 2 })
    expect(report.failures.map(({ index, kind }) => [index, kind])).toEqual([
      [1234, 'serialization'],
      [4321, 'serialization'],
    ])
    expect(report.results.filter((it, i) => it === i)).toHaveLength(4998)
  })

  test("nothing a task does to its item, into the program's own", async () => {
    const list = ['given']
    const items = [
      { way: 'mutate', list },
      { way: 'mutate', list },
    ]
    const { results } = await execute(carry, items, { mode, chunkSize: 2 })
    expect(results).toEqual([2, mode === 'inline' ? 2 : expect.any(Number)])
    expect(list).toEqual(['given'])
  })

  test('what a task gives away by move(), a part of a buffer as a copy', async () => {
    const report = await execute(moving, ['whole', 'part', 'buffer', 'whole'], { mode })
    expect(report.results.slice(0, 2)).toEqual([Uint8Array.of(1, 2, 3, 4), Uint8Array.of(2, 3)])
    expect((report.results[1] as Uint8Array).byteOffset).toBe(0)
    expect(new Uint8Array(report.results[2] as ArrayBuffer)).toEqual(Uint8Array.of(1, 2, 3, 4))
    expect(report.results[3]).toEqual(Uint8Array.of(1, 2, 3, 4))
  })

  test('move() of what cannot be moved, and of what has gone already, as failures of these items', async () => {
    const options = { mode, workers: 1, maxFailures: 2 } as const
    const text = await execute(moving, ['text', 'whole'], options)
    expect(text.failures).toMatchObject([{ index: 0, kind: 'error', reason: { code: 'ERR_PAWL_INVALID_OPTION' } }])
    const gone = await execute(moving, ['twice', 'twice', 'whole'], { ...options, chunkSize: 1 })
    expect(gone.results[2]).toEqual(Uint8Array.of(1, 2, 3, 4))
    expect(gone.failures.every((it) => it.kind === 'serialization')).toBe(true)
  })

  const INSIDE: [string, unknown][] = [
    ['object', { where: 'object', deep: [{ bytes: Uint8Array.of(1, 2) }] }],
    ['array', [Uint8Array.of(1, 2), Float32Array.of(0.5).buffer, Uint8Array.from(Buffer.from('pooled'))]],
    ['map and set', new Map([['set', new Set([Uint8Array.of(1, 2)])]])],
    ['twice', { one: Uint8Array.of(1, 2), other: Uint8Array.of(1, 2), whole: Uint8Array.of(1, 2).buffer }],
    ['nowhere', { length: 2 }],
  ]
  const WHERE = INSIDE.map(([where]) => where)
  const EXPECTED = INSIDE.map(([, value]) => value)

  test.each([undefined, memoryStore()])('what is given away anywhere in a result (checkpoint: %s)', async (checkpoint) => {
    for (const chunkSize of [1, WHERE.length]) {
      const { results } = await execute(movingInside, WHERE, { mode, workers: 1, chunkSize, ...(checkpoint && { checkpoint }) })
      expect(results).toStrictEqual(EXPECTED)
    }
    const { results } = await execute(movingInside, ['cycle'], { mode, ...(checkpoint && { checkpoint }) })
    expect(results[0]).toMatchObject({ bytes: Uint8Array.of(1, 2) })
    expect((results[0] as { self: unknown }).self).toBe(results[0])
  })

  test('what is given away beside what cannot be cloned, and what failures gave away', async () => {
    const items = ['object', 'beside a function', 'fails', 'in a proxy', 'kept', 'array']
    const report = await execute(movingInside, items, { mode, workers: 1, chunkSize: items.length, maxFailures: 3 })
    expect(report.failures.map(({ index, kind }) => [index, kind])).toEqual([
      [1, 'serialization'],
      [2, 'error'],
      [3, 'serialization'],
    ])
    expect(report.results).toStrictEqual([EXPECTED[0], , , , { kept: Uint8Array.of(7) }, EXPECTED[1]])
  })

  test('what a getter gave, beside a result that cannot be cloned, though it gives a function the next time', async () => {
    const changing = (n: number) => {
      let reads = 0
      if (n === 0) return { v: () => n }
      return Object.defineProperty({}, 'v', { enumerable: true, get: () => (reads++ === 0 ? n : () => n) })
    }
    const report = await execute(changing, [0, 1, 2], { mode, chunkSize: 3, workers: 1, maxFailures: 1 })
    expect(report.failures).toMatchObject([{ index: 0, kind: 'serialization' }])
    expect(report.results).toEqual([undefined, { v: 1 }, { v: 2 }])
  })

  test('no result whose parts, written out as JSON, are too many, which fails alone', async () => {
    const share = (levels: number) => {
      let part: unknown[] = [levels]
      for (let level = 0; level < levels; level++) part = [part, part]
      if (levels === 61) throw Object.assign(new Error('with a field'), { part, levels })
      return part
    }
    const checkpoint = { store: memoryStore(), format: 'json' } as const
    const first = await execute(share, [1, 60, 61, 2], { mode, workers: 1, maxFailures: 2, checkpoint })
    const again = await execute(share, [1, 60, 61, 2], { mode, workers: 1, maxFailures: 2, checkpoint, retryFailed: false })
    expect(again.stats.dispatched).toBe(0)
    for (const { results, failures } of [first, again]) {
      expect([results[0], results[3]]).toEqual([[[1], [1]], share(2)])
      expect(failures.map(({ index, kind }) => [index, kind])).toEqual([
        [1, 'serialization'],
        [2, 'error'],
      ])
      expect(failures[0]?.reason.message).toContain('too large for JSON')
    }
    expect(again.failures[1]?.reason).toMatchObject({ message: 'with a field', levels: 61 })
  })
})

test('values are carried and recorded where structured clone makes them of another realm, and platform objects are refused', async () => {
  const { json } = await runProgram('clones-elsewhere.mjs')
  expect(json).toEqual({ wrong: [], refused: ['serialization', 'serialization'] })
})
