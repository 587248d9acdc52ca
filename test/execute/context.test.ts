import { execute } from 'pawl'
import { describe, expect, test } from 'vitest'
import arithmetic from '../fixtures/tasks/arithmetic.mjs'
import { counted, tell } from '../fixtures/tasks/counted.mjs'
import { limited } from '../fixtures/tasks/recursive.mjs'
import { range, sharedCells } from './calls.ts'

type Told = {
  item: number
  index: number
  key: string
  attempt: number
  runId: string
  shared: any
  numbers: number[]
  threadId: number
}

const MODES = ['threads', 'inline'] as const

describe('context', () => {
  test.each(MODES)('says index, key, attempt and run: %s', async (mode) => {
    const report = await execute(tell, ['a', 'b', 'c'], {
      mode,
      runId: 'my-run',
      key: (letter) => `key-${letter}`,
      shared: { n: 5 },
    })
    expect(report.runId).toBe('my-run')
    expect(report.results).toMatchObject([
      { item: 'a', index: 0, key: 'key-a', attempt: 1, runId: 'my-run', shared: { n: 5 } },
      { item: 'b', index: 1, key: 'key-b', attempt: 1, runId: 'my-run', shared: { n: 5 } },
      { item: 'c', index: 2, key: 'key-c', attempt: 1, runId: 'my-run', shared: { n: 5 } },
    ])
    const [first] = (await execute(tell, ['a'], { mode })).results as Told[]
    expect(first).toMatchObject({ key: '0', shared: undefined })
    expect(first?.runId).toMatch(/^[\w-][\w.-]{0,127}$/)
  })

  test('random() gives the same numbers however the run was cut, and others for other keys and seeds', async () => {
    const numbersOf = async (options: object) => {
      const { results } = await execute(tell, range(20), { key: (n) => `k${n}`, ...options })
      return (results as Told[]).map((it) => it.numbers)
    }
    const [first, ...others] = await Promise.all([
      numbersOf({ mode: 'inline' }),
      numbersOf({ mode: 'threads', workers: 2, chunkSize: 1 }),
      numbersOf({ mode: 'threads', workers: 1, chunkSize: 20 }),
    ])
    for (const other of others) expect(other).toEqual(first)
    expect(new Set(first?.flat()).size).toBe(60)
    expect(first?.flat().every((it) => it >= 0 && it < 1)).toBe(true)
    expect(await numbersOf({ seed: 1 })).not.toEqual(first)
  })

  test('random() gives the same numbers on every attempt, also taken out of its context', async () => {
    const rolled = (_n: number, { attempt, random }: { attempt: number; random: () => number }) => {
      const number = random()
      if (attempt < 3) throw Object.assign(new Error('again'), { number })
      return number
    }
    const seen: number[] = []
    const on = { retry: ({ error }: { error: Error }) => void seen.push((error as Error & { number: number }).number) }
    const { results } = await execute(rolled, [1], { retry: { retries: 2, minTimeout: 0 }, on })
    expect(seen).toEqual([results[0], results[0]])
  })
})

describe('shared', () => {
  test.each(MODES)('is cloned, not handed over: %s', async (mode) => {
    const shared = { list: ['given'] }
    const task = (_n: number, context: { shared: { list: string[] } }) => context.shared.list.push('changed')
    const { results } = await execute(task, range(5), { mode, workers: 1, chunkSize: 5, shared })
    expect(results).toEqual([2, 3, 4, 5, 6])
    expect(shared.list).toEqual(['given'])
  })

  test('is sent once per worker, not once per item', async () => {
    let reads = 0
    const shared = {
      get heavy() {
        reads++
        return 'weight'
      },
    }
    const { results } = await execute(tell, range(500), { mode: 'threads', workers: 2, chunkSize: 5, shared })
    expect((results as Told[]).every((it) => it.shared.heavy === 'weight')).toBe(true)
    expect(reads).toBeLessThanOrEqual(2)
    expect(reads).toBeGreaterThanOrEqual(1)
  })

  test.each(MODES)('that cannot be cloned is an InvalidOptionError: %s', async (mode) => {
    const run = execute(arithmetic, [1, 2, 3], { mode, shared: { callback: () => {} } })
    await expect(run).rejects.toMatchObject({ code: 'ERR_PAWL_INVALID_OPTION', option: 'shared' })
  })
})

describe('key', () => {
  test('that two items have is refused, both named, before anything runs', async () => {
    const calls = sharedCells(4)
    const run = execute(counted, [5, 6, 7, 6], { key: String, shared: { calls } })
    await expect(run).rejects.toMatchObject({ code: 'ERR_PAWL_INVALID_OPTION', option: 'key' })
    await expect(run).rejects.toThrow(/item 1 and item 3.*'6'/)
    expect([...calls]).toEqual([0, 0, 0, 0])
  })

  test('of an iterable is checked as it is pulled', async () => {
    const run = execute(
      counted,
      new Map([
        ['a', 5],
        ['b', 6],
        ['c', 5],
      ]).values(),
      { key: String, shared: { calls: sharedCells(3) } },
    )
    await expect(run).rejects.toMatchObject({ code: 'ERR_PAWL_INVALID_OPTION', option: 'key' })
    await expect(run).rejects.toThrow(/item 0 and item 2/)
  })

  test.each([[5], [undefined], [null]])('that gives no string but %s is refused', async (key) => {
    const run = execute(arithmetic, [1], { key: () => key as never })
    await expect(run).rejects.toMatchObject({ code: 'ERR_PAWL_INVALID_OPTION', option: 'key' })
  })

  test('that throws ends the run with its error', async () => {
    const key = () => {
      throw new Error('no key')
    }
    await expect(execute(arithmetic, [1], { key })).rejects.toThrow('no key')
    await expect(execute(arithmetic, new Set([1]), { key })).rejects.toThrow(/no key/)
  })
})

describe('execute() inside a task', () => {
  test('runs inline, and with workers on threads of its own', async () => {
    const report = await execute(new URL('../fixtures/tasks/nested.mjs', import.meta.url), [3, 4], {
      mode: 'threads',
      workers: 1,
    })
    expect(report.results).toEqual([
      { mode: 'inline', results: [0, 1, 4] },
      { mode: 'threads', results: [0, 1, 4, 9] },
    ])
  })

  test('with a timeout needs workers, and says so', async () => {
    const { results } = await execute(limited, [1, undefined], { mode: 'threads', workers: 1 })
    expect(results).toEqual([5, expect.stringMatching(/^Cannot use option 'timeout': expected 'workers' .*, got 20000$/)])
  })
})
