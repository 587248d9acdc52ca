import { execute } from 'pawl'
import { describe, expect, test } from 'vitest'

/** Values that throw when they are looked at. Each used to hang a run on threads. */
describe.each(['threads', 'inline'] as const)('execute() with mode %s', (mode) => {
  test.each([[new Error('g')], [undefined]])('fails an item alone whose getter throws %s', async (thrown) => {
    const hostile = {
      get a(): number {
        throw thrown
      },
    }
    const { results, failures } = await execute((item: { a: number }) => item.a, [hostile, { a: 2 }], { mode, maxFailures: 1 })
    expect(results[1]).toBe(2)
    expect(failures.map(({ index, kind }) => [index, kind])).toEqual([[0, 'serialization']])
  })

  test('gives a verdict on an item whose getter throws every other time, and not on others', async () => {
    let looks = 0
    const fickle = {
      get a(): number {
        if (looks++ % 2 === 0) throw new Error('not now')
        return 1
      },
    }
    const items = [{ a: 0 }, fickle, { a: 2 }]
    const { results, failures } = await execute((item) => item.a, items, { mode, maxFailures: 1, chunkSize: 3 })
    expect([results[0], results[2]]).toEqual([0, 2])
    expect(results[1] === 1 || failures[0]?.kind === 'serialization').toBe(true)
  })

  test.each([
    ['an object that cannot be shown', "({ [Symbol.for('nodejs.util.inspect.custom')]() { throw new Error('i') } })"],
    ['a proxy that lets nobody look', '(new Proxy({}, { get() { throw 1 } }))'],
  ])('settles an item that throws %s', async (_, source) => {
    const task = new Function('item', `if (item === 1) throw ${source}; return item`) as (item: number) => number
    const { results, failures } = await execute(task, [1, 2], { mode, maxFailures: 1 })
    expect(results[1]).toBe(2)
    expect(failures.map(({ index, kind, reason }) => [index, kind, reason instanceof Error])).toEqual([[0, 'error', true]])
  })
})

test('execute() loses no thread to items that cannot be sent', async () => {
  const fickle = () => {
    let looks = 0
    return {
      get a(): number {
        if (looks++ % 2 === 0) throw new Error('not now')
        return 1
      },
    }
  }
  const items = Array.from({ length: 64 }, (_, a) => (a % 8 === 0 ? fickle() : { a }))
  const exits: unknown[] = []
  const on = { workerExit: (exit: unknown) => void exits.push(exit) }
  const options = { mode: 'threads', workers: 1, maxFailures: 8, chunkSize: 16, on } as const
  const { stats } = await execute((item) => item.a, items, options)
  expect(exits).toEqual([])
  expect(stats.succeeded).toBeGreaterThanOrEqual(56)
})
