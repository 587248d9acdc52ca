import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KEY, MAX_OBJECT_BYTES, type Store } from '../../src/store/store.ts'

/** Opens a store on one place; every call gives another connection to it. */
type Open = () => Store

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

/** The contract of src/store/store.ts, run against a store. `create` gives a place of its own, empty, to each test. */
export function storeSuite(name: string, create: () => Promise<{ open: Open }>): void {
  describe(`${name} keeps the contract of Store`, () => {
    describe('get()', () => getTests(create))
    describe('put()', () => putTests(create))
    describe('list()', () => listTests(create))
    describe('delete()', () => deleteTests(create))
    describe('append()', () => appendTests(create))
    describe('keys', () => keyTests(create))
  })
}

function getTests(create: () => Promise<{ open: Open }>): void {
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

function putTests(create: () => Promise<{ open: Open }>): void {
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

function listTests(create: () => Promise<{ open: Open }>): void {
  test('gives keys with sizes, in code-unit order', async () => {
    const { open } = await create()
    const keys = ['a/b', 'a-b', 'a.b', 'a0', 'a_b', 'aB', 'A', 'Z/z', '_', '-', '10', '9', 'a/b-', 'a/B/c', 'ab/c', 'aa/c']
    for (const [i, key] of keys.entries()) await open().put(key === 'a/b' ? 'a/b0' : key, new Uint8Array(i), { durable: false })
    expect((await open().list('')).map(({ key, size }) => `${key} ${size}`)).toEqual([
      '- 9', '10 10', '9 11', 'A 6', 'Z/z 7', '_ 8', 'a-b 1', 'a.b 2', 'a/B/c 13', 'a/b- 12', 'a/b0 0', 'a0 3', 'aB 5', 'a_b 4', 'aa/c 15', 'ab/c 14',
    ]) // biome-ignore format: one line shows the order
  })

  test('gives what starts with any prefix, also one that ends within a name', async () => {
    const store = (await create()).open()
    const keys = ['r1/run/f.json', 'r1/seg/w-1.json', 'r1/seg/w-2.json', 'r1/segment', 'r10/seg/w-1.json', 'r2/snap/1']
    for (const key of keys) await store.put(key, bytesOf(key), { durable: false })
    const cuts = keys.flatMap((key) => Array.from({ length: key.length + 1 }, (_, end) => key.slice(0, end)))
    for (const prefix of new Set([
      ...cuts,
      'r1/seg/w-1.json/',
      'r3',
      'r1/none/',
      '..',
      '../',
      '/',
      'r1//',
      'r1/../r2/',
      './',
      'R',
      '\0',
    ])) {
      expect(
        (await store.list(prefix)).map(({ key }) => key),
        prefix,
      ).toEqual(keys.filter((key) => key.startsWith(prefix)))
    }
  })

  test('of an empty store gives nothing', async () => {
    expect(await (await create()).open().list('')).toEqual([])
  })

  test('never misses a key that was there before, while others come and go', async () => {
    const { open } = await create()
    const stay = Array.from({ length: 20 }, (_, i) => `run/seg/stay-${i + 10}`)
    for (const key of stay) await open().put(key, bytesOf(key), { durable: false })
    let writing = true
    const churn = async (writer: number) => {
      for (let i = 0, store = open(); writing; i++) {
        await store.put(`run/${writer}/${i}`, bytesOf('x'), { durable: false })
        await store.put(`run/seg/x-${writer}-${i}`, bytesOf('x'), { durable: false })
        await store.delete(`run/${writer}/${i}`)
        await store.delete(`run/seg/x-${writer}-${i}`)
      }
    }
    const churning = Promise.all([0, 1, 2, 3].map(churn))
    const missed: string[][] = []
    for (let round = 0; round < 50; round++) {
      const listed = new Set((await open().list('run/')).map(({ key }) => key))
      missed.push(stay.filter((key) => !listed.has(key)))
    }
    writing = false
    await churning
    expect(missed.flat()).toEqual([])
  })
}

function deleteTests(create: () => Promise<{ open: Open }>): void {
  test('removes an object and no other; the key is free again', async () => {
    const { open } = await create()
    for (const key of ['run/a', 'run/b', 'run/ab']) await open().put(key, bytesOf(key))
    await open().delete('run/a')
    expect(await open().get('run/a')).toBeUndefined()
    expect((await open().list('')).map(({ key }) => key)).toEqual(['run/ab', 'run/b'])
    await open().put('run/a', bytesOf('again'))
    expect(await textAt(open(), 'run/a')).toBe('again')
  })

  test('of a key that is not there does nothing', async () => {
    const store = (await create()).open()
    await store.delete('run/a')
    await store.put('run/a', bytesOf('x'))
    await store.delete('run')
    await store.delete('run/a/b')
    expect(await textAt(store, 'run/a')).toBe('x')
  })

  test('by several at once does not hinder those who put beside it', async () => {
    const { open } = await create()
    const keys = Array.from({ length: 40 }, (_, i) => `run/lease/${i + 10}`)
    await Promise.all(
      keys.map(async (key) => {
        const store = open()
        await store.put(key, bytesOf(key), { durable: false })
        await Promise.all([store.delete(key), store.delete(key), store.put(`${key}-kept`, bytesOf(key), { durable: false })])
      }),
    )
    expect((await open().list('')).map(({ key }) => key)).toEqual(keys.map((key) => `${key}-kept`))
  })
}

function appendTests(create: () => Promise<{ open: Open }>): void {
  /** A store that can grow an object; the others skip the test. */
  async function growing(skip: (note: string) => void): Promise<{ open: Open; store: Store & Required<Pick<Store, 'append'>> }> {
    const { open } = await create()
    const store = open()
    if (!store.append) skip('this store leaves append out')
    return { open, store: store as Store & Required<Pick<Store, 'append'>> }
  }

  test('creates an object that is there at once and grows', async ({ skip }) => {
    const { open, store } = await growing(skip)
    const log = await store.append('run/seg/1')
    expect(await open().list('run/')).toEqual([{ key: 'run/seg/1', size: 0 }])
    expect(await bytesAt(open(), 'run/seg/1')).toEqual(new Uint8Array())
    await log.write(bytesOf('one'))
    await log.write(new Uint8Array())
    await log.sync()
    expect(await textAt(open(), 'run/seg/1')).toBe('one')
    await log.write(bytesOf(' two'))
    await log.sync()
    await log.close()
    expect(await textAt(open(), 'run/seg/1')).toBe('one two')
    expect(Buffer.from((await open().get('run/seg/1', { start: 2, length: 3 })) ?? []).toString()).toBe('e t')
    expect(await open().list('')).toEqual([{ key: 'run/seg/1', size: 7 }])
  })

  test('keeps any sequence of writes, in order', async ({ skip }) => {
    const { open, store } = await growing(skip)
    let runs = 0
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 8 }), async (writes) => {
        const key = `run/${runs++}`
        const log = await store.append(key)
        for (const bytes of writes) await log.write(bytes)
        await log.close()
        expect(Buffer.compare(await bytesAt(open(), key), Buffer.concat(writes))).toBe(0)
      }),
      { numRuns: 30 },
    )
  })

  test('keeps what was written when the buffer changes afterwards', async ({ skip }) => {
    const { open, store } = await growing(skip)
    const log = await store.append('k')
    const buffer = Buffer.from('..value..')
    await log.write(buffer.subarray(2, 7))
    buffer.fill(0)
    await log.close()
    expect(await textAt(open(), 'k')).toBe('value')
  })

  test('of a taken key rejects and changes nothing; so does put() of an appended one', async ({ skip }) => {
    const { open, store } = await growing(skip)
    await store.put('a', bytesOf('first'))
    await expect(store.append('a')).rejects.toMatchObject({ code: 'ERR_PAWL_STORE_CONFLICT', key: 'a' })
    const log = await store.append('b')
    await expect(store.append('b')).rejects.toMatchObject({ code: 'ERR_PAWL_STORE_CONFLICT', key: 'b' })
    await expect(store.put('b', bytesOf('x'))).rejects.toMatchObject({ code: 'ERR_PAWL_STORE_CONFLICT', key: 'b' })
    await log.write(bytesOf('y'))
    await log.close()
    expect([await textAt(open(), 'a'), await textAt(open(), 'b')]).toEqual(['first', 'y'])
  })

  test('by 16 writers at once has exactly one winner', async ({ skip }) => {
    const { store } = await growing(skip)
    const tries = await Promise.allSettled(Array.from({ length: 16 }, () => store.append('run/seg/k')))
    const logs = tries.filter((it) => it.status === 'fulfilled').map((it) => it.value)
    expect(logs).toHaveLength(1)
    await logs[0]?.close()
  })

  test('refuses to grow an object over MAX_OBJECT_BYTES, and stays refused', async ({ skip }) => {
    const { store } = await growing(skip)
    const log = await store.append('k')
    await log.write(bytesOf('x'))
    const refusal = await log.write(new Uint8Array(MAX_OBJECT_BYTES)).catch((error) => error)
    expect(refusal).toMatchObject({ code: 'ERR_PAWL_INVALID_OPTION', option: 'bytes' })
    await expect(log.write(bytesOf('y'))).rejects.toBe(refusal)
    await expect(log.sync()).rejects.toBe(refusal)
    await log.close()
    expect(await textAt(store, 'k')).toBe('x')
  })

  test('gives a log that, once closed, refuses to write and sync but not to be closed again', async ({ skip }) => {
    const { store } = await growing(skip)
    const log = await store.append('k')
    await log.close()
    await expect(log.write(bytesOf('x'))).rejects.toThrow('closed')
    await expect(log.sync()).rejects.toThrow('closed')
    await log.close()
    expect(await bytesAt(store, 'k')).toEqual(new Uint8Array())
  })
}

function keyTests(create: () => Promise<{ open: Open }>): void {
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

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

async function bytesAt(store: Store, key: string): Promise<Uint8Array> {
  const bytes = await store.get(key)
  if (!bytes) throw new Error(`nothing at ${key}`)
  return bytes
}

async function textAt(store: Store, key: string): Promise<string> {
  return new TextDecoder().decode(await bytesAt(store, key))
}
