import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ItemsHead } from '../../src/checkpoint/format/frame.ts'
import { checkHead } from '../../src/checkpoint/format/head.ts'
import { createItemLists, type ItemList, writeItemList } from '../../src/checkpoint/record/item-list.ts'
import { verifyRun } from '../../src/checkpoint/stored/runs.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { readResults } from '../../src/stored-runs.ts'
import { FORMS, IDENTITY, open } from './fixture.ts'

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
const TODAY = 1_700_000_000_000
const namesOf = fc.shuffledSubarray(NAMES)

function latest(heads: readonly ItemsHead[]): ItemList | undefined {
  const lists = createItemLists()
  for (const head of heads) lists.add(head)
  return lists.latest()
}

/** The frames of sessions, each of which knows of those before it; their clocks differ. */
function write(histories: readonly (readonly string[])[]): ItemsHead[] {
  const heads: ItemsHead[] = []
  histories.forEach((keys, at) => void heads.push(...writeItemList(keys, latest(heads), TODAY - at * 1000)))
  return heads
}

describe('a list of items', () => {
  test('is the one last written, for any lists, in whatever order and however often their frames are read', () => {
    fc.assert(
      fc.property(fc.array(namesOf, { minLength: 1, maxLength: 8 }), fc.infiniteStream(fc.nat()), (histories, chance) => {
        const heads = write(histories)
        const shuffled = [...heads, ...heads].sort(() => (chance.next().value as number) - 2 ** 30)
        expect(latest(shuffled)?.keys).toEqual(histories.at(-1))
        expect([...(latest(shuffled)?.places ?? [])]).toEqual(histories.at(-1)?.map((key, index) => [key, index]))
      }),
    )
  })

  test('is an earlier one, whole, or none, when any frames are lost', () => {
    fc.assert(
      fc.property(fc.array(namesOf, { minLength: 1, maxLength: 8 }), fc.infiniteStream(fc.boolean()), (histories, chance) => {
        const left = write(histories).filter(() => chance.next().value)
        const found = latest(left)?.keys
        if (found !== undefined) expect(histories).toContainEqual(found)
      }),
    )
  })

  test('is not written again when it is the same, and costs what is new when more is added', () => {
    const keys = Array.from({ length: 1000 }, (_, n) => `key ${n}`)
    const known = latest(writeItemList(keys, undefined, TODAY))
    expect(writeItemList(keys, known, TODAY)).toEqual([])
    expect(writeItemList([...keys, 'x'], known, TODAY)).toMatchObject([{ base: known?.id, from: 1000, count: 1001, keys: ['x'] }])
    expect(writeItemList(keys.slice(0, 10), known, TODAY)).toMatchObject([{ base: known?.id, from: 10, count: 10, keys: [] }])
  })

  test('is cut when it is large, and does not count before all of it is there', () => {
    const keys = Array.from({ length: 9 }, (_, n) => String(n).repeat(2 ** 20))
    const heads = writeItemList(keys, undefined, TODAY)
    expect(heads.length).toBeGreaterThan(1)
    expect(latest(heads)?.keys).toEqual(keys)
    for (let lost = 0; lost < heads.length; lost++) expect(latest(heads.filter((_, at) => at !== lost))).toBeUndefined()
  })

  test.each<[string, Partial<ItemsHead> & Record<string, unknown>]>([
    ['that is its own base', { base: 'l' }],
    ['on one that sorts behind it', { base: 'm' }],
    ['of more than it has', { keys: ['a', 'b', 'c', 'd'] }],
    ['with keys that are none', { keys: [1, 2] as never }],
    ['without keys', { keys: undefined as never }],
    ['from before its beginning', { from: -1 }],
    ['from beyond all items', { from: 2 ** 40, count: 2 ** 41 }],
  ])('%s is none', (_, change) => {
    const head = { kind: 'items', list: 'l', from: 0, count: 3, keys: ['a'] }
    expect(checkHead(head, 0)).toEqual(head)
    expect(checkHead({ ...head, ...change }, 0)).toBeUndefined()
  })

  test('that claims four billion items costs nothing', () => {
    expect(latest([{ kind: 'items', list: 'l', from: 2 ** 32 - 3, count: 2 ** 32 - 2, keys: ['a'] }])).toBeUndefined()
  })

  test('of ten thousand on one another is found at once, also when the first is lost', () => {
    const name = (at: number) => String(at).padStart(6, '0')
    const heads = Array.from({ length: 10_000 }, (_, at): ItemsHead => {
      return {
        kind: 'items',
        list: name(at),
        ...(at > 0 ? { base: name(at - 1) } : {}),
        from: at,
        count: at + 1,
        keys: [`${at}`],
      }
    })
    expect(latest(heads)?.keys).toEqual(heads.map((_, at) => `${at}`))
    expect(latest(heads.slice(1))).toBeUndefined()
  })
})

describe.each(FORMS)('a damaged list of items: $format, $compress', (form) => {
  test('any bit flipped, or cut off anywhere: the run is read as it was before, or as the list has it, and the damage is told', async () => {
    const identity = { ...IDENTITY, key: 'function', items: { kind: 'keyed' as const } }
    const store = memoryStore()
    const first = await open(store, { ...form, identity })
    first.record({ fulfilled: [{ indices: Uint32Array.of(0, 1, 2), keys: ['a', 'b', 'c'], values: [1, 2, 3] }], rejected: [] })
    await first.close()
    const second = await open(store, { ...form, identity })
    second.recordItems(['c', 'a'])
    await second.close()
    const read = async () => {
      const keys: string[] = []
      for await (const { index, key } of readResults(store, 'run-1')) keys.push(`${index}${key}`)
      return keys.join()
    }
    expect(await read()).toBe('0c,1a')
    const files = await store.list('run-1/seg/')
    const { key } = files.find((it) => it.key.includes(second.writer)) ?? { key: '' }
    const whole = Buffer.from((await store.get(key)) ?? [])
    for (let at = 0; at < whole.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        await store.put(key, whole.with(at, (whole[at] as number) ^ (1 << bit)), { replace: true })
        const found = await read()
        if (found !== '0c,1a') {
          expect({ at, bit, found }).toEqual({ at, bit, found: '0a,1b,2c' })
          expect((await verifyRun(store, 'run-1')).ok).toBe(false)
        }
      }
      await store.put(key, whole.subarray(0, at), { replace: true })
      expect(['0c,1a', '0a,1b,2c']).toContain(await read())
    }
    // The next session says it again.
    const third = await open(store, { ...form, identity })
    third.recordItems(['c', 'a'])
    await third.close()
    expect(await read()).toBe('0c,1a')
  })
})

test('a run whose items change at their beginning in each session keeps few of their lists', async () => {
  for (const head of [0, 3]) {
    const store = memoryStore()
    const identity = { ...IDENTITY, items: { kind: 'keyed' as const }, key: 'function' }
    const rest = Array.from({ length: 500 }, (_, n) => `key ${n}`)
    const keysOf = (session: number) => [...rest.slice(0, head), `new ${session}`, ...rest.slice(head)]
    for (let at = 0; at < 48; at++) {
      const session = await open(store, { identity, keep: 0 })
      session.recordItems(keysOf(at))
      session.record({ fulfilled: [{ indices: Uint32Array.of(head), keys: [`new ${at}`], values: [at] }], rejected: [] })
      await session.close()
    }
    const sizes = (await store.list('run-1/')).map(({ size }) => size)
    const list = JSON.stringify(rest).length
    expect(sizes.reduce((sum, size) => sum + size, 0) / list).toBeLessThan(22)
    const found: unknown[] = []
    for await (const { index, key } of readResults(store, 'run-1')) found.push([index, key])
    expect(found).toEqual([[head, 'new 47']])
    expect(await verifyRun(store, 'run-1')).toEqual({ ok: true, damaged: [] })
  }
})
