import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  deleteRun,
  execute,
  fileStore,
  inspectRun,
  listRuns,
  memoryStore,
  readResults,
  type Store,
  stream,
  verifyRun,
} from 'pawl'
import { describe, expect, test } from 'vitest'
import held from '../fixtures/tasks/held.mjs'
import { described, noted } from '../fixtures/tasks/noted.mjs'
import { errorOf, interrupt, newPlace, range, read } from './place.ts'

const ITEMS = range(100)

describe('readResults()', () => {
  test.each(['msgpack', 'json'] as const)(
    'gives back in index order what a run with collect: false recorded: %s',
    async (format) => {
      const { runs, spoil } = newPlace()
      spoil(41)
      const options = { runId: 'run', checkpoint: { store: runs, format, every: 7 }, collect: false, maxFailures: 1 } as const
      const report = await execute(noted, ITEMS, { ...options, workers: 2, chunkSize: 3 })
      expect(report).toMatchObject({ status: 'complete', results: [], stats: { succeeded: 99, failed: 1 } })
      const outcomes = await read(readResults(runs, 'run'))
      expect(outcomes.map(({ index }) => index)).toEqual(ITEMS)
      expect(outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : outcome.reason.message))).toEqual(
        ITEMS.map((n) => (n === 41 ? 'item 41 is bad' : n * 2)),
      )
      expect(outcomes[41]).toMatchObject({ key: '41', restored: true, kind: 'error', attempts: 1 })
    },
  )

  test('gives what there is of a run that is not finished, and reads from a Store too', async () => {
    newPlace()
    const store = memoryStore()
    const { stats } = await interrupt(described, ITEMS, { runId: 'run', checkpoint: store })
    const outcomes = await read(readResults(store, 'run'))
    expect(outcomes).toHaveLength(stats.succeeded)
    for (const outcome of outcomes) expect(outcome).toMatchObject({ status: 'fulfilled', value: { id: outcome.index } })
  })

  test('is refused for a run that is not there', async () => {
    const code = 'ERR_PAWL_RUN_NOT_FOUND'
    const message = expect.stringMatching(/, got none\. listRuns\(store\) shows what is there$/)
    for (const ask of [(store: Store) => read(readResults(store, 'gone')), (store: Store) => deleteRun(store, 'gone')])
      expect(await errorOf(ask(memoryStore()))).toMatchObject({ code, message })
  })
})

describe('listRuns() and inspectRun()', () => {
  test.each(['msgpack', 'json'] as const)(
    'tell a run that failed from one that is complete, also once it is compacted: %s',
    async (format) => {
      const { runs, spoil } = newPlace()
      spoil(41)
      const options = { runId: 'run', checkpoint: { store: runs, format, keep: 0 }, chunkSize: 100 } as const
      const status = async () => {
        const [{ status } = { status: 'none' }] = await listRuns(runs)
        expect((await inspectRun(runs, 'run')).status).toBe(status)
        return status
      }
      for (let session = 0; session < 12; session++) {
        await expect(execute(noted, ITEMS, options)).rejects.toMatchObject({ code: 'ERR_PAWL_RUN_FAILED' })
        expect(await status()).toBe('failed')
      }
      await execute(noted, ITEMS, { ...options, maxFailures: 1 })
      expect(await status()).toBe('complete')
    },
  )

  test('tell of a shard that failed, though others end well after it, until it or all of the run does', async () => {
    const { runs, spoil } = newPlace()
    spoil(...range(100))
    const run = (shard: `${number}/${number}` | undefined, maxFailures: number) =>
      execute(noted, ITEMS, {
        ...{ runId: 'run', checkpoint: runs, chunkSize: 100, maxFailures, retryFailed: false },
        ...(shard ? { shard } : {}),
      })
    const status = async () => (await listRuns(runs))[0]?.status
    await expect(run('1/2', 0)).rejects.toMatchObject({ code: 'ERR_PAWL_RUN_FAILED' })
    await run('2/2', 100)
    expect(await status()).toBe('failed')
    await run('1/2', 100)
    expect(await status()).toBe('complete')
    await expect(run(undefined, 0)).rejects.toMatchObject({ code: 'ERR_PAWL_RUN_FAILED' })
    await run('2/2', 100)
    expect(await status()).toBe('failed')
    await run('1/2', 100)
    expect(await status()).toBe('complete')
    await expect(run('1/2', 0)).rejects.toMatchObject({ code: 'ERR_PAWL_RUN_FAILED' })
    await run(undefined, 100)
    expect(await status()).toBe('complete')
  })
})

describe('stream() with a checkpoint', () => {
  test('yields restored outcomes first, then those of this session, each item once', async () => {
    const { runs } = newPlace()
    const { stats } = await interrupt(noted, ITEMS, { checkpoint: runs })
    const run = stream(noted, ITEMS, { checkpoint: runs })
    const outcomes = await read(run)
    expect(outcomes.map(({ restored }) => restored)).toEqual(ITEMS.map((_, at) => at < stats.succeeded))
    expect(outcomes.map(({ index }) => index).sort((a, b) => a - b)).toEqual(ITEMS)
    for (const outcome of outcomes)
      expect(outcome).toMatchObject({ value: outcome.index * 2, key: String(outcome.index), attempts: 1 })
    expect((await run.report).stats.restored).toBe(stats.succeeded)
  })

  test('records what it yielded when its loop is left', async () => {
    const { runs } = newPlace()
    let taken = 0
    for await (const _ of stream(noted, ITEMS, { checkpoint: runs, workers: 1, chunkSize: 2 })) if (++taken === 30) break
    const { stats } = await execute(noted, ITEMS, { checkpoint: runs })
    expect(stats.restored).toBeGreaterThanOrEqual(30)
    expect(stats.restored + stats.dispatched).toBe(100)
  })
})

describe('the runs of a store', () => {
  test('are listed, inspected, verified and deleted', async () => {
    const { runs, spoil } = newPlace()
    spoil(3)
    await execute(noted, ITEMS, { runId: 'done', checkpoint: runs, maxFailures: 1, config: { a: 1 } })
    const { stats } = await interrupt(noted, range(50), { runId: 'half', checkpoint: runs, maxFailures: 1 })
    const settled = stats.succeeded + stats.failed
    for (const given of [runs, fileStore(runs)]) {
      const list = await listRuns(given)
      expect(list.map(({ runId }) => runId).sort()).toEqual(['done', 'half'])
      expect(list.find(({ runId }) => runId === 'done')).toMatchObject({
        status: 'complete',
        done: 100,
        total: 100,
        failures: 1,
        live: false,
      })
      expect(list.find(({ runId }) => runId === 'half')).toMatchObject({
        status: 'partial',
        done: settled,
        total: 50,
        live: false,
      })
      expect(await inspectRun(given, 'done')).toMatchObject({
        runId: 'done',
        status: 'complete',
        formats: ['msgpack'],
        damaged: 0,
        conflicts: 0,
      })
      expect(await verifyRun(given, 'done')).toEqual({ ok: true, damaged: [] })
    }
    await deleteRun(runs, 'done')
    expect((await listRuns(runs)).map(({ runId }) => runId)).toEqual(['half'])
    for (const ask of [inspectRun, verifyRun, deleteRun]) {
      for (const given of [runs, fileStore(runs)]) {
        const error = await errorOf(ask(given, 'done'))
        expect(error).toMatchObject({ code: 'ERR_PAWL_RUN_NOT_FOUND' })
        expect(error.message.endsWith(`. 'pawl list --checkpoint ${runs}' shows what is there`)).toBe(true)
      }
    }
    expect((await execute(noted, ITEMS, { runId: 'done', checkpoint: runs, maxFailures: 1 })).stats.restored).toBe(0)
  })

  test('of a run that is damaged are read as far as they go, and the process is told of the rest', async () => {
    const { runs } = newPlace()
    await execute(noted, ITEMS, { runId: 'run', checkpoint: { store: runs, format: 'json' } })
    const seg = join(runs, 'run/seg')
    const file = join(seg, readdirSync(seg)[0] as string)
    const text = readFileSync(file, 'utf8')
    writeFileSync(file, text.replace(/("values":\[)./, '$1!'))
    const told: Error[] = []
    const hear = (warning: Error) => void told.push(warning)
    process.on('warning', hear)
    const outcomes = await read(readResults(runs, 'run'))
    await new Promise((resolve) => setImmediate(resolve)) // A warning is emitted behind what goes on.
    process.off('warning', hear)
    expect(outcomes.length).toBeLessThan(ITEMS.length)
    expect(told).toMatchObject([{ name: 'PawlWarning', code: 'CHECKPOINT_DAMAGED' }])
  })

  test('are none where there is no directory', async () => {
    expect(await listRuns(newPlace().runs)).toEqual([])
  })

  test('say so while a session is at work, and are not deleted then', async () => {
    const { runs, directory } = newPlace()
    const seen: Promise<unknown>[] = []
    await execute(held, range(8), {
      ...{ runId: 'run', checkpoint: { store: runs, every: 1 }, workers: 1, chunkSize: 1 },
      on: {
        afterCheckpoint: ({ recorded }) => {
          if (recorded !== 5) return
          seen.push(listRuns(runs), errorOf(deleteRun(runs, 'run')), inspectRun(runs, 'run'), verifyRun(runs, 'run'))
          Promise.allSettled(seen).then(() => writeFileSync(join(directory, 'go'), ''))
        },
      },
    })
    const [list, refusal, details, verdict] = await Promise.all(seen)
    expect(list).toMatchObject([{ runId: 'run', live: true }])
    expect(refusal).toMatchObject({ code: 'ERR_PAWL_RUN_LOCKED' })
    expect(details).toMatchObject({ live: true, holders: [{ pid: process.pid }] })
    expect(verdict).toMatchObject({ ok: true })
    expect((await listRuns(runs))[0]).toMatchObject({ live: false, status: 'complete', done: 8 })
  })
})

test('a file in the place of a folder is told before anything runs, and by verifyRun', async () => {
  const { runs, starts } = newPlace()
  mkdirSync(join(runs, 'run'), { recursive: true })
  writeFileSync(join(runs, 'run', 'seg'), '')
  const error = await errorOf(execute(noted, [1, 2, 3], { runId: 'run', checkpoint: runs }))
  expect(error).toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_WRITE', message: expect.stringContaining("'run/seg'") })
  expect(starts()).toEqual([])
  const { ok, damaged } = await verifyRun(runs, 'run')
  expect({ ok, damaged }).toEqual({ ok: false, damaged: [{ file: 'seg', problem: 'a file where a folder has to be' }] })
})

test('inspectRun() and listRuns() tell when a killed run was last written, and not when it began', async () => {
  const { runs } = newPlace()
  const program = `
    import { execute } from 'pawl'
    let begun
    const task = (n) => { const end = Date.now() + 10; while (Date.now() < end); return n }
    await execute(task, Array.from({ length: 1000 }, (_, n) => n), {
      runId: 'run', workers: 1, chunkSize: 1, checkpoint: { store: ${JSON.stringify(runs)}, every: 1 },
      on: { afterCheckpoint: () => { begun ??= Date.now(); if (Date.now() - begun > 300) { console.log(Date.now()); process.kill(process.pid, 'SIGKILL') } } },
    })`
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' })
  const killedAt = Number(stdout)
  const { lastWrite = 0, sessions } = await inspectRun(runs, 'run')
  expect(lastWrite - (sessions[0]?.began as number)).toBeGreaterThan(200)
  expect(lastWrite).toBeLessThanOrEqual(killedAt + 1000)
  expect((await listRuns(runs))[0]?.lastWrite).toBe(lastWrite)
})
