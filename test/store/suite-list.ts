import { expect, test } from 'vitest'
import { bytesOf, textAt } from './contents.ts'
import type { Create } from './suite.ts'

/** What the contract says of `list`. */
export function listTests(create: Create): void {
  test('gives keys with sizes, in code-unit order', async () => {
    const { open } = await create()
    const keys = ['a/b0', 'a-b', 'a.b', 'a0', 'a_b', 'aB', 'A', 'Z/z', '_', '-', '10', '9', 'a/b-', 'a/B/c', 'ab/c', 'aa/c']
    for (const [i, key] of keys.entries()) await open().put(key, new Uint8Array(i), { durable: false })
    expect((await open().list('')).map(({ key, size }) => `${key} ${size}`)).toEqual([
      '- 9',
      '10 10',
      '9 11',
      'A 6',
      'Z/z 7',
      '_ 8',
      'a-b 1',
      'a.b 2',
      'a/B/c 13',
      'a/b- 12',
      'a/b0 0',
      'a0 3',
      'aB 5',
      'a_b 4',
      'aa/c 15',
      'ab/c 14',
    ])
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

/** What the contract says of `delete`. */
export function deleteTests(create: Create): void {
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
