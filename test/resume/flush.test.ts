import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  type CheckpointOptions,
  type Events,
  type ExecuteOptions,
  execute,
  fileStore,
  inspectRun,
  type Log,
  memoryStore,
  readResults,
  type Store,
  type TaskContext,
  verifyRun,
} from 'pawl'
import { describe, expect, test } from 'vitest'
import held from '../fixtures/tasks/held.mjs'
import { described, noted } from '../fixtures/tasks/noted.mjs'
import { listenForWarnings, newPlace, range } from './place.ts'

const ITEMS = range(200)
const ONE: ExecuteOptions<number> = { workers: 1, chunkSize: 5 }
/** An hour: no flush for its time. */
const NEVER = 3_600_000

type Told = ['before', Events['beforeCheckpoint']] | ['after', Events['afterCheckpoint']]

function listen() {
  const told: Told[] = []
  const on = {
    beforeCheckpoint: (event: Events['beforeCheckpoint']) => void told.push(['before', event]),
    afterCheckpoint: (event: Events['afterCheckpoint']) => void told.push(['after', event]),
  }
  const afters = () => told.flatMap(([kind, event]) => (kind === 'after' ? [event] : []))
  return { told, on, afters }
}

describe('flushes', () => {
  test('beforeCheckpoint and afterCheckpoint come in pairs and tell what they did', async () => {
    newPlace()
    const { told, on, afters } = listen()
    const { runId, stats } = await execute(noted, ITEMS, {
      ...ONE,
      checkpoint: { store: memoryStore(), every: 20, interval: NEVER },
      on,
    })
    expect(told.map(([kind]) => kind)).toEqual(told.map((_, at) => (at % 2 === 0 ? 'before' : 'after')))
    let recorded = 0
    for (let at = 0; at < told.length; at += 2) {
      const [before, after] = [told[at]?.[1] as Events['beforeCheckpoint'], told[at + 1]?.[1] as Events['afterCheckpoint']]
      recorded += before.pending
      expect(after).toMatchObject({ runId, recorded })
      expect(after.bytes).toBeGreaterThan(0)
      expect(after.duration).toBeGreaterThanOrEqual(0)
    }
    expect(recorded).toBe(200)
    expect(stats.checkpoints).toBe(afters().length)
    expect(afters().reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(stats.bytesWritten)
  })

  test('recorded counts what earlier sessions recorded too', async () => {
    newPlace()
    const store = memoryStore()
    await execute(noted, ITEMS, { ...ONE, shard: '1/2', runId: 'run', checkpoint: store })
    const { on, afters } = listen()
    const { stats } = await execute(noted, ITEMS, { ...ONE, runId: 'run', checkpoint: store, on })
    expect(afters().at(-1)?.recorded).toBe(200)
    expect(afters()[0]?.recorded).toBeGreaterThan(stats.restored)
  })

  test('every: as soon as so many items wait', async () => {
    newPlace()
    for (const every of [5, 50]) {
      const { on, told } = listen()
      await execute(noted, ITEMS, { ...ONE, checkpoint: { store: memoryStore(), every, interval: NEVER }, on })
      const pending = told.flatMap(([kind, event]) => (kind === 'before' ? [event.pending] : []))
      // The last one is what is left at the end.
      for (const count of pending.slice(0, -1)) expect(count).toBeGreaterThanOrEqual(every)
      expect(pending.length).toBeGreaterThanOrEqual(2)
    }
  })

  test('interval: when something waits for so long', async () => {
    newPlace()
    const { on, afters } = listen()
    const slow = (n: number) => {
      const until = performance.now() + 2
      while (performance.now() < until);
      return n
    }
    await execute(slow, ITEMS, { ...ONE, checkpoint: { store: memoryStore(), every: 1_000_000, interval: 20 }, on })
    expect(afters().length).toBeGreaterThan(2)
    const once = listen()
    await execute(slow, range(50), {
      ...ONE,
      checkpoint: { store: memoryStore(), every: 1_000_000, interval: NEVER },
      on: once.on,
    })
    expect(once.afters()).toHaveLength(1)
  })

  test('are told to the end before execute resolves', async () => {
    newPlace()
    const { on, told } = listen()
    await execute(noted, ITEMS, { ...ONE, checkpoint: { store: memoryStore(), every: 7 }, on })
    const count = told.length
    await new Promise((resolve) => setTimeout(resolve, 30))
    expect(told).toHaveLength(count)
  })

  test('durability none writes the same', async () => {
    const { runs } = newPlace()
    await execute(described, ITEMS, { checkpoint: { store: runs, durability: 'none' } })
    const { stats, results } = await execute(described, ITEMS, { checkpoint: runs })
    expect(stats.dispatched).toBe(0)
    expect(results[7]).toEqual({ id: 7, name: 'user 7', score: 0.875, isActive: false })
  })
})

describe('a run of many sessions', () => {
  // Sixteen closed segments are worth a snapshot.
  const SESSIONS = 40
  const recordInSessions = async (runs: string, keep: number) => {
    const checkpoint: CheckpointOptions = { store: runs, keep, durability: 'none' }
    for (let session = 1; session <= SESSIONS; session++) {
      await execute(noted, ITEMS, { ...ONE, runId: 'run', shard: `${session}/${SESSIONS}` as '1/40', checkpoint })
    }
    return checkpoint
  }

  test.each([0, 2])(
    'is merged into snapshots, with what the newest %i of them stand for kept',
    { timeout: 120_000 },
    async (keep) => {
      const { runs } = newPlace()
      const checkpoint = await recordInSessions(runs, keep)
      const { files } = await inspectRun(runs, 'run')
      const covered = files.filter((file) => file.covered)
      expect(files.length - covered.length).toBeLessThan(SESSIONS)
      if (keep === 0) expect(covered).toEqual([])
      else expect(covered.length).toBeGreaterThan(0)

      // A damaged snapshot costs nothing as long as what it stands for is there.
      const snapshots = readdirSync(join(runs, 'run', 'snap')).sort()
      const newest = join(runs, 'run', 'snap', snapshots.at(-1) as string)
      const bytes = readFileSync(newest)
      bytes.fill(0, bytes.length >> 1)
      writeFileSync(newest, bytes)
      const { on, codes } = listenForWarnings()
      const { stats, results } = await execute(noted, ITEMS, { runId: 'run', checkpoint, on })
      expect(results).toEqual(ITEMS.map((n) => n * 2))
      expect(codes()).toEqual(['CHECKPOINT_DAMAGED'])
      if (keep === 0) expect(stats.dispatched).toBeGreaterThan(0)
      else expect(stats).toMatchObject({ restored: 200, dispatched: 0 })
      expect((await execute(noted, ITEMS, { runId: 'run', checkpoint, on: { warning: () => {} } })).stats.dispatched).toBe(0)
    },
  )

  test('works on a store whose objects cannot grow', async () => {
    newPlace()
    const { append: _, ...store } = memoryStore()
    const checkpoint = { store: store as Store, every: 10 }
    const { stats } = await execute(noted, ITEMS, { ...ONE, checkpoint })
    expect(stats.checkpoints).toBeGreaterThan(5)
    expect(await execute(noted, ITEMS, { ...ONE, checkpoint })).toMatchObject({ stats: { restored: 200, dispatched: 0 } })
  })
})

describe('files that are gone under a run', () => {
  const segmentIn = (runs: string) => join(runs, 'run/seg', readdirSync(join(runs, 'run/seg'))[0] as string)
  /** What happens to the files after five items. */
  const ways = {
    'a directory deleted': (runs: string) => rmSync(runs, { recursive: true }),
    'a directory moved away': (runs: string) => renameSync(runs, `${runs}-elsewhere`),
    'a directory replaced by a copy': (runs: string) => {
      renameSync(runs, `${runs}-elsewhere`)
      cpSync(`${runs}-elsewhere`, runs, { recursive: true })
    },
    'a file written anew and renamed': (runs: string) => {
      const segment = segmentIn(runs)
      writeFileSync(`${segment}.new`, readFileSync(segment))
      renameSync(`${segment}.new`, segment)
    },
    'a file emptied': (runs: string) => truncateSync(segmentIn(runs)),
    'a file cut': (runs: string) => truncateSync(segmentIn(runs), statSync(segmentIn(runs)).size >> 1),
    'a folder in place of a file': (runs: string) => {
      const segment = segmentIn(runs)
      rmSync(segment)
      mkdirSync(segment)
    },
  } as const
  const cases = Object.keys(ways).flatMap((way) =>
    (['fsync', 'none'] as const).map((durability) => ({ way: way as keyof typeof ways, durability })),
  )

  test.each(cases)('$way: is told, and what is gone is recorded again ($durability)', async ({ way, durability }) => {
    const { runs, directory } = newPlace()
    const { warnings, codes, on } = listenForWarnings()
    const { results, status } = await execute(held, range(8), {
      ...{ workers: 1, chunkSize: 1, runId: 'run', checkpoint: { store: runs, every: 1, durability } },
      on: {
        ...on,
        afterCheckpoint: ({ recorded }) => {
          if (recorded !== 5) return
          ways[way](runs)
          writeFileSync(join(directory, 'go'), '')
        },
      },
    })
    expect([status, results]).toEqual(['complete', range(8)])
    expect(codes()).toEqual(['CHECKPOINT_DAMAGED'])
    expect(warnings[0]?.message).toContain('were deleted, cut or replaced while it was at work')
    expect(await inspectRun(runs, 'run')).toMatchObject({ done: 8, total: 8 })
    expect(await verifyRun(runs, 'run')).toEqual({ ok: true, damaged: [] })
    const again = await execute(held, range(8), { workers: 1, runId: 'run', checkpoint: runs, on })
    expect(again).toMatchObject({ status: 'complete', results, stats: { restored: 8, dispatched: 0 } })
    expect(codes()).toEqual(['CHECKPOINT_DAMAGED'])
  })
})

describe('files that a run has left, and that are gone as it ends', () => {
  /** Stores in files, one of which holds the first outcomes and is not written to any more. */
  const stores = {
    'whose objects cannot grow': (runs: string): Store => {
      const { append: _, ...store } = fileStore(runs)
      return store
    },
    'that lets files grow to two outcomes': (runs: string): Store => {
      const store = fileStore(runs)
      return { ...store, append: async (key) => bounded(await (store.append as NonNullable<Store['append']>)(key)) }
    },
  } as const
  const bounded = (log: Log): Log => {
    let synced = 0
    return {
      ...log,
      write: async (bytes) => {
        if (synced === 2) throw Object.assign(new Error('EFBIG: file too large'), { code: 'EFBIG' })
        await log.write(bytes)
      },
      sync: async () => {
        await log.sync()
        synced++
      },
    }
  }
  const kinds = Object.keys(stores) as (keyof typeof stores)[]
  const deleteFirst = (runs: string) => {
    const [first = ''] = readdirSync(join(runs, 'run/seg')).sort()
    rmSync(join(runs, 'run/seg', first))
  }
  /** Runs eight items, and calls `change` when five are on record for the first time. */
  const runHeld = async (options: ExecuteOptions<number>, directory: string, items: Iterable<number>, change: () => void) => {
    let isChanged = false
    const afterCheckpoint = ({ recorded }: Events['afterCheckpoint']) => {
      if (recorded !== 5 || isChanged) return
      isChanged = true
      change()
      writeFileSync(join(directory, 'go'), '')
    }
    const fixed = { workers: 1, chunkSize: 1, runId: 'run' }
    return execute(held, items, { ...fixed, ...options, on: { ...options.on, afterCheckpoint } })
  }

  test.each(kinds)('are told, and what they held is recorded again, in a store %s', async (kind) => {
    for (const items of [() => range(8), () => range(8).values()]) {
      const { runs, directory } = newPlace()
      const { warnings, codes, on } = listenForWarnings()
      const checkpoint = { store: stores[kind](runs), every: 1 }
      const { status, results } = await runHeld({ checkpoint, on }, directory, items(), () => deleteFirst(runs))
      expect([status, results]).toEqual(['complete', range(8)])
      expect(codes()).toEqual(['CHECKPOINT_DAMAGED'])
      expect(warnings[0]?.message).toContain('were deleted, cut or replaced while it was at work')
      expect(await inspectRun(runs, 'run')).toMatchObject({ status: 'complete', done: 8, total: 8 })
      expect(await verifyRun(runs, 'run')).toEqual({ ok: true, damaged: [] })
      const again = await execute(held, items(), { workers: 1, runId: 'run', checkpoint: runs, on })
      expect(again).toMatchObject({ status: 'complete', results, stats: { restored: 8, dispatched: 0 } })
      expect(codes()).toEqual(['CHECKPOINT_DAMAGED'])
    }
  })

  test('are told, and put again, when one of them is the manifest', async () => {
    const { runs, directory } = newPlace()
    const { codes, on } = listenForWarnings()
    const checkpoint = { store: runs, every: 1 }
    const deleteManifest = () => rmSync(join(runs, 'run/run'), { recursive: true })
    const { status } = await runHeld({ checkpoint, on }, directory, range(8), deleteManifest)
    expect([status, codes()]).toEqual(['complete', ['CHECKPOINT_DAMAGED']])
    expect(await verifyRun(runs, 'run')).toEqual({ ok: true, damaged: [] })
    expect(await inspectRun(runs, 'run')).toMatchObject({ status: 'complete', done: 8, total: 8 })
  })

  test.each(kinds)('end it with an error where what they held is not at hand, in a store %s', async (kind) => {
    const { runs, directory } = newPlace()
    const { codes, on } = listenForWarnings()
    const checkpoint = { store: stores[kind](runs), every: 1 }
    const run = runHeld({ checkpoint, on, collect: false }, directory, range(8), () => deleteFirst(runs))
    const error = await run.catch((reason) => reason)
    expect(error).toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_WRITE', report: { status: 'complete', stats: { succeeded: 8 } } })
    expect(error.message).toMatch(/got \d items? whose outcomes were in files that were deleted, cut or replaced/)
    expect(codes()).toEqual(['CHECKPOINT_DAMAGED'])
    const { done } = await inspectRun(runs, 'run')
    expect(done).toBeLessThan(8)
    const again = await execute(held, range(8), { workers: 1, runId: 'run', checkpoint: runs })
    expect(again).toMatchObject({ status: 'complete', results: range(8), stats: { restored: done, dispatched: 8 - done } })
  })

  test.each([
    ['a list', () => range(8), {}],
    ['an iterable', () => range(8).values(), {}],
    ['items with keys', () => range(8), { key: String }],
    ['an iterable with keys', () => range(8).values(), { key: String }],
  ] as const)(
    'are told of a run that is ended early, too, where what they held is not at hand: of %s',
    async (_, items, more) => {
      for (const collect of [true, false]) {
        const { runs, directory } = newPlace()
        const { codes, on } = listenForWarnings()
        const checkpoint = { store: stores['that lets files grow to two outcomes'](runs), every: 1 }
        const abort = new AbortController()
        const end = () => {
          deleteFirst(runs)
          abort.abort(new Error('enough'))
        }
        const run = runHeld({ ...more, checkpoint, on, collect, signal: abort.signal }, directory, items(), end)
        const error = await run.catch((reason) => reason)
        expect(error).toMatchObject({ code: 'ERR_PAWL_ABORTED', report: { status: 'partial' } })
        expect(codes()).toEqual(['CHECKPOINT_DAMAGED'])
        const { succeeded } = error.report.stats
        const { done } = await inspectRun(runs, 'run')
        expect(succeeded).toBeGreaterThanOrEqual(5)
        if (collect) expect(done).toBe(succeeded)
        else expect(done).toBeLessThan(succeeded)
        const again = await execute(held, items(), { ...more, workers: 1, runId: 'run', checkpoint: runs, on })
        expect(again).toMatchObject({ status: 'complete', results: range(8), stats: { restored: done, dispatched: 8 - done } })
        // What nobody had at hand any more, the next session tells again: it runs it.
        expect(codes()).toEqual(collect ? ['CHECKPOINT_DAMAGED'] : ['CHECKPOINT_DAMAGED', 'CHECKPOINT_DAMAGED'])
      }
    },
  )

  test('are told, and recorded again, when earlier sessions wrote them: failures with their items, and keys in new places', async () => {
    const { runs } = newPlace()
    const fails = ({ id }: { id: string }) => {
      if (id === 'b') throw new Error('no b')
      return id.toUpperCase()
    }
    const options = { workers: 1, runId: 'run', key: ({ id }: { id: string }) => id, maxFailures: 1, retryFailed: false } as const
    const toItems = (ids: string) => [...ids].map((id) => ({ id }))
    await execute(fails, toItems('abc'), { ...options, checkpoint: runs })
    const { codes, on } = listenForWarnings()
    const deleteOld = () => {
      for (const name of readdirSync(join(runs, 'run/seg'))) if (before.has(name)) rmSync(join(runs, 'run/seg', name))
    }
    const before = new Set(readdirSync(join(runs, 'run/seg')))
    const { results } = await execute(fails, toItems('dcba'), {
      ...options,
      checkpoint: runs,
      on: { ...on, progress: deleteOld },
    })
    expect(results).toEqual(['D', 'C', undefined, 'A'])
    expect(codes()).toEqual(['CHECKPOINT_DAMAGED'])
    expect(await verifyRun(runs, 'run')).toEqual({ ok: true, damaged: [] })
    const read: unknown[] = []
    for await (const { index, key, status } of readResults(runs, 'run')) read.push([index, key, status])
    expect(read).toEqual([
      [0, 'd', 'fulfilled'],
      [1, 'c', 'fulfilled'],
      [2, 'b', 'rejected'],
      [3, 'a', 'fulfilled'],
    ])
    const again = await execute(fails, toItems('dcba'), { ...options, checkpoint: runs, on })
    expect(again).toMatchObject({ stats: { restored: 4, dispatched: 0 }, failures: [{ item: { id: 'b' }, key: 'b' }] })
    expect(codes()).toEqual(['CHECKPOINT_DAMAGED'])
  })

  test('are recorded again with the attempts they took', async () => {
    const { runs } = newPlace()
    const failsFirst = (n: number, { attempt }: TaskContext) => {
      if (n === 1 && attempt === 1) throw new Error('once')
      return n
    }
    const options = { workers: 1, runId: 'run', retry: { retries: 1, minTimeout: 0 }, checkpoint: runs } as const
    await execute(failsFirst, range(4), options)
    const old = readdirSync(join(runs, 'run/seg'))
    const deleteOld = () => {
      for (const name of old) rmSync(join(runs, 'run/seg', name), { force: true })
    }
    const { codes, on } = listenForWarnings()
    await execute(failsFirst, range(4), { ...options, on: { ...on, progress: deleteOld } })
    expect(codes()).toEqual(['CHECKPOINT_DAMAGED'])
    const read: number[] = []
    for await (const { attempts } of readResults(runs, 'run')) read.push(attempts)
    expect(read).toEqual([1, 2, 1, 1])
  })

  test('are recorded again where an earlier session had the item down as failed', async () => {
    const { runs, spoil, heal } = newPlace()
    const options = { workers: 1, runId: 'run', maxFailures: 1, checkpoint: { store: runs, every: 1 } }
    spoil(1)
    expect(await execute(noted, range(3), options)).toMatchObject({ status: 'complete', failures: [{ index: 1 }] })
    heal(1)
    const old = readdirSync(join(runs, 'run/seg'))
    const { codes, on } = listenForWarnings()
    let hasDeleted = false
    const deleteOwn = () => {
      if (hasDeleted) return
      hasDeleted = true
      for (const name of readdirSync(join(runs, 'run/seg'))) if (!old.includes(name)) rmSync(join(runs, 'run/seg', name))
    }
    const { results } = await execute(noted, range(3), { ...options, on: { ...on, afterCheckpoint: deleteOwn } })
    expect(codes()).toEqual(['CHECKPOINT_DAMAGED'])
    const read: unknown[] = []
    for await (const outcome of readResults(runs, 'run'))
      read.push(outcome.status === 'fulfilled' ? outcome.value : outcome.reason)
    expect(read).toEqual(results)
    expect((await execute(noted, range(3), options)).stats).toMatchObject({ dispatched: 0, restored: 3 })
  })

  test('cost a run nothing that are there: one listing, and none when nothing was recorded before its end', async () => {
    const { runs } = newPlace()
    const listed: string[] = []
    const files = fileStore(runs)
    const list = async (prefix: string) => {
      listed.push(prefix)
      return files.list(prefix)
    }
    const checkpoint = { store: { ...files, list } as Store, every: 1_000_000, interval: NEVER }
    await execute(noted, range(20), { ...ONE, runId: 'run', checkpoint })
    // Whether the run is new: before it is claimed, and once it is.
    expect(listed.filter((prefix) => prefix === 'run/')).toEqual(['run/', 'run/'])
    listed.length = 0
    await execute(noted, range(20), { ...ONE, runId: 'run', checkpoint })
    expect(listed.filter((prefix) => prefix === 'run/')).toEqual(['run/', 'run/']) // Before it is claimed, and in the end.
  })
})

test('who finds a session dead makes durable what it wrote, also with durability none: nobody does it after that', async () => {
  const { runs } = newPlace()
  const program = `
    import { execute } from 'pawl'
    const on = { afterCheckpoint: () => process.kill(process.pid, 'SIGKILL') }
    await execute((x) => x, Array(50).fill(1), { runId: 'run', workers: 1, chunkSize: 5, mode: 'threads', checkpoint: { store: ${JSON.stringify(runs)}, every: 5 }, on })`
  const { signal } = spawnSync(process.execPath, ['--input-type=module', '-e', program])
  expect(signal).toBe('SIGKILL')
  const [left] = readdirSync(join(runs, 'run/seg'))
  const synced: string[] = []
  const files = fileStore(runs)
  const store: Store = {
    ...files,
    sync: async (key) => {
      synced.push(key)
      await files.sync?.(key)
    },
  }
  const checkpoint = { store, durability: 'none' as const }
  const { stats } = await execute((x: number) => x, Array(50).fill(1), { runId: 'run', workers: 1, mode: 'threads', checkpoint })
  expect(stats.restored).toBeGreaterThan(0)
  expect(synced).toEqual([`run/seg/${left}`])
})
