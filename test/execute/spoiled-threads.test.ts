import { execute, memoryStore } from 'pawl'
import { describe, expect, test } from 'vitest'
import { names } from '../fixtures/tasks/spoiling.mjs'
import { range, sharedCells } from './calls.ts'

describe('a thread that a task spoiled', () => {
  test.each(names)('gives way to another, and nothing is lost: %s', async (name) => {
    const report = await execute<number, number>(new URL('../fixtures/tasks/spoiling.mjs', import.meta.url), range(60), {
      ...{ mode: 'threads', workers: 1, chunkSize: 7 },
      shared: { name, tried: sharedCells(1) },
    })
    expect(report.results).toEqual(range(60).map((n) => n * 2))
  })

  test.each(names)('loses nothing on record either: %s', async (name) => {
    const report = await execute<number, number>(new URL('../fixtures/tasks/spoiling.mjs', import.meta.url), range(60), {
      ...{ mode: 'threads', workers: 2, checkpoint: { store: memoryStore(), format: 'json' } },
      shared: { name, tried: sharedCells(1) },
    })
    expect(report.results).toEqual(range(60).map((n) => n * 2))
  })

  test('ends the run with a sentence when it is spoiled as the task is loaded', async () => {
    const task = new URL('../fixtures/tasks/spoils-on-import.mjs', import.meta.url)
    await expect(execute(task, range(20), { mode: 'threads', workers: 2 })).rejects.toMatchObject({
      code: 'ERR_PAWL_TASK_LOAD',
      message: expect.stringContaining('the worker ran none of the items it was given'),
    })
  })
})
