import { execute, memoryStore } from 'pawl'
import { describe, expect, test } from 'vitest'
import { named } from '../fixtures/tasks/noted.mjs'
import { errorOf, interrupt, newPlace } from './place.ts'

interface Named {
  name: string
}
const NAMES = Array.from({ length: 80 }, (_, n) => ({ name: `n${n}` }))
const shout = (items: readonly Named[]) => items.map(({ name }) => `${name}!`)
const KEYED = { key: ({ name }: Named) => name }

describe('execute() with a checkpoint and keys', () => {
  test.each<[string, (items: Named[]) => Named[], number]>([
    ['added at the end', (items) => [...items, { name: 'x' }, { name: 'y' }], 2],
    ['added in front', (items) => [{ name: 'x' }, ...items], 1],
    ['removed', (items) => items.filter((_, at) => at % 3 !== 0), 0],
    ['moved', (items) => items.toReversed(), 0],
    ['added, removed and moved', (items) => [{ name: 'x' }, ...items.slice(10).toReversed(), { name: 'y' }], 2],
  ])('runs only what is new when items are %s', async (_, change, fresh) => {
    const { runs } = newPlace()
    const first = await execute(named, NAMES, { ...KEYED, checkpoint: runs })
    const items = change(NAMES)
    const { runId, results, status, stats } = await execute(named, items, { ...KEYED, checkpoint: runs })
    expect(runId).toBe(first.runId)
    expect(status).toBe('complete')
    expect(results).toEqual(shout(items))
    expect(stats).toMatchObject({ items: items.length, dispatched: fresh, restored: items.length - fresh })
  })

  test('goes on with an interrupted run whose items moved', async () => {
    const { runs, starts } = newPlace()
    const first = await interrupt(named, NAMES, { ...KEYED, checkpoint: runs })
    const items = [...NAMES.slice(40), { name: 'x' }, ...NAMES.slice(0, 40)]
    const { results, stats } = await execute(named, items, { ...KEYED, checkpoint: runs })
    expect(results).toEqual(shout(items))
    expect(stats).toMatchObject({ restored: first.stats.succeeded, dispatched: 81 - first.stats.succeeded })
    expect(starts()).toHaveLength(81)
  })

  test('gives outcomes and failures the index they have now, and their key', async () => {
    const store = memoryStore()
    const task = ({ name }: Named) => {
      if (name === 'n5') throw new Error('n5 is bad')
      return name
    }
    await execute(task, NAMES, { ...KEYED, checkpoint: store, maxFailures: 1 })
    const told = new Map<string, number>()
    const { failures } = await execute(task, NAMES.toReversed(), {
      ...{ ...KEYED, checkpoint: store, maxFailures: 1, retryFailed: false },
      on: { outcome: ({ index, key }) => void told.set(key, index) },
    })
    expect(failures).toMatchObject([{ index: 74, key: 'n5', item: { name: 'n5' }, restored: true }])
    expect([...told].sort((a, b) => a[1] - b[1])).toEqual(NAMES.toReversed().map(({ name }, index) => [name, index]))
  })

  test('refuses two items with one key, both named, before anything runs', async () => {
    const { runs, starts } = newPlace()
    const error = await errorOf(execute(named, [...NAMES, { name: 'n7' }], { ...KEYED, checkpoint: runs }))
    expect(error).toMatchObject({ code: 'ERR_PAWL_INVALID_OPTION', option: 'key' })
    expect(error.message).toMatch(/item 7 .*item 80.*'n7'/)
    expect(starts()).toEqual([])
  })

  test('takes any text for a key', async () => {
    const { runs } = newPlace()
    const names = ['', ' ', '__proto__', 'constructor', '\ud800', 'ü', '\0', '../..', '0', '1', 'a\nb', 'x'.repeat(10_000)].map(
      (name) => ({ name }),
    )
    for (const format of ['msgpack', 'json'] as const) {
      const checkpoint = { store: runs, format }
      const options = { ...KEYED, runId: format, checkpoint }
      await execute(({ name }: Named) => name.length, names, options)
      const { results, stats } = await execute(({ name }: Named) => name.length, names.toReversed(), options)
      expect(stats).toMatchObject({ dispatched: 0, restored: names.length })
      expect(results).toEqual(names.toReversed().map(({ name }) => name.length))
    }
  })
})
