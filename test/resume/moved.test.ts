import fc from 'fast-check'
import {
  type ExecuteOptions,
  execute,
  fileStore,
  inspectRun,
  listRuns,
  memoryStore,
  type Outcome,
  type RunAbortedError,
  readResults,
  type Store,
  verifyRun,
} from 'pawl'
import { describe, expect, test } from 'vitest'
import { interrupt, listenForWarnings, newPlace, read } from './place.ts'

const NAMES = Array.from({ length: 40 }, (_, n) => `n${n}`)
const OPTIONS = { runId: 'run', key: (name: string) => name, mode: 'inline' } as const
const shout = (name: string) => `${name}!`

const readRun = (store: Store | string) => read(readResults(store, 'run'))

/** What `readResults` is to give of a run of `names` that is complete. */
const whole = (names: readonly string[]) =>
  names.map((name, index) => ({ index, key: name, attempts: 1, restored: true, status: 'fulfilled', value: `${name}!` }))

describe('a keyed run whose items come, go and move', () => {
  const changes: [string, (names: string[]) => string[]][] = [
    ['moved', (names) => names.toReversed()],
    ['removed from the front', (names) => names.slice(7)],
    ['removed from the end', (names) => names.slice(0, -7)],
    ['removed, all of them', () => []],
    ['added in front', (names) => ['x', ...names]],
    ['added at the end', (names) => [...names, 'x']],
    ['replaced', (names) => names.with(3, 'x')],
    ['added, removed and moved', (names) => ['x', ...names.slice(10).toReversed(), 'y']],
  ]
  const forms = (['msgpack', 'json'] as const).flatMap((format) => changes.map((change) => [format, ...change] as const))
  test.each(forms)('is read as its last session has it, in %s, when items are %s', async (format, _, change) => {
    const { runs } = newPlace()
    const options = { ...OPTIONS, checkpoint: { store: runs, format } }
    await execute(shout, NAMES, options)
    const names = change(NAMES)
    const { results } = await execute(shout, names, options)
    expect(results).toEqual(names.map(shout))
    expect(await readRun(runs)).toEqual(whole(names))
    expect(await listRuns(runs)).toMatchObject([{ status: 'complete', done: names.length, total: names.length, failures: 0 }])
    expect(await inspectRun(runs, 'run')).toMatchObject({ done: names.length, total: names.length, damaged: 0 })
    expect(await verifyRun(runs, 'run')).toEqual({ ok: true, damaged: [] })
    // What was removed is hidden, not lost.
    const { stats } = await execute(shout, [...NAMES, ...names.filter((name) => !NAMES.includes(name))], options)
    expect(stats).toMatchObject({ dispatched: 0 })
    expect((await readRun(runs)).slice(0, NAMES.length)).toEqual(whole(NAMES))
  })

  test('is read so while it is unfinished, and what is recorded by now is counted as it has it', async () => {
    const store = memoryStore()
    await execute(shout, NAMES, { ...OPTIONS, checkpoint: store })
    const names = ['x', 'y', 'z', ...NAMES.slice(10)]
    const counts: number[] = []
    const report = await interrupt(
      shout,
      names,
      {
        ...{ ...OPTIONS, checkpoint: { store, every: 1 } },
        on: { afterCheckpoint: ({ recorded }) => void counts.push(recorded) },
      },
      1,
    )
    expect((await readRun(store)).map(({ index, key }) => [index, key])).toEqual(
      names.map((name, index) => [index, name]).filter(([index]) => (index as number) in report.results),
    )
    expect(counts[0]).toBeGreaterThan(30)
    expect(counts.at(-1)).toBe(30 + report.stats.succeeded - report.stats.restored)
    expect(await listRuns(store)).toMatchObject([{ status: 'partial', done: counts.at(-1), total: 33 }])
  })

  test('keeps failures in place, and those of removed items to itself', async () => {
    const store = memoryStore()
    const task = (name: string) => {
      if (name === 'n5' || name === 'n6') throw new Error(`${name} is bad`)
      return name
    }
    const options = { ...OPTIONS, checkpoint: store, maxFailures: 2 }
    await execute(task, NAMES, options)
    for (const retryFailed of [true, false, 'only'] as const) {
      const names = retryFailed === false ? NAMES.slice(6) : NAMES.slice(6).toReversed()
      const { failures } = await execute(task, names, { ...options, retryFailed })
      expect(failures).toMatchObject([{ index: names.indexOf('n6'), key: 'n6' }])
      const rejected = (await readRun(store)).filter(({ status }) => status === 'rejected')
      expect(rejected).toMatchObject([{ index: names.indexOf('n6'), key: 'n6' }])
      expect(await listRuns(store)).toMatchObject([{ status: 'complete', done: 34, total: 34, failures: 1 }])
    }
  })

  test('is no unfinished run to be told of by SIMILAR_RUN when all its items have settled', async () => {
    const store = memoryStore()
    const { runId: _, ...derived } = OPTIONS
    await execute(shout, NAMES, { ...derived, checkpoint: store })
    await execute(shout, NAMES.slice(3), { ...derived, checkpoint: store })
    const { on, warnings } = listenForWarnings()
    await execute(shout, NAMES, { checkpoint: store, mode: 'inline', on })
    expect(warnings).toEqual([])
  })

  test('has a list of its items written when they moved, and nothing of it otherwise', async () => {
    const { runs } = newPlace()
    const store = fileStore(runs)
    const options = { ...OPTIONS, checkpoint: { store, format: 'json' as const } }
    const listsOf = async () => {
      let lists = 0
      for (const { key } of await store.list('run/seg/'))
        lists +=
          Buffer.from((await store.get(key)) ?? [])
            .toString()
            .split('"items":{').length - 1
      return lists
    }
    const versions = async () =>
      Promise.all(
        (await store.list('run/seg/')).map(async ({ key }) =>
          /"pawl":(\d)/.exec(String(Buffer.from((await store.get(key)) ?? []))),
        ),
      ).then((found) => found.map((it) => it?.[1]))
    await execute(shout, NAMES, options)
    await execute(shout, NAMES, options)
    await execute(shout, [...NAMES, 'x'], options)
    expect(await listsOf()).toBe(0)
    expect(new Set(await versions())).toEqual(new Set(['1']))
    const moved = ['x', ...NAMES]
    await execute(shout, moved, options)
    await execute(shout, moved, options)
    expect(await listsOf()).toBe(1)
    const before = (await store.list('run/seg/')).reduce((sum, { size }) => sum + size, 0)
    await execute(shout, [...moved, 'y'], options)
    expect(await listsOf()).toBe(2)
    expect((await store.list('run/seg/')).reduce((sum, { size }) => sum + size, 0)).toBeLessThan(before + 900)
    expect(await readRun(runs)).toEqual(whole([...moved, 'y']))
    // A pawl of before knows no such list, and must not take it for damage.
    expect((await versions()).filter((it) => it === '2')).toHaveLength(2)
  })
})

interface Step {
  readonly names: string[]
  readonly as: 'array' | 'iterable' | 'shards' | 'interrupted'
  readonly format: 'msgpack' | 'json'
  readonly retryFailed: boolean
}

const step: fc.Arbitrary<Step> = fc.record({
  names: fc.shuffledSubarray([...NAMES.slice(0, 14), 'bad 1', 'bad 2']),
  as: fc.constantFrom('array', 'iterable', 'shards', 'interrupted'),
  format: fc.constantFrom('msgpack', 'json'),
  retryFailed: fc.boolean(),
})

const fussy = (name: string) => {
  if (name.startsWith('bad')) throw new Error(name)
  return `${name}!`
}

async function take({ names, as, format, retryFailed }: Step, store: Store): Promise<(string | undefined)[] | undefined> {
  const options: ExecuteOptions<string> = {
    ...{ ...OPTIONS, retryFailed, maxFailures: 2, chunkSize: 2 },
    checkpoint: { store, format, every: 1, keep: 0, durability: 'none' },
  }
  if (as === 'array') return (await execute(fussy, names, options)).results
  if (as === 'iterable') return (await execute(fussy, names.values(), options)).results
  if (as === 'shards') {
    const shards = ['1/2', '2/2'] as const
    const [one, two] = await Promise.all(shards.map((shard) => execute(fussy, names, { ...options, shard })))
    return names.map((_, index) => one?.results[index] ?? two?.results[index])
  }
  const abort = new AbortController()
  const on = { outcome: ({ restored }: { restored: boolean }) => void (restored || abort.abort(new Error('enough'))) }
  const ended = await execute(fussy, names, { ...options, signal: abort.signal, on }).catch(
    (error: RunAbortedError) => error.report,
  )
  return (ended as { results: (string | undefined)[] }).results
}

test.each([
  ['one whose objects grow', memoryStore],
  [
    'one whose objects do not, so that there are snapshots soon',
    () => {
      const { append: _, ...store } = memoryStore()
      return store
    },
  ],
])('for any sessions of any items readResults gives what the last one gave, index by index: a store, %s', async (_, create) => {
  let snapshots = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
      const store = create()
      for (const it of steps) {
        const results = (await take(it, store)) ?? []
        if ((await store.list('')).length === 0) continue // Nothing ever ran.
        const outcomes = await readRun(store)
        const expected: [number, string, string][] = []
        it.names.forEach((name, index) => {
          if (results[index] !== undefined) expected.push([index, name, results[index]])
        })
        const fulfilled = outcomes.flatMap((it) => (it.status === 'fulfilled' ? [[it.index, it.key, it.value]] : []))
        expect(fulfilled).toEqual(expected)
        for (const { index, key } of outcomes) expect(it.names[index]).toBe(key)
        expect(outcomes.map(({ index }) => index)).toEqual([...new Set(outcomes.map(({ index }) => index))].sort((a, b) => a - b))
        if (it.as !== 'interrupted') expect(outcomes).toHaveLength(it.names.length)
        expect(await listRuns(store)).toMatchObject([{ done: outcomes.length, total: it.names.length }])
      }
      expect(await verifyRun(store, 'run')).toEqual({ ok: true, damaged: [] })
      snapshots += (await store.list('run/snap/')).length
    }),
    { numRuns: 60 },
  )
  if (create !== memoryStore) expect(snapshots).toBeGreaterThan(0)
})

test('items that share an index, as no session has said yet which of them are left, are read in the order of indices, then of keys', async () => {
  const store = memoryStore()
  const options = { ...OPTIONS, checkpoint: store }
  await execute(
    shout,
    (function* () {
      yield* 'bcdefgh'
    })(),
    options,
  )
  const stop = new AbortController()
  async function* others() {
    yield 'z'
    await new Promise<never>(() => {})
  }
  const on = { outcome: ({ key }: Outcome) => key === 'z' && stop.abort() }
  const ended = execute(shout, others(), { ...options, signal: stop.signal, on })
  await expect(ended).rejects.toMatchObject({ code: 'ERR_PAWL_ABORTED' })
  const places = (await readRun(store)).map(({ index, key }) => `${index}${key}`)
  expect(places).toEqual(places.toSorted())
  expect(places).toEqual(expect.arrayContaining(['0b', '0z', '6h']))
})
