import { spawn, spawnSync } from 'node:child_process'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { execute, fileStore, type Store } from 'pawl'
import { describe, expect, onTestFinished, test } from 'vitest'
import held from '../fixtures/tasks/held.mjs'
import { errorOf, listenForWarnings, newPlace, type Place, range } from './place.ts'

const PROGRAMS = join(import.meta.dirname, '../fixtures/programs')

describe('an item in flight as its process dies', () => {
  test.each([false, true])(
    'is given up when it kills again, and nothing else is: of an iterable %s',
    { timeout: 120_000 },
    (isIterable) => {
      const { runs } = newPlace()
      const run = () => {
        const given = JSON.stringify({ checkpoint: runs, isIterable })
        return spawnSync(process.execPath, [join(PROGRAMS, 'fatal-run.mjs'), given], { encoding: 'utf8' })
      }
      let deaths = 0
      let ended = run()
      for (; ended.signal === 'SIGKILL' && deaths < 10; ended = run()) deaths++
      expect(ended.stderr).toBe('')
      const { failures, results } = JSON.parse(ended.stdout)
      expect(failures).toEqual([{ index: 5, kind: 'crash', crashes: 2 }])
      expect(results).toEqual(range(50).map((n) => (n === 5 ? null : n)))
      // Once in company, which tells nothing of who it was, then twice alone.
      expect(deaths).toBeLessThanOrEqual(3)
      expect(deaths).toBeGreaterThanOrEqual(2)
    },
  )

  test('that was alone waits for all others, since whoever kills from outside may do so again', {
    timeout: 120_000,
  }, async () => {
    const place = newPlace()
    await killAtItemFive(place, 8)
    await killAtItemFive(place, 8)
    writeFileSync(join(place.directory, 'go'), '')
    const order: number[] = []
    const { results, failures } = await execute(held, range(8), {
      ...{ runId: 'run', workers: 2, chunkSize: 1, checkpoint: place.runs },
      on: { outcome: ({ index, restored }) => void (restored || order.push(index)) },
    })
    expect(failures).toEqual([])
    expect(results).toEqual(range(8))
    expect(order.at(-1)).toBe(5)
    expect(order.length).toBeGreaterThan(1)
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

/** Runs `held-run` until item 5 waits, and kills it then. */
async function killAtItemFive({ runs, directory }: Place, chunkSize: number): Promise<void> {
  const sign = join(directory, 'held')
  rmSync(sign, { force: true })
  const given = JSON.stringify({ checkpoint: runs, chunkSize })
  const child = spawn(process.execPath, [join(PROGRAMS, 'held-run.mjs'), given], { stdio: ['ignore', 'ignore', 'pipe'] })
  const said = text(child.stderr)
  onTestFinished(() => void child.kill('SIGKILL'))
  const closed = new Promise((resolve) => child.once('close', resolve))
  while (!existsSync(sign) && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 5))
  child.kill('SIGKILL')
  await closed
  if (!existsSync(sign)) throw new Error(`Cannot kill the run at item 5: expected it to get there, got ${await said}`)
}
