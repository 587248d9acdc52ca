import { createSecretKey } from 'node:crypto'
import { appendFileSync, copyFileSync } from 'node:fs'
import { BlockList } from 'node:net'
import { join } from 'node:path'
import { type CheckpointMismatchError, type ExecuteOptions, execute, memoryStore, type TaskRef } from 'pawl'
import { describe, expect, test } from 'vitest'
import { noted, tripled } from '../fixtures/tasks/noted.mjs'
import { errorOf, interrupt, listenForWarnings, newPlace, range } from './place.ts'

const ITEMS = range(50)
const GIVEN: ExecuteOptions<number> = { runId: 'run', config: { model: 'a' }, seed: 1, shared: { table: [1] } }

interface Change {
  readonly part: string
  readonly task?: TaskRef<number, number>
  readonly items?: number[]
  readonly options?: ExecuteOptions<number>
  /** Both values, as the message shows them; of digests the words for them. */
  readonly shows: readonly string[]
  readonly recorded?: unknown
  readonly given?: unknown
}

const CHANGES: [string, Change][] = [
  ['another task of the module', { part: 'task', task: tripled, shows: ['noted.mjs#noted', 'noted.mjs#tripled'] }],
  ['an inline function', { part: 'task', task: (n) => n * 2, shows: ['noted.mjs#noted', 'inline function'] }],
  ['an item changed', { part: 'items', items: ITEMS.with(7, 700), shows: ['contents of the items'] }],
  ['one item more', { part: 'items', items: range(51), shows: ['50', '51'], recorded: 50, given: 51 }],
  ['items in another order', { part: 'items', items: ITEMS.toReversed(), shows: ['contents of the items'] }],
  [
    'another config',
    {
      part: 'config',
      options: { config: { model: 'b' } },
      shows: ["model: 'a'", "model: 'b'"],
      recorded: { model: 'a' },
      given: { model: 'b' },
    },
  ],
  ['no config', { part: 'config', options: { config: undefined }, shows: ["model: 'a'", 'got none'] }],
  ['another seed', { part: 'seed', options: { seed: 2 }, shows: ['1', '2'], recorded: 1, given: 2 }],
  ['other shared data', { part: 'shared', options: { shared: { table: [2] } }, shows: ["'shared'"] }],
  ['keys', { part: 'key', options: { key: String }, shows: ["'key'", '--key'], recorded: 'index', given: 'function' }],
]

describe('execute() with a checkpoint that belongs to another run', () => {
  test.each(CHANGES)('refuses %s, naming the part, both values and the ways out', async (_, change) => {
    const { runs, starts } = newPlace()
    await interrupt(noted, ITEMS, { ...GIVEN, checkpoint: runs })
    const before = starts().length
    const options = { ...GIVEN, ...change.options, checkpoint: runs }
    const error = (await errorOf(execute(change.task ?? noted, change.items ?? ITEMS, options))) as CheckpointMismatchError
    expect(error).toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_MISMATCH', part: change.part })
    expect(error.recorded).not.toEqual(error.given)
    if ('recorded' in change) expect(error).toMatchObject({ recorded: change.recorded, given: change.given })
    for (const text of [...change.shows, "'run'", "'runId'", '--run-id', "resume: 'fresh'", '--overwrite']) {
      expect(error.message).toContain(text)
    }
    expect(error.message).toMatch(/^Cannot resume run 'run': expected .*, got /)
    expect(starts()).toHaveLength(before)
    // The recorded run is untouched, and both ways out lead out.
    expect((await execute(noted, ITEMS, { ...GIVEN, checkpoint: runs })).stats.restored).toBe(before)
    await execute(change.task ?? noted, change.items ?? ITEMS, { ...options, runId: 'run-2' })
    await execute(change.task ?? noted, change.items ?? ITEMS, { ...options, resume: 'fresh' })
  })

  test('takes a config for the same whatever the order of its members', async () => {
    const { runs } = newPlace()
    await execute(noted, ITEMS, { checkpoint: runs, runId: 'run', config: { a: 1, b: { c: 2, d: 3 } } })
    const again = await execute(noted, ITEMS, { checkpoint: runs, runId: 'run', config: { b: { d: 3, c: 2 }, a: 1 } })
    expect(again.stats.dispatched).toBe(0)
  })

  test.each<[string, ExecuteOptions<number>]>([
    ['workers', { workers: 2 }],
    ['chunkSize', { chunkSize: 3 }],
    ['mode', { mode: 'threads' }],
    ['retry', { retry: 2 }],
    ['timeout', { timeout: 10_000 }],
    ['maxFailures', { maxFailures: 3 }],
    ['shard', { shard: '1/1' }],
  ])('does not mind what results do not depend on: %s', async (_, options) => {
    const { runs } = newPlace()
    const { stats } = await interrupt(noted, ITEMS, { ...GIVEN, checkpoint: runs })
    expect((await execute(noted, ITEMS, { ...GIVEN, ...options, checkpoint: runs })).stats.restored).toBe(stats.succeeded)
  })
})

describe('a run that resumes with a warning', () => {
  test('TASK_CHANGED when the file of the task changed, and goes on', async () => {
    const { runs, directory } = newPlace()
    const module = join(directory, 'task.mjs')
    copyFileSync(join(import.meta.dirname, '../fixtures/tasks/doubling.mjs'), module)
    const { stats } = await interrupt<number, number>(module, ITEMS, { checkpoint: runs })
    appendFileSync(module, '\n// changed\n')
    const { on, warnings } = listenForWarnings()
    const report = await execute<number, number>(module, ITEMS, { checkpoint: runs, on })
    expect(report.stats.restored).toBe(stats.succeeded)
    expect(warnings).toMatchObject([{ code: 'TASK_CHANGED' }])
    for (const text of ['task.mjs', "resume: 'fresh'", '--overwrite', report.runId]) expect(warnings[0]?.message).toContain(text)
    const fresh = listenForWarnings()
    await execute<number, number>(module, ITEMS, { checkpoint: runs, resume: 'fresh', on: fresh.on })
    expect(fresh.warnings).toEqual([])
  })

  test('SIMILAR_RUN when an unfinished run of the same task has other items', async () => {
    const { runs } = newPlace()
    const first = await interrupt(noted, ITEMS, { checkpoint: runs })
    const { on, warnings } = listenForWarnings()
    const report = await execute(noted, range(51), { checkpoint: runs, on })
    expect(report.runId).not.toBe(first.runId)
    expect(warnings).toMatchObject([{ code: 'SIMILAR_RUN' }])
    for (const text of [first.runId, `${first.stats.succeeded} of 50`, 'number of items'])
      expect(warnings[0]?.message).toContain(text)
    // Neither when it goes on, nor when a name was given, nor when all is finished.
    await execute(noted, range(51), { checkpoint: runs, on })
    await execute(noted, range(52), { checkpoint: runs, on, runId: 'named' })
    await execute(noted, ITEMS, { checkpoint: runs, on })
    await execute(noted, range(53), { checkpoint: runs, on })
    expect(warnings).toHaveLength(1)
  })

  test('ITEMS_SAMPLED when the items are too many to be read in full', async () => {
    newPlace()
    const { on, warnings } = listenForWarnings()
    const items = new Float64Array(200_000)
    await execute((n: number) => n, items, { checkpoint: newPlace().runs, on, mode: 'threads' })
    expect(warnings).toMatchObject([{ code: 'ITEMS_SAMPLED' }])
    expect(warnings[0]?.message).toMatch(/200000.*'key'/)
  })
})

describe('items that nothing can tell from others of their kind', () => {
  const task = async (blob: { text?: () => Promise<string> }) => blob.text?.()
  const blobs = () => [new Blob(['one']), new Blob(['two'])]
  const key = createSecretKey(Buffer.from('secret'))
  const KINDS: [string, unknown, string][] = [
    ['a Blob', new Blob(['one']), 'Blob'],
    ['a Blob inside', { deep: [new Map([['blob', new Blob(['one'])]])] }, 'Blob'],
    ['a KeyObject', key, 'SecretKeyObject'],
    ['a BlockList', new BlockList(), 'BlockList'],
  ]

  test.each(KINDS)('need a key: %s', async (_, item, name) => {
    const expected = {
      code: 'ERR_PAWL_INVALID_OPTION',
      option: 'key',
      message: expect.stringContaining(`since item 1 is or holds an object of class '${name}'`),
    }
    const run = (items: Iterable<unknown>) => errorOf(execute(() => 1, items, { checkpoint: memoryStore(), runId: 'run' }))
    expect(await run([0, item, 2])).toMatchObject(expected)
    expect(await run(new Set([0, item, 2]))).toMatchObject(expected)
    expect((await execute(() => 1, [0, item, 2])).results).toEqual([1, 1, 1])
  })

  test('go by it', async () => {
    const checkpoint = memoryStore()
    const run = (keys: string[]) => execute(task, blobs(), { checkpoint, key: (_, index) => keys[index] as string })
    expect((await run(['a', 'b'])).results).toEqual(['one', 'two'])
    const { results, stats } = await run(['c', 'b'])
    expect([results, stats.restored]).toEqual([['one', 'two'], 1])
  })

  test('are no instances of a class without fields', async () => {
    class Empty {}
    const checkpoint = memoryStore()
    const run = () => execute(() => 1, [new Empty(), {}, Object.create(null)], { checkpoint })
    expect((await run()).results).toEqual([1, 1, 1])
    expect((await run()).stats.restored).toBe(3)
  })
})
