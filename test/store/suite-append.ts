import fc from 'fast-check'
import { expect, test } from 'vitest'
import { MAX_OBJECT_BYTES, type Store } from '../../src/store/store.ts'
import { bytesAt, bytesOf, textAt } from './contents.ts'
import type { Create } from './suite.ts'

/** What the contract says of `append` and its log; skipped for a store that leaves it out. */
export function appendTests(create: Create): void {
  /** A store that can grow an object; the others skip the test. */
  async function growing(
    skip: (note: string) => void,
  ): Promise<{ open: () => Store; store: Store & Required<Pick<Store, 'append'>> }> {
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
