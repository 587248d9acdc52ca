import { spawn, spawnSync } from 'node:child_process'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type ExecuteOptions, execute, fileStore, type Store } from 'pawl'
import { describe, expect, onTestFinished, test } from 'vitest'
import held from '../fixtures/tasks/held.mjs'
import { errorOf, listenForWarnings, newPlace, type Place, range } from './place.ts'

const PROGRAMS = join(import.meta.dirname, '../fixtures/programs')

describe('an item in flight as its process dies', () => {
  test.each<[string, FatalRun, { deaths: number; crashes: Record<number, number> }]>([
    ['of an array', {}, { deaths: 2, crashes: { 13: 2 } }],
    ['of an iterable', { isIterable: true }, { deaths: 2, crashes: { 13: 2 } }],
    ['that begins a session', { killers: [0] }, { deaths: 2, crashes: { 0: 2 } }],
    ['with a key', { isKeyed: true }, { deaths: 2, crashes: { 13: 2 } }],
    ['of an iterable, with a key', { isIterable: true, isKeyed: true }, { deaths: 2, crashes: { 13: 2 } }],
    ['of a shard', { shard: '1/1' }, { deaths: 2, crashes: { 13: 2 } }],
    ['saved one by one', { checkpoint: { every: 1 } }, { deaths: 2, crashes: { 13: 2 } }],
    ['with maxCrashes 1, since it has to be alone at one death', { maxCrashes: 1 }, { deaths: 2, crashes: { 13: 2 } }],
    ['with maxCrashes 4', { maxCrashes: 4 }, { deaths: 4, crashes: { 13: 4 } }],
    ['beside another in its chunk', { killers: [12, 13] }, { deaths: 4, crashes: { 12: 2, 13: 2 } }],
    ['before another', { killers: [3, 31] }, { deaths: 4, crashes: { 3: 2, 31: 2 } }],
  ])(
    'is given up after maxCrashes deaths when it kills each time, and nothing else is: %s',
    { timeout: 60_000 },
    (_, given, expected) => {
      const place = newPlace()
      const { killers = [13] } = given
      let deaths = 0
      let ended = startFatal(place, given)
      for (; ended.signal === 'SIGKILL' && deaths < 10; ended = startFatal(place, given)) deaths++
      expect({ deaths, status: ended.status }, ended.stderr).toEqual({ deaths: expected.deaths, status: 0 })
      const { failures, results } = JSON.parse(ended.stdout)
      const toFailure = (index: number) => ({
        index,
        kind: 'crash',
        crashes: expected.crashes[index],
        attempts: expected.crashes[index],
      })
      expect(failures).toEqual(killers.map(toFailure))
      expect(results).toEqual(range(50).map((n) => (killers.includes(n) ? null : n)))
    },
  )

  test.each([false, true])(
    'runs first and alone, also when it was alone at a death before: of an iterable %s',
    {
      timeout: 60_000,
    },
    async (isIterable) => {
      const place = newPlace()
      const given = { isIterable, killers: [13], maxCrashes: 3 }
      startFatal(place, given)
      for (const _ of [2, 3]) {
        const before = place.starts().length
        startFatal(place, given)
        // With it were at most 4 chunks of 4 in flight.
        const started = place.starts().slice(before)
        expect(started.at(-1)).toBe(13)
        expect(started.length).toBeLessThanOrEqual(16)
        expect(started).toEqual([...started].sort((a, b) => a - b))
      }
      const before = place.starts().length
      expect(startFatal(place, given).status).toBe(0)
      expect(place.starts().slice(before)).not.toContain(13)
    },
  )

  test('and was not alone, is never given up, and is cleared when it settles alone', { timeout: 60_000 }, async () => {
    const place = newPlace()
    const run = () =>
      execute(held, range(8), {
        runId: 'run',
        workers: 1,
        chunkSize: 8,
        maxCrashes: 1,
        checkpoint: { store: place.runs, every: 1 },
      })
    await killAtItemFive(place, 8)
    writeFileSync(join(place.directory, 'go'), '')
    const { failures, results, stats } = await run()
    expect(failures).toEqual([])
    expect(results).toEqual(range(8))
    expect(stats.chunks).toBeGreaterThanOrEqual(3)
  })

  test('is not charged for a session that drained as it ran alone', { timeout: 60_000 }, async () => {
    const place = newPlace()
    await killAtItemFive(place, 8)
    for (const _ of range(3)) {
      const abort = new AbortController()
      const options = { runId: 'run', workers: 1, chunkSize: 8, drainTimeout: 1, checkpoint: place.runs }
      rmSync(join(place.directory, 'held'), { force: true })
      const ended = errorOf(execute(held, range(8), { ...options, signal: abort.signal }))
      await until(() => existsSync(join(place.directory, 'held')))
      abort.abort()
      expect(await ended).toMatchObject({ code: 'ERR_PAWL_ABORTED', report: { failures: [] } })
    }
    writeFileSync(join(place.directory, 'go'), '')
    const settled: number[] = []
    const { failures, stats } = await execute(held, range(8), {
      ...{ runId: 'run', workers: 1, chunkSize: 8, checkpoint: place.runs },
      on: { outcome: ({ index, restored, attempts }) => void (restored || settled.push(index, attempts)) },
    })
    expect(failures).toEqual([])
    // Still the first of those that are left, and its attempts were interruptions.
    expect(settled.slice(0, 2)).toEqual([5, 1])
    expect(stats.dispatched).toBe(3)
  })
})

describe('an item in flight as its session gives its store up', () => {
  test.each([
    ['a store that takes its end', {}],
    ['a full disk, with room for a name', { isFull: true, hasNames: true }],
    ['a full disk, with room for its end where its claim was', { isFull: true }],
    ['a disk that is full even so', { isFull: true, isCrowded: true }],
    ['a store that takes nothing at all, in one process', { isFull: true, isReadOnly: true }],
  ])('is no suspect: %s', async (_, how) => {
    const { runs } = newPlace()
    const place = failing(fileStore(runs), how)
    const settled: number[] = []
    const { on, codes } = listenForWarnings()
    const run = () =>
      execute((n: number) => n * 2, range(3), {
        ...{ runId: 'run', workers: 1, chunkSize: 3, maxCrashes: 1, checkpoint: { store: place.store, format: 'json' } },
        on: { ...on, outcome: ({ index }) => void settled.push(index) },
      })
    for (let session = 0; session < 4; session++) {
      place.fail()
      const { code, report } = await errorOf(run())
      expect(code).toBe('ERR_PAWL_CHECKPOINT_WRITE')
      expect(report?.failures).toEqual([])
      place.heal()
    }
    settled.length = 0
    const { results, failures, stats } = await run()
    expect(failures).toEqual([])
    expect(results).toEqual([0, 2, 4])
    // None of them was sent ahead and alone.
    expect({ settled, chunks: stats.chunks }).toEqual({ settled: [0, 1, 2], chunks: 1 })
    // Where there is no word of the end, its lack is told, of each session once.
    expect(codes()).toEqual('isCrowded' in how ? range(4).map(() => 'CHECKPOINT_DAMAGED') : [])
  })

  test('is a suspect all the same when its process is killed, whatever came of an earlier one', { timeout: 60_000 }, async () => {
    const place = newPlace()
    const store = failing(fileStore(place.runs), {})
    const run = (given: Store, on = {}) =>
      execute(held, range(8), { runId: 'run', workers: 1, chunkSize: 8, checkpoint: { store: given, format: 'json' }, on })
    writeFileSync(join(place.directory, 'go'), '')
    store.fail()
    await errorOf(run(store.store))
    rmSync(join(place.directory, 'go'))
    await killAtItemFive(place, 8)
    writeFileSync(join(place.directory, 'go'), '')
    const { warnings, on } = listenForWarnings()
    const { results, stats } = await run(fileStore(place.runs), on)
    expect(warnings).toEqual([])
    expect(results).toEqual(range(8))
    expect(stats.chunks).toBeGreaterThan(1)
  })
})

/** A store that takes notes of what begins, but no outcomes, as long as it is made to fail: with an error that no time heals. */
function failing(inner: Store, { isFull = false, hasNames = false, isCrowded = false, isReadOnly = false }) {
  let isFailing = false
  let hasFailed = false
  let hasRoom = false
  const refuse = (code: string) => {
    throw Object.assign(new Error(code), { code })
  }
  const check = (bytes: Uint8Array) => {
    if (!isFailing || !Buffer.from(bytes).includes('"values"')) return
    hasFailed = true
    refuse('EFBIG')
  }
  const append = inner.append as NonNullable<Store['append']>
  const store: Store = {
    ...inner,
    put: async (key, bytes, options) => {
      if (hasFailed && isFull && !hasRoom && !(hasNames && bytes.length === 0)) refuse('ENOSPC')
      check(bytes)
      return inner.put(key, bytes, options)
    },
    delete: async (key) => {
      if (hasFailed && isReadOnly) refuse('EROFS')
      await inner.delete(key)
      hasRoom = !isCrowded && !hasNames
    },
    append: async (key) => {
      const log = await append(key)
      const write = async (bytes: Uint8Array) => {
        check(bytes)
        return log.write(bytes)
      }
      return { ...log, write }
    },
  }
  return {
    store,
    fail: () => {
      isFailing = true
    },
    heal: () => {
      isFailing = false
      hasFailed = false
      hasRoom = false
    },
  }
}

type FatalRun = Omit<ExecuteOptions<number>, 'checkpoint'> & {
  readonly killers?: readonly number[]
  readonly isIterable?: boolean
  readonly isKeyed?: boolean
  readonly checkpoint?: { readonly every: number }
}

/** One process of a run of 50 items, up to its end, which `killers` may bring about. */
function startFatal({ runs, directory }: Place, { checkpoint, ...given }: FatalRun) {
  const options = { killers: [13], count: 50, ...given, checkpoint: { ...checkpoint, store: runs } }
  const program = [join(PROGRAMS, 'fatal-run.mjs'), JSON.stringify(options)]
  return spawnSync(process.execPath, program, { cwd: directory, encoding: 'utf8' })
}

/** Resolves once `isTrue` is. */
async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 5))
}

/** Runs `held-run` until item 5 waits, and kills it then. */
async function killAtItemFive({ runs, directory }: Place, chunkSize: number): Promise<void> {
  const sign = join(directory, 'held')
  rmSync(sign, { force: true })
  const given = JSON.stringify({ checkpoint: runs, chunkSize })
  const child = spawn(process.execPath, [join(PROGRAMS, 'held-run.mjs'), given], { stdio: ['ignore', 'ignore', 'pipe'] })
  const said = text(child.stderr)
  onTestFinished(() => void child.kill('SIGKILL'))
  const closed = new Promise((resolve) => child.once('close', resolve))
  await until(() => existsSync(sign) || child.exitCode !== null)
  child.kill('SIGKILL')
  await closed
  if (!existsSync(sign)) throw new Error(`Cannot kill the run at item 5: expected it to get there, got ${await said}`)
}
