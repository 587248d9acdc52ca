import { runInNewContext } from 'node:vm'
import {
  createExecutor,
  execute,
  type Json,
  memoryStore,
  plan,
  type Report,
  type RunOptions,
  stream,
  type TaskContext,
} from 'pawl'
import { describe, expect, test } from 'vitest'
import arithmetic from '../fixtures/tasks/arithmetic.mjs'
import { counted } from '../fixtures/tasks/counted.mjs'
import { sharedCells } from './calls.ts'

const store = memoryStore()

/** Values that cannot be used, by the option the error names. */
const BAD: Record<string, object[]> = {
  workers: [{ workers: 0 }, { workers: 1.5 }, { workers: '2' }, { workers: Number.NaN }, { workers: 5000 }, { workers: null }],
  mode: [{ mode: 'process' }, { mode: '' }, { mode: 'inline', timeout: 5 }, { mode: 'inline', resourceLimits: {} }],
  chunkSize: [{ chunkSize: 0 }, { chunkSize: -1 }, { chunkSize: 'all' }, { chunkSize: 2_000_000 }, { chunkSize: 0.5 }],
  retry: [{ retry: -1 }, { retry: '3' }, { retry: true }, { retry: [] }, { retry: Number.POSITIVE_INFINITY }],
  'retry.retries': [{ retry: { retries: -1 } }, { retry: { retries: 1.5 } }],
  'retry.factor': [{ retry: { factor: 0.5 } }, { retry: { factor: Number.POSITIVE_INFINITY } }],
  'retry.minTimeout': [{ retry: { minTimeout: -1 } }, { retry: { minTimeout: 2000, maxTimeout: 1000 } }],
  'retry.maxTimeout': [{ retry: { maxTimeout: '1s' } }],
  'retry.randomize': [{ retry: { randomize: 1 } }],
  'retry.shouldRetry': [{ retry: { shouldRetry: true } }],
  'retry.budget': [{ retry: { budget: 0 } }, { retry: { budget: 2 } }],
  'retry.attempts': [{ retry: { attempts: 3 } }],
  breaker: [{ breaker: 'on' }, { breaker: 1 }, { breaker: new Set() }],
  'breaker.errorThresholdPercentage': [
    { breaker: { errorThresholdPercentage: 0 } },
    { breaker: { errorThresholdPercentage: 101 } },
  ],
  'breaker.maxOpens': [{ breaker: { maxOpens: 0 } }],
  'breaker.timeout': [{ breaker: { timeout: 5 } }],
  timeout: [{ timeout: 0 }, { timeout: -5 }, { timeout: '30s' }, { timeout: 2 ** 31 }, { timeout: Number.NaN }],
  maxCrashes: [{ maxCrashes: 0 }, { maxCrashes: 1.5 }],
  maxFailures: [{ maxFailures: -1 }, { maxFailures: '5' }, { maxFailures: '101%' }, { maxFailures: '-5%' }, { maxFailures: 0.5 }],
  checkpoint: [{ checkpoint: '' }, { checkpoint: 5 }, { checkpoint: true }],
  'checkpoint.store': [{ checkpoint: {} }, { checkpoint: { format: 'json' } }, { checkpoint: { store: 5 } }],
  'checkpoint.format': [{ checkpoint: { store, format: 'xml' } }],
  'checkpoint.every': [{ checkpoint: { store, every: 0 } }],
  resume: [{ resume: false, checkpoint: store }, { resume: 'fresh' }, { resume: 'require' }],
  retryFailed: [{ retryFailed: 'never', checkpoint: store }, { retryFailed: 'only' }],
  runId: [{ runId: '' }, { runId: '../x' }, { runId: '.hidden' }, { runId: 'a/b' }, { runId: 'x'.repeat(129) }, { runId: 5 }],
  key: [{ key: 'id' }],
  config: [{ config: () => {} }, { config: new Map() }, { config: { n: Number.NaN } }, { config: 1n }],
  shard: [{ shard: '0/3' }, { shard: '4/3' }, { shard: '1' }, { shard: '1/0' }, { shard: 1 }],
  preempt: [{ preempt: 'yes' }, { preempt: true }, { preempt: new Map() }],
  'preempt.aws': [
    { preempt: { aws: { baseUrl: 'https://169.254.169.254' } } },
    { preempt: { aws: { baseUrl: 'ftp://somewhere' } } },
    { preempt: { aws: { baseUrl: 'http://somewhere?path=' } } },
    { preempt: { aws: { baseUrl: new URL('http://somewhere') } } },
    { preempt: { aws: new URL('http://somewhere') } },
  ],
  drainTimeout: [{ drainTimeout: -1 }, { drainTimeout: '1s' }],
  collect: [{ collect: 'no' }, { collect: 1 }],
  seed: [{ seed: 'x' }, { seed: Number.NaN }],
  'resourceLimits.stackSizeMb': [{ resourceLimits: { stackSizeMb: 0.4 } }, { resourceLimits: { stackSizeMb: 1e15 } }],
  'resourceLimits.maxOldGenerationSizeMb': [
    { resourceLimits: { maxOldGenerationSizeMb: 3 } },
    { resourceLimits: { maxOldGenerationSizeMb: Number.POSITIVE_INFINITY } },
  ],
  'resourceLimits.codeRangeSizeMb': [{ resourceLimits: { codeRangeSizeMb: 1e9 } }],
  signal: [{ signal: {} }, { signal: new AbortController() }],
  on: [{ on: 5 }, { on: () => {} }, { on: new Map([['outcome', () => {}]]) }],
  'on.outcome': [{ on: { outcome: 'log' } }],
  'on.done': [{ on: { done: () => {} } }],
  concurrency: [{ concurrency: 2 }],
  Workers: [{ Workers: 2 }],
}

const cases = Object.entries(BAD).flatMap(([option, values]) => values.map((value) => [option, value] as const))

describe('an InvalidOptionError before anything starts', () => {
  test.each(cases)('names %s: %o', async (option, options) => {
    const calls = sharedCells(1)
    const given = { shared: { calls }, ...options } as object
    const expected = { name: 'InvalidOptionError', code: 'ERR_PAWL_INVALID_OPTION', option }
    await expect(execute(counted, [1], given)).rejects.toMatchObject(expected)
    await expect(plan(counted, [1], given)).rejects.toMatchObject(expected)
    await expect(stream(counted, [1], given).report).rejects.toMatchObject(expected)
    expect(() => createExecutor(given)).toThrow(expect.objectContaining(expected))
    expect(calls[0]).toBe(0)
  })

  test('says what was expected and what was given', async () => {
    await expect(execute(arithmetic, [1], { workers: 0 })).rejects.toThrow(
      "Cannot use option 'workers': expected an integer from 1 to 1024, got 0",
    )
    await expect(execute(arithmetic, [1], { parallel: 2 } as object)).rejects.toThrow(/known options \(workers, mode.*got 2$/)
    await expect(execute(arithmetic, [1], { worker: 2 } as object)).rejects.toThrow(/, got 2\. Did you mean 'workers'\?$/)
    await expect(execute(arithmetic, [1], { retry: { retires: 2 } } as object)).rejects.toThrow(/Did you mean 'retries'\?$/)
    await expect(execute(arithmetic, [1], { retries: 2 } as object)).rejects.toThrow(/Did you mean 'retry\.retries'\?$/)
    await expect(execute(arithmetic, [1], { concurrency: 2 } as object)).rejects.toThrow(/Did you mean 'workers'\?$/)
    await expect(execute(arithmetic, [1], { taskTimeout: 2 } as object)).rejects.toThrow(/Did you mean 'timeout'\?$/)
    await expect(execute(arithmetic, [1], { onError: () => {} } as object)).rejects.toThrow(/Did you mean 'on\.outcome'\?$/)
    await expect(execute(arithmetic, [1], { maxFailures: Number.POSITIVE_INFINITY })).rejects.toThrow(
      /'100%' tolerates any failure/,
    )
    await expect(execute(arithmetic, [1], { on: { progess: () => {} } } as object)).rejects.toThrow(/Did you mean 'progress'\?$/)
  })

  class Settings {
    workers = 1
  }
  test.each<[string, unknown, string]>([
    [
      'a number',
      {
        deep: {
          list: [
            [1, 2],
            [3, Number.NaN],
          ],
        },
      },
      'got NaN at config.deep.list[1][1]',
    ],
    ['what an array lacks', { list: [1, , 2] }, 'got undefined at config.list[1]'],
    ['a Map', [{ 'by name': new Map([[1, 2]]), b: undefined }], 'got Map(1) { 1 => 2 } at config[0]["by name"]'],
    ['all of it', 5n, 'got 5n'],
  ])('says where in `config` it is: %s', async (_, config, got) => {
    const expected = "Cannot use option 'config': expected a JSON value of at most 16 Mi characters and 200 levels, "
    const refused = execute(arithmetic, [1], { config: config as Json })
    await expect(refused).rejects.toMatchObject({ option: 'config', message: expected + got })
  })

  test('takes a `config` of 200 levels, and no more', async () => {
    const nested = (levels: number) => JSON.parse('['.repeat(levels) + ']'.repeat(levels))
    expect((await execute(arithmetic, [1], { config: nested(200) })).results).toHaveLength(1)
    const got = ' 200 levels, got [ [ [Array] ] ]'
    await expect(execute(arithmetic, [1], { config: nested(201) })).rejects.toThrow(got)
  })

  test.each<[unknown]>([
    [null],
    [5],
    ['inline'],
    [[]],
    [new Map([['workers', 1]])],
    [new Settings()],
    [Object.create({ workers: 1 })],
  ])('for options that are no plain object: %o', async (options) => {
    const expected = { code: 'ERR_PAWL_INVALID_OPTION', option: 'options' }
    await expect(execute(arithmetic, [1], options as never)).rejects.toMatchObject(expected)
    await using executor = createExecutor()
    await expect(executor.execute(arithmetic, [1], options as never)).rejects.toMatchObject(expected)
  })

  test.each(['an array', 'an iterable'])('for a key function that throws, naming the item: of %s', async (kind) => {
    const cause = new TypeError('no id')
    const key = (item: number) => {
      if (item === 2) throw cause
      return String(item)
    }
    const items = kind === 'an array' ? [1, 2, 3] : new Set([1, 2, 3])
    const message = expect.stringMatching(/also for item 1,.* got 'no id'/)
    const expected = { code: 'ERR_PAWL_INVALID_OPTION', option: 'key', message, cause }
    await expect(execute(arithmetic, items, { key })).rejects.toMatchObject(expected)
  })
})

test('undefined means not given, also inside', async () => {
  const report = await execute(arithmetic, [2, 3], {
    workers: undefined,
    mode: undefined,
    chunkSize: undefined,
    retry: { retries: undefined, factor: undefined, shouldRetry: undefined, budget: undefined },
    breaker: undefined,
    timeout: undefined,
    maxCrashes: undefined,
    maxFailures: undefined,
    checkpoint: undefined,
    resume: undefined,
    retryFailed: undefined,
    runId: undefined,
    key: undefined,
    config: undefined,
    shard: undefined,
    preempt: undefined,
    drainTimeout: undefined,
    collect: undefined,
    seed: undefined,
    shared: undefined,
    resourceLimits: { maxOldGenerationSizeMb: undefined, stackSizeMb: undefined },
    signal: undefined,
    on: { outcome: undefined, progress: undefined },
  })
  expect(report.results).toEqual([4, 9])
})

test.each([
  { retry: Object.create(null) },
  { retry: {} },
  { breaker: {}, retry: 1 },
  { config: { deep: [1, 'a', null, { b: false }] } },
  { config: runInNewContext("({ made: [{ in: 'another realm' }] })") },
  { config: new Proxy({ by: new Proxy(['a state library'], {}) }, {}) },
  { runId: '-_.a'.repeat(32) },
  { maxFailures: '0.5%' as const },
  { drainTimeout: 0 },
  { retry: { retries: 1, maxTimeout: 500 } },
  { retry: { maxTimeout: 0 } },
  { resourceLimits: { maxOldGenerationSizeMb: 64, stackSizeMb: 1 } },
  { shard: '1/1' as const },
  { seed: -5 },
  { chunkSize: 1_000_000 },
])('values at the bounds are taken: %o', async (options) => {
  await expect(execute(arithmetic, [2], options)).resolves.toMatchObject({ results: [4] })
})

describe('options are taken as they are at the call', () => {
  test('what lies in `config`, too', async () => {
    const checkpoint = memoryStore()
    const config = { model: 'a' }
    const run = execute(arithmetic, [1], { runId: 'run', checkpoint, config })
    config.model = 'b'
    await run
    const again = execute(arithmetic, [1], { runId: 'run', checkpoint, config: { model: 'a' } })
    await expect(again).resolves.toMatchObject({ stats: { restored: 1 } })
  })

  test('what lies in the options that are made of others, too', async () => {
    const heard: string[] = []
    const hear = (name: string) => ({ outcome: () => heard.push(name) })
    const defaults = { mode: 'threads' as const, on: hear('first'), retry: { retries: 1 }, checkpoint: { store, every: 5 } }
    const own = { on: hear('own'), resourceLimits: { stackSizeMb: 4 }, preempt: { signals: false } }
    await using executor = createExecutor(defaults)
    const run = execute(arithmetic, [1], own)
    Object.assign(own.on, hear('later'))
    Object.assign(own.resourceLimits, { stackSizeMb: -1 })
    Object.assign(own.preempt, { signals: 5 })
    Object.assign(defaults.on, hear('later'))
    Object.assign(defaults.retry, { retries: -1 })
    Object.assign(defaults.checkpoint, { every: -1 })
    await Promise.all([run, executor.execute(arithmetic, [1])])
    expect(heard.sort()).toEqual(['first', 'own'])
  })

  const tell = (_: number, { shared, runId, random }: TaskContext<string>) => [shared, runId, random()]

  /** Starts a run with each of two lots of options, that are one object; gives what the items of each were told. */
  async function startTwice(start: (options: RunOptions<number>) => Promise<Report<unknown>>) {
    const retry = { retries: 1 }
    const options: { runId: string; shared: string; seed: number; retry: typeof retry } = {
      ...{ runId: 'first', shared: 'one', seed: 1, retry },
    }
    const first = start(options)
    Object.assign(options, { runId: 'second', shared: 'two', seed: 2 })
    retry.retries = -1
    const second = start({ ...options, retry: { retries: 0 } })
    return (await Promise.all([first, second])).map(({ results }) => results[0] as unknown[])
  }

  test.each<[string, (options: RunOptions<number>) => Promise<Report<unknown>>]>([
    ['execute', (options) => execute(tell, [0], options)],
    ['stream', (options) => stream(tell, [0], options).report],
  ])('of %s', async (_, start) => {
    const [first, second] = await startTwice(start)
    expect([first?.slice(0, 2), second?.slice(0, 2)]).toEqual([
      ['one', 'first'],
      ['two', 'second'],
    ])
    expect(first?.[2]).not.toBe(second?.[2])
  })

  test('of createExecutor', async () => {
    const defaults = { workers: 1, shared: 'one' }
    await using executor = createExecutor(defaults)
    Object.assign(defaults, { workers: 0, shared: 'two' })
    const [first, second] = await startTwice(({ shared, ...options }) => executor.execute(tell, [0], options))
    expect([first?.slice(0, 2), second?.slice(0, 2)]).toEqual([
      ['one', 'first'],
      ['one', 'second'],
    ])
  })
})
