import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KEY, MAX_OBJECT_BYTES, type Store } from '../../src/store/store.ts'
import { bytesAt, bytesOf, textAt } from './contents.ts'
import { appendTests } from './suite-append.ts'
import { deleteTests, listTests } from './suite-list.ts'

/** Gives a place of its own, empty; every call of `open` gives another connection to it. */
export type Create = () => Promise<{ open: () => Store }>

const TRAVERSALS = [
  '../x',
  'a/../../x',
  '/abs',
  'a//b',
  'a/./b',
  'a/..',
  '.',
  '..',
  '.hidden',
  'a/.tmp-x',
  'a\\b',
  'C:\\x',
  'a\0b',
  'a b',
  'ä',
]
const BAD_KEYS = [
  ...TRAVERSALS,
  '',
  '/',
  'a/',
  'a\n',
  'x'.repeat(201),
  'x'.repeat(2000),
  'xy/'.repeat(400),
  undefined,
  null,
  7,
] as string[]

/** The contract of src/store/store.ts, run against a store. */
export function storeSuite(name: string, create: Create): void {
  describe(`${name} keeps the contract of Store`, () => {
    describe('get()', () => getTests(create))
    describe('put()', () => putTests(create))
    describe('list()', () => listTests(create))
    describe('delete()', () => deleteTests(create))
    describe('append()', () => appendTests(create))
    describe('keys', () => keyTests(create))
  })
}

function getTests(create: Create): void {
  test('gives undefined for a key that is not there, nor any above or below it', async () => {
    const store = (await create()).open()
    expect(await store.get('run/1')).toBeUndefined()
    expect(await store.get('run/1', { start: 0, length: 1 })).toBeUndefined()
    await store.put('run/1', bytesOf('x'))
    expect(await store.get('run')).toBeUndefined()
    expect(await store.get('run/1/2')).toBeUndefined()
  })

  test('cuts any range off at the end of the object', async () => {
    const store = (await create()).open()
    const object = Uint8Array.from({ length: 40 }, (_, i) => i)
    await store.put('k', object)
    await fc.assert(
      fc.asyncProperty(fc.nat(60), fc.oneof(fc.nat(60), fc.constant(Number.MAX_SAFE_INTEGER)), async (start, length) => {
        expect([...((await store.get('k', { start, length })) ?? [])]).toEqual([...object.slice(start, start + length)])
      }),
    )
  })

  test.each([
    { start: -1, length: 1 },
    { start: 0, length: -1 },
    { start: 0.5, length: 1 },
    { start: 0, length: Number.NaN },
    { start: Number.POSITIVE_INFINITY, length: 1 },
  ])('refuses the range %o', async (range) => {
    const store = (await create()).open()
    await store.put('k', bytesOf('value'))
    await expect(store.get('k', range)).rejects.toMatchObject({ code: 'ERR_PAWL_INVALID_OPTION', option: 'range' })
  })

  test('gives bytes of the caller: changing or transferring them changes no object', async () => {
    const store = (await create()).open()
    await store.put('k', bytesOf('value'))
    const first = await bytesAt(store, 'k')
    first.fill(0)
    structuredClone(first, { transfer: [first.buffer as ArrayBuffer] })
    expect(await textAt(store, 'k')).toBe('value')
  })
}

function putTests(create: Create): void {
  test('takes what get() gives back, also on another connection', async () => {
    const { open } = await create()
    await open().put('run/1', Uint8Array.of(0, 255))
    await open().put('run/2', new Uint8Array())
    expect(await bytesAt(open(), 'run/1')).toEqual(Uint8Array.of(0, 255))
    expect(await bytesAt(open(), 'run/2')).toEqual(new Uint8Array())
  })

  test('takes part of a buffer, and keeps it when the buffer changes afterwards', async () => {
    const store = (await create()).open()
    const buffer = Buffer.from('..value..')
    await store.put('k', buffer.subarray(2, 7))
    buffer.fill(0)
    expect(await textAt(store, 'k')).toBe('value')
  })

  test('of a taken key rejects and changes nothing', async () => {
    const { open } = await create()
    await open().put('k', bytesOf('first'))
    await expect(open().put('k', bytesOf('second'))).rejects.toMatchObject({ code: 'ERR_PAWL_STORE_CONFLICT', key: 'k' })
    await expect(open().put('k', bytesOf('third'), { durable: false })).rejects.toMatchObject({ code: 'ERR_PAWL_STORE_CONFLICT' })
    expect(await textAt(open(), 'k')).toBe('first')
  })

  test('with replace takes a free key, and a taken one', async () => {
    const store = (await create()).open()
    await store.put('k', bytesOf('a longer first'), { replace: true })
    await store.put('k', bytesOf('second'), { replace: true, durable: false })
    expect(await textAt(store, 'k')).toBe('second')
    expect(await store.list('')).toEqual([{ key: 'k', size: 6 }])
  })

  test('by 16 writers at once has exactly one winner, whose object stays', async () => {
    const { open } = await create()
    const tries = await Promise.allSettled(
      Array.from({ length: 16 }, (_, i) => open().put('run/seg/k', new Uint8Array(9999).fill(i))),
    )
    const winner = tries.findIndex((it) => it.status === 'fulfilled')
    expect(tries.filter((it) => it.status === 'rejected').map((it) => it.reason.code)).toEqual(
      Array(15).fill('ERR_PAWL_STORE_CONFLICT'),
    )
    expect(await bytesAt(open(), 'run/seg/k')).toEqual(new Uint8Array(9999).fill(winner))
  })

  test('with replace by 16 writers at once shows a reader one whole object at any time', async () => {
    const { open } = await create()
    const objectOf = (i: number) => new Uint8Array(20_000 + 1000 * i).fill(i)
    await open().put('k', objectOf(0))
    let writing = true
    const seen: Uint8Array[] = []
    const read = async () => {
      for (const store = open(); writing; ) seen.push(await bytesAt(store, 'k'))
    }
    const reading = Promise.all([read(), read()])
    await Promise.all(Array.from({ length: 16 }, (_, i) => open().put('k', objectOf(i), { replace: true, durable: false })))
    writing = false
    await reading
    expect(seen.length).toBeGreaterThan(0)
    for (const bytes of seen) expect(Buffer.compare(bytes, objectOf(bytes[0] ?? 0))).toBe(0)
  })

  test('refuses an object over MAX_OBJECT_BYTES', async () => {
    const store = (await create()).open()
    await expect(store.put('k', new Uint8Array(MAX_OBJECT_BYTES + 1))).rejects.toMatchObject({
      code: 'ERR_PAWL_INVALID_OPTION',
      option: 'bytes',
    })
    expect(await store.list('')).toEqual([])
  })
}

function keyTests(create: Create): void {
  test.each(BAD_KEYS.map((key) => ({ key, name: inspect(key).slice(0, 40) })))(
    '$name is refused by every function',
    async ({ key }) => {
      const store = (await create()).open()
      const refusal = { code: 'ERR_PAWL_INVALID_OPTION', option: 'key' }
      await expect(store.get(key)).rejects.toMatchObject(refusal)
      await expect(store.put(key, bytesOf('x'))).rejects.toMatchObject(refusal)
      await expect(store.put(key, bytesOf('x'), { replace: true })).rejects.toMatchObject(refusal)
      await expect(store.delete(key)).rejects.toMatchObject(refusal)
      if (store.append) await expect(store.append(key)).rejects.toMatchObject(refusal)
      expect(await store.list('')).toEqual([])
    },
  )

  test('of any text are either kept as they are or refused', async () => {
    const store = (await create()).open()
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.stringMatching(/^[\w./-]{1,30}$/),
      fc.stringMatching(/^[\w-][\w.-]{0,9}(\/[\w-][\w.-]{0,9}){0,3}$/),
    )
    await fc.assert(
      fc.asyncProperty(texts, async (key) => {
        const put = await store.put(key, bytesOf('x'), { durable: false }).then(
          () => 'kept',
          (error) => error.code,
        )
        expect(put).toBe(KEY.test(key) ? 'kept' : 'ERR_PAWL_INVALID_OPTION')
        if (put !== 'kept') return
        expect((await store.list('')).map((it) => it.key)).toEqual([key])
        await store.delete(key)
      }),
    )
  })

  test('like names of Object.prototype, and the longest, are keys like others', async () => {
    const store = (await create()).open()
    const longest = Array(5).fill('x'.repeat(200)).join('/')
    for (const key of ['__proto__', 'constructor', 'toString', longest]) {
      expect(await store.get(key)).toBeUndefined()
      await store.put(key, bytesOf(key), { durable: false })
      expect(await textAt(store, key)).toBe(key)
    }
  })
}
