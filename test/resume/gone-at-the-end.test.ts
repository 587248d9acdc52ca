import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  type CheckpointOptions,
  type Events,
  type ExecuteOptions,
  execute,
  fileStore,
  type Log,
  type Store,
  verifyRun,
} from 'pawl'
import { describe, expect, test } from 'vitest'
import held from '../fixtures/tasks/held.mjs'
import { listenForWarnings, newPlace, range } from './place.ts'

const COUNT = 8

type CheckpointForm = Pick<CheckpointOptions, 'format' | 'compress'>

/** A run of eight items: five are flushed at once, and three as it ends. From that flush on, `onLast` is called before each. */
async function runWith(
  onLast: (runs: string) => void,
  change: (store: Store) => Store,
  more: ExecuteOptions<number> = {},
  form: CheckpointForm = {},
) {
  const { runs, directory } = newPlace()
  const { codes, on } = listenForWarnings()
  let recorded = 0
  let isLast = false
  const checkpoint = { store: change(fileStore(runs)), every: 5, interval: 3_600_000, ...form }
  const run = execute(held, range(COUNT), {
    ...{ workers: 1, chunkSize: 1, runId: 'run', checkpoint, ...more },
    on: {
      ...on,
      beforeCheckpoint: ({ pending }) => {
        isLast ||= recorded + pending === COUNT
        if (isLast) onLast(runs)
      },
      afterCheckpoint: (event: Events['afterCheckpoint']) => {
        recorded = event.recorded
        if (recorded === 5) writeFileSync(join(directory, 'go'), '')
      },
    },
  })
  return { outcome: await run.catch((error: unknown) => error), runs, codes: codes() }
}

const deleteSegments = (runs: string) => {
  for (const name of readdirSync(join(runs, 'run/seg'))) rmSync(join(runs, 'run/seg', name))
}

/** As another process may, in place: their sizes stay. */
const zeroSegments = (runs: string) => {
  for (const name of readdirSync(join(runs, 'run/seg'))) {
    const path = join(runs, 'run/seg', name)
    writeFileSync(path, Buffer.alloc(readFileSync(path).length), { flag: 'r+' })
  }
}

/** A store that fails once, for want of room, whenever `isDue` says so. */
function fullWhen(isDue: () => boolean): (store: Store) => Store {
  const failing = (log: Log): Log => ({
    ...log,
    write: async (bytes) => {
      if (isDue()) throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })
      await log.write(bytes)
    },
  })
  return (store) => ({ ...store, append: async (key) => failing(await (store.append as NonNullable<Store['append']>)(key)) })
}

/** What was recorded is on record again, and the next session runs nothing. */
async function expectWhole({ outcome, runs, codes }: Awaited<ReturnType<typeof runWith>>) {
  expect(outcome).toMatchObject({ status: 'complete', results: range(COUNT) })
  expect(codes).toEqual(['CHECKPOINT_DAMAGED'])
  expect(await verifyRun(runs, 'run')).toEqual({ ok: true, damaged: [] })
  const again = await execute(held, range(COUNT), { workers: 1, runId: 'run', checkpoint: runs })
  expect(again).toMatchObject({ status: 'complete', stats: { restored: COUNT, dispatched: 0 } })
}

describe('files deleted while the last flush is being written', () => {
  /** Of a run that then finds no room in the store, so often in a row. */
  const whileItWaits = (times: number, more?: ExecuteOptions<number>) => {
    let left = times
    let isDue = false
    const change = fullWhen(() => {
      const isNow = isDue
      isDue = false
      return isNow
    })
    const onLast = (runs: string) => {
      if (left-- <= 0) return
      isDue = true
      deleteSegments(runs)
    }
    return runWith(onLast, change, more)
  }

  const onceAtTheFlush = (more?: ExecuteOptions<number>) => {
    let isDone = false
    const onLast = (runs: string) => {
      if (!isDone) deleteSegments(runs)
      isDone = true
    }
    return runWith(onLast, (store) => store, more)
  }

  test('are recorded again', async () => {
    await expectWhole(await onceAtTheFlush())
  })

  test.each([1, 2, 3])(
    'are recorded again when it is to wait for room, as is what is deleted while that does (%i times)',
    async (times) => {
      await expectWhole(await whileItWaits(times))
    },
  )

  test.each([
    ['at once', onceAtTheFlush],
    ['when it is to wait for room', (more: ExecuteOptions<number>) => whileItWaits(1, more)],
  ])('end the run with an error where what they held is not at hand: %s', async (_, run) => {
    const { outcome, runs, codes } = await run({ collect: false })
    expect(outcome).toMatchObject({
      code: 'ERR_PAWL_CHECKPOINT_WRITE',
      report: { status: 'complete', stats: { succeeded: COUNT } },
    })
    expect(codes).toEqual(['CHECKPOINT_DAMAGED'])
    const again = await execute(held, range(COUNT), { workers: 1, runId: 'run', checkpoint: runs })
    expect(again).toMatchObject({ status: 'complete', results: range(COUNT) })
    expect(again.stats.dispatched).toBeGreaterThanOrEqual(5)
  })
})

describe('files written over with zeros while the last flush is being written', () => {
  const once = (checkpoint: CheckpointForm, more?: ExecuteOptions<number>) => {
    let isDone = false
    const onLast = (runs: string) => {
      if (!isDone) zeroSegments(runs)
      isDone = true
    }
    return runWith(onLast, (store) => store, more, checkpoint)
  }

  test.each<CheckpointForm>([{ format: 'msgpack' }, { format: 'json' }, { format: 'msgpack', compress: 'gzip' }])(
    'are recorded again: %j',
    async (form) => {
      await expectWhole(await once(form))
    },
  )

  test('end the run with an error where what they held is not at hand', async () => {
    const { outcome, codes } = await once({}, { collect: false })
    expect(outcome).toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_WRITE', report: { status: 'complete' } })
    expect(codes).toEqual(['CHECKPOINT_DAMAGED'])
  })
})

describe('a run of which nothing is deleted', () => {
  /** How often a store is asked for its files, for how many bytes, and to make something durable, from the first flush on. */
  const countCalls = () => {
    const calls = { list: 0, get: 0, sync: 0 }
    const change = (store: Store): Store => ({
      ...store,
      list: (prefix) => {
        if (calls.sync > 0) calls.list++
        return store.list(prefix)
      },
      get: (key, range) => {
        if (calls.sync > 0) calls.get += range?.length ?? Number.POSITIVE_INFINITY
        return store.get(key, range)
      },
      append: async (key) => {
        const log = await (store.append as NonNullable<Store['append']>)(key)
        const sync = () => {
          calls.sync++
          return log.sync()
        }
        return { ...log, sync }
      },
    })
    return { calls, change }
  }

  test('has its files listed once as it ends, and a few bytes read of the one that grew', async () => {
    const { calls, change } = countCalls()
    const { outcome, codes } = await runWith(() => {}, change)
    expect([outcome, codes]).toMatchObject([{ status: 'complete' }, []])
    expect([calls.list, calls.get]).toEqual([1, 32])
  })

  test('has none listed when one flush holds all of it, with the end of the run', async () => {
    const { calls, change } = countCalls()
    const checkpoint = { store: change(fileStore(newPlace().runs)), every: 100, interval: 3_600_000 }
    const { status } = await execute((item: number) => item, range(COUNT), { workers: 1, checkpoint })
    expect([status, calls]).toEqual(['complete', { list: 0, get: 0, sync: 1 }])
  })
})
