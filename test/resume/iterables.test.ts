import { setTimeout } from 'node:timers/promises'
import { type CheckpointMismatchError, execute, memoryStore } from 'pawl'
import { describe, expect, test } from 'vitest'
import { named, noted } from '../fixtures/tasks/noted.mjs'
import { errorOf, interrupt, newPlace, range } from './place.ts'

const COUNT = 3500
const OPTIONS = { runId: 'run', workers: 1, chunkSize: 50 }

/** The numbers from 0, each `change`d. */
function* generate(count = COUNT, change = (n: number) => n): Generator<number> {
  for (let n = 0; n < count; n++) yield change(n)
}

async function* generateLater(count = COUNT): AsyncGenerator<number> {
  for (let n = 0; n < count; n++) {
    if (n % 97 === 0) await new Promise((resolve) => setImmediate(resolve))
    yield n
  }
}

const SOURCES: [string, () => Iterable<number> | AsyncIterable<number>][] = [
  ['a generator', () => generate()],
  ['an async generator', () => generateLater()],
  ['a Set', () => new Set(range(COUNT))],
]

describe('execute() with a checkpoint and an iterable', () => {
  test.each(SOURCES)('resumes %s, pulled again from its start', async (_, source) => {
    const { runs, starts } = newPlace()
    const first = await interrupt(noted, source(), { ...OPTIONS, checkpoint: runs }, 1200)
    const second = await interrupt(noted, source(), { ...OPTIONS, checkpoint: runs }, 500)
    expect(second.stats.restored).toBe(first.stats.succeeded)
    const third = await execute(noted, source(), { ...OPTIONS, checkpoint: runs })
    expect(third).toMatchObject({ status: 'complete', stats: { items: COUNT, restored: second.stats.succeeded } })
    expect(third.results).toEqual(range(COUNT).map((n) => n * 2))
    expect(starts().sort((a, b) => a - b)).toEqual(range(COUNT))
    const last = await execute(noted, source(), { ...OPTIONS, checkpoint: runs })
    expect(last).toMatchObject({ status: 'complete', stats: { items: COUNT, restored: COUNT, dispatched: 0 } })
    expect(last.results).toEqual(third.results)
  })

  test('must be given a runId, since nothing else names the run', async () => {
    const { runs, starts } = newPlace()
    const error = await errorOf(execute(noted, generate(), { checkpoint: runs }))
    expect(error).toMatchObject({ code: 'ERR_PAWL_INVALID_OPTION', option: 'runId' })
    expect(starts()).toEqual([])
  })

  test('refuses a source that gives other items than before, in the middle of the run', async () => {
    const { runs, starts } = newPlace()
    const first = await interrupt(noted, generate(), { ...OPTIONS, checkpoint: runs }, 2500)
    expect(first.stats.succeeded).toBeGreaterThanOrEqual(2500)
    const changed = () => generate(COUNT, (n) => (n === 1500 ? -1 : n))
    const error = (await errorOf(execute(noted, changed(), { ...OPTIONS, checkpoint: runs }))) as CheckpointMismatchError
    expect(error).toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_MISMATCH', part: 'items' })
    for (const text of ['items 1000 to 1999', "'runId'", "resume: 'fresh'"]) expect(error.message).toContain(text)
    expect(error.report).toMatchObject({ runId: 'run', status: 'partial' })
    // Nothing wrong was recorded: with the right items it goes on.
    const { results, stats } = await execute(noted, generate(), { ...OPTIONS, checkpoint: runs })
    expect(results).toEqual(range(COUNT).map((n) => n * 2))
    expect(stats.restored).toBeGreaterThanOrEqual(first.stats.succeeded)
    expect(starts().filter((index) => index === 1500)).toHaveLength(1)
  })

  test('records nothing of a changed item before it is found to be changed', async () => {
    const { runs, spoil, heal, starts } = newPlace()
    spoil(1500)
    const options = { ...OPTIONS, chunkSize: 1, maxFailures: 1, checkpoint: { store: runs, every: 1 } }
    await execute(noted, generate(2000), options)
    heal(1500)
    // Time for the item to run, if it were given out.
    const changed = async function* () {
      for (const n of range(2000)) {
        for (let turns = 0; n === 1501 && starts().length === 2000 && turns < 200; turns++) await setTimeout(2)
        yield n === 1500 ? -1 : n
      }
    }
    expect(await errorOf(execute(noted, changed(), options))).toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_MISMATCH' })
    const { results, stats } = await execute(noted, generate(2000), options)
    expect(results[1500]).toBe(3000)
    expect(stats).toMatchObject({ restored: 1999, dispatched: 1 })
    expect(starts()).toHaveLength(2001)
  })

  test.each([
    ['fewer', COUNT - 1],
    ['more', COUNT + 1],
    ['none', 0],
  ])('refuses a source that ended and now gives %s', async (_, count) => {
    const { runs } = newPlace()
    await execute(noted, generate(), { ...OPTIONS, checkpoint: runs })
    const error = await errorOf(execute(noted, generate(count), { ...OPTIONS, checkpoint: runs }))
    expect(error).toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_MISMATCH', part: 'items' })
  })

  test('refuses an array where it was an iterable', async () => {
    const { runs } = newPlace()
    await execute(noted, generate(10), { ...OPTIONS, checkpoint: runs })
    const error = await errorOf(execute(noted, range(10), { ...OPTIONS, checkpoint: runs }))
    expect(error).toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_MISMATCH', part: 'items', recorded: 'iterable', given: 'array' })
  })

  test('keeps failures with their items, which come from the source again', async () => {
    const { runs, spoil } = newPlace()
    spoil(3, 1007)
    const tolerant = { ...OPTIONS, maxFailures: 2, checkpoint: runs }
    await execute(noted, generate(1200), tolerant)
    const { failures, stats } = await execute(noted, generate(1200), { ...tolerant, retryFailed: false })
    expect(failures).toMatchObject([
      { index: 3, item: 3, restored: true },
      { index: 1007, item: 1007, restored: true },
    ])
    expect(stats).toMatchObject({ restored: 1200, dispatched: 0, failed: 2 })
  })
})

describe('execute() with failures on record whose items JSON cannot hold', () => {
  const task = ({ n }: { n: bigint }) => {
    if (n === 5n || n === 1500n || n === 2400n) throw new Error(`no ${n}`)
    return Number(n)
  }
  let pulled = 0
  function* generateBig(count: number) {
    for (pulled = 0; pulled < count; pulled++) yield { n: BigInt(pulled) }
  }
  async function failThree(count: number) {
    const options = { runId: 'run', checkpoint: { store: memoryStore(), format: 'json' as const }, chunkSize: 100 }
    const { stats } = await interrupt(task, generateBig(count), { ...options, maxFailures: 3 }, 2600)
    expect(stats.failed).toBe(3)
    return { stats, options: { ...options, retryFailed: false, maxFailures: 1 } }
  }

  test('has them from the source, which is read as far as they are, when they are more than tolerated', async () => {
    const { stats, options } = await failThree(10_000)
    const error = await errorOf(execute(task, generateBig(10_000), options))
    expect(error).toMatchObject({ code: 'ERR_PAWL_RUN_FAILED', report: { status: 'partial' } })
    expect(error.report?.failures.map(({ item }) => item)).toEqual([{ n: 5n }, { n: 1500n }, { n: 2400n }])
    expect(error.report?.stats).toMatchObject({ restored: stats.succeeded + stats.failed, dispatched: 0 })
    expect(pulled).toBeLessThan(10_000)
  })

  test('does without those that the source does not give before somebody wants the run to end', async () => {
    const { options } = await failThree(10_000)
    const abort = new AbortController()
    async function* stuck() {
      yield* generateBig(1000)
      abort.abort(new Error('enough'))
      await new Promise(() => {})
    }
    const error = await errorOf(execute(task, stuck(), { ...options, signal: abort.signal }))
    expect(error).toMatchObject({ code: 'ERR_PAWL_RUN_FAILED', report: { stats: { failed: 3 } } })
    expect(error.report?.failures.map(({ item }) => item)).toEqual([{ n: 5n }, undefined, undefined])
  })

  test('ends in what is wrong with the source', async () => {
    const { options } = await failThree(10_000)
    const error = await errorOf(execute(task, generateBig(2000), options))
    expect(error).toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_MISMATCH', part: 'items' })
  })
})

describe('execute() with a checkpoint and keys of an iterable', () => {
  const NAMES = Array.from({ length: 300 }, (_, n) => ({ name: `n${n}` }))
  const KEYED = { ...OPTIONS, key: ({ name }: { name: string }) => name }
  const shout = (items: { name: string }[]) => items.map(({ name }) => `${name}!`)

  test('finds what settled, wherever it moved', async () => {
    const { runs } = newPlace()
    const first = await interrupt(named, NAMES.values(), { ...KEYED, checkpoint: runs }, 100)
    const moved = [{ name: 'new' }, ...NAMES.toReversed()]
    const second = await execute(named, moved.values(), { ...KEYED, checkpoint: runs })
    expect(second.results).toEqual(shout(moved))
    expect(second.stats).toMatchObject({ restored: first.stats.succeeded, dispatched: 301 - first.stats.succeeded, items: 301 })
    const third = await execute(named, NAMES.slice(7).values(), { ...KEYED, checkpoint: runs })
    expect(third.results).toEqual(shout(NAMES.slice(7)))
    expect(third).toMatchObject({ status: 'complete', stats: { dispatched: 0, restored: 293 } })
  })
})
