import { execute } from 'pawl'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { named, noted } from '../fixtures/tasks/noted.mjs'
import { errorOf, interrupt, newPlace, range } from './place.ts'

const ITEMS = range(120)
const DOUBLED = ITEMS.map((n) => n * 2)
const OPTIONS = { runId: 'run' }

describe('execute() with shards into one run', () => {
  test('two of two, then a run without shard dispatches nothing', async () => {
    const { runs, starts } = newPlace()
    const [one, two] = [
      await execute(noted, ITEMS, { ...OPTIONS, checkpoint: runs, shard: '1/2' }),
      await execute(noted, ITEMS, { ...OPTIONS, checkpoint: runs, shard: '2/2' }),
    ]
    expect([one.status, two.status]).toEqual(['complete', 'complete'])
    expect(one.stats.items + two.stats.items).toBe(120)
    expect(ITEMS.map((index) => one.results[index] ?? two.results[index])).toEqual(DOUBLED)
    const whole = await execute(noted, ITEMS, { ...OPTIONS, checkpoint: runs })
    expect(whole).toMatchObject({ status: 'complete', results: DOUBLED, stats: { items: 120, restored: 120, dispatched: 0 } })
    expect(starts().sort((a, b) => a - b)).toEqual(ITEMS)
  })

  test('at once', async () => {
    const { runs, starts } = newPlace()
    const shards = ['1/3', '2/3', '3/3'] as const
    const reports = await Promise.all(
      shards.map((shard) => execute(noted, ITEMS, { ...OPTIONS, checkpoint: runs, shard, workers: 1 })),
    )
    expect(reports.map(({ status }) => status)).toEqual(['complete', 'complete', 'complete'])
    expect(starts().sort((a, b) => a - b)).toEqual(ITEMS)
    const whole = await execute(noted, ITEMS, { ...OPTIONS, checkpoint: runs })
    expect(whole).toMatchObject({ results: DOUBLED, stats: { dispatched: 0, conflicts: 0, damaged: 0 } })
  })

  test('whose count changes between sessions', async () => {
    const { runs, starts } = newPlace()
    await execute(noted, ITEMS, { ...OPTIONS, checkpoint: runs, shard: '1/2' })
    const settled = starts().length
    let restored = 0
    for (const shard of ['1/3', '2/3', '3/3'] as const) {
      const { stats, status } = await execute(noted, ITEMS, { ...OPTIONS, checkpoint: runs, shard })
      expect(status).toBe('complete')
      expect(stats.restored + stats.dispatched).toBe(stats.items)
      restored += stats.restored
    }
    expect(restored).toBe(settled)
    expect(starts().sort((a, b) => a - b)).toEqual(ITEMS)
  })

  test('an interrupted one resumes by itself', async () => {
    const { runs } = newPlace()
    const first = await interrupt(noted, ITEMS, { ...OPTIONS, checkpoint: runs, shard: '1/2' }, 10)
    const second = await execute(noted, ITEMS, { ...OPTIONS, checkpoint: runs, shard: '1/2' })
    expect(second).toMatchObject({ status: 'complete', stats: { restored: first.stats.succeeded } })
  })

  test('of keyed items and of iterables', async () => {
    const { runs } = newPlace()
    const names = ITEMS.map((n) => ({ name: `n${n}` }))
    const keyed = { runId: 'keyed', checkpoint: runs, key: ({ name }: { name: string }) => name }
    for (const shard of ['1/2', '2/2'] as const) await execute(named, names, { ...keyed, shard })
    expect(await execute(named, names.toReversed(), keyed)).toMatchObject({ stats: { dispatched: 0, restored: 120 } })
    const pulled = { runId: 'pulled', checkpoint: runs }
    for (const shard of ['1/2', '2/2'] as const) {
      const { stats, status } = await execute(noted, ITEMS.values(), { ...pulled, shard })
      expect(status).toBe('complete')
      expect(stats.items).toBeGreaterThan(40)
      expect(stats.items).toBeLessThan(80)
    }
    const whole = await execute(noted, ITEMS.values(), pulled)
    expect(whole).toMatchObject({ results: DOUBLED, stats: { dispatched: 0, restored: 120 } })
  })
})

describe("execute() with shard: 'auto'", () => {
  afterEach(() => vi.unstubAllEnvs())

  test.each<[string, Record<string, string>, '2/3']>([
    ['Kubernetes', { JOB_COMPLETION_INDEX: '1', PAWL_SHARD_COUNT: '3' }, '2/3'],
    ['AWS Batch', { AWS_BATCH_JOB_ARRAY_INDEX: '1', AWS_BATCH_JOB_ARRAY_SIZE: '3' }, '2/3'],
    [
      'SLURM',
      { SLURM_ARRAY_TASK_ID: '11', SLURM_ARRAY_TASK_MIN: '1', SLURM_ARRAY_TASK_STEP: '10', SLURM_ARRAY_TASK_COUNT: '3' },
      '2/3',
    ],
  ])('takes its part from the variables of %s', async (_, env, shard) => {
    const { runs } = newPlace()
    const { stats } = await execute(noted, ITEMS, { ...OPTIONS, checkpoint: runs, shard })
    for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value)
    const auto = await execute(noted, ITEMS, { ...OPTIONS, checkpoint: runs, shard: 'auto' })
    expect(auto.stats).toMatchObject({ items: stats.items, restored: stats.items, dispatched: 0 })
  })

  test('is refused where no scheduler says which part this is', async () => {
    const error = await errorOf(execute(noted, ITEMS, { shard: 'auto' }))
    expect(error).toMatchObject({ code: 'ERR_PAWL_INVALID_OPTION', option: 'shard' })
    expect(error.message).toContain('JOB_COMPLETION_INDEX')
  })
})
