import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ExecuteOptions, execute, type TaskContext, type TaskRef } from 'pawl'
import { describe, expect, test } from 'vitest'
import { errorOf, newPlace, range } from './place.ts'

const PROGRAM = join(import.meta.dirname, '../fixtures/programs/backing-off-run.mjs')
const TASK = new URL('../fixtures/tasks/moody.mjs', import.meta.url)

interface BackingOff {
  readonly checkpoint: { readonly store: string; readonly format?: 'msgpack' | 'json' }
  readonly isKeyed?: boolean
  readonly isIterable?: boolean
}

/** Starts a run, kills it when its items wait to be tried again, and gives how it ended and what it said. */
async function startBackingOff(given: BackingOff): Promise<{ signal: NodeJS.Signals | null; said: string }> {
  const child = spawn(process.execPath, [PROGRAM, JSON.stringify(given)], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.on('data', (text) => {
    said += text
    if (said === 'waiting\n') child.kill('SIGKILL')
  })
  await once(child, 'close')
  return { signal: child.signalCode, said }
}

/** Starts a session, ends it once an event of that name came, and gives its report. */
async function leaveAt(event: 'retry' | 'workerExit', task: TaskRef<number, unknown>, options: ExecuteOptions<number>) {
  const abort = new AbortController()
  const on = { [event]: () => abort.abort(new Error('enough')) }
  const error = await errorOf(execute(task, [7], { runId: 'run', workers: 1, ...options, signal: abort.signal, on }))
  expect(error.code).toBe('ERR_PAWL_ABORTED')
  return error.report
}

describe('an item that waits to be tried again as its process is killed', () => {
  test.each<[string, Omit<BackingOff, 'checkpoint'>, 'msgpack' | 'json']>([
    ['of an array', {}, 'msgpack'],
    ['of an array', {}, 'json'],
    ['with a key', { isKeyed: true }, 'msgpack'],
    ['with a key', { isKeyed: true }, 'json'],
    ['of an iterable', { isIterable: true }, 'msgpack'],
  ])('is no suspect, and its attempts count: %s, %s, %s', { timeout: 30_000 }, async (_, given, format) => {
    const { directory, runs: store } = newPlace()
    const checkpoint = { store, format }
    writeFileSync(join(directory, 'fails'), '')
    for (const _ of range(3)) expect(await startBackingOff({ checkpoint, ...given })).toMatchObject({ said: 'waiting\n' })
    rmSync(join(directory, 'fails'))
    const items = range(8)
    const { results, failures, stats } = await execute<number, number[]>(TASK, given.isIterable ? items.values() : items, {
      ...{ runId: 'run', checkpoint, workers: 2, chunkSize: 4 },
      ...(given.isKeyed ? { key: (n: number) => `item ${n}` } : {}),
    })
    expect(failures).toEqual([])
    expect(results).toEqual(items.map((n) => [n, 4]))
    expect(stats.chunks).toBeLessThan(8) // A suspect has a chunk to itself.
  })

  test('is a suspect again once it runs, and is given up when it kills', { timeout: 30_000 }, async () => {
    const { directory, runs: store } = newPlace()
    const given = { checkpoint: { store } }
    writeFileSync(join(directory, 'fails'), '')
    await startBackingOff(given)
    rmSync(join(directory, 'fails'))
    writeFileSync(join(directory, 'kills'), '5')
    let last = await startBackingOff(given)
    for (let deaths = 1; last.signal === 'SIGKILL' && deaths < 10; deaths++) last = await startBackingOff(given)
    expect(last).toEqual({ signal: null, said: '[[5,2]]\n' })
  })
})

describe('a drain keeps what was tried', () => {
  test.each(['msgpack', 'json'] as const)('attempts, of an item that waits to be tried again, recorded as %s', async (format) => {
    const { directory, runs: store } = newPlace()
    const checkpoint = { store, format }
    writeFileSync(join(directory, 'fails'), '')
    for (const _ of range(3)) {
      const report = await leaveAt('retry', TASK, { checkpoint, retry: { retries: 1, minTimeout: 60_000 } })
      expect(report?.stats).toMatchObject({ dispatched: 1, attempts: 1 })
    }
    rmSync(join(directory, 'fails'))
    const { results } = await execute<number, number[]>(TASK, [7], { runId: 'run', checkpoint })
    expect(results).toEqual([[7, 4]])
  })

  test('crashes, of an item that takes its worker down, so that it is given up in the end', async () => {
    const checkpoint = newPlace().runs
    const crash = () => process.exit(2)
    for (const _ of range(2)) await leaveAt('workerExit', crash, { checkpoint, maxCrashes: 3 })
    const options = { runId: 'run', checkpoint, workers: 1, maxCrashes: 3, maxFailures: 1 }
    const { failures, stats } = await execute(crash, [7], options)
    expect(failures).toMatchObject([{ kind: 'crash', crashes: 3, attempts: 3 }])
    expect(stats).toMatchObject({ crashes: 1, attempts: 1 })
  })

  test('attempts that were lost with a worker, of the items before the one that took it down', async () => {
    const checkpoint = newPlace().runs
    const crashOnce = (n: number, { attempt }: TaskContext) => (n === 1 && attempt === 1 ? process.exit(2) : attempt)
    const abort = new AbortController()
    const on = { workerExit: () => abort.abort(new Error('enough')) }
    const options = { runId: 'run', checkpoint, workers: 1, chunkSize: 2 }
    const { report } = await errorOf(execute(crashOnce, [0, 1], { ...options, signal: abort.signal, on }))
    expect(report?.stats).toMatchObject({ dispatched: 2, attempts: 2, crashes: 1, succeeded: 0 })
    expect((await execute(crashOnce, [0, 1], options)).results).toEqual([2, 2])
  })

  test('but a failure on record is counted anew', async () => {
    const checkpoint = newPlace().runs
    const fail = () => {
      throw new Error('no')
    }
    await leaveAt('retry', fail, { checkpoint, retry: { retries: 1, minTimeout: 60_000 } })
    const options = { runId: 'run', checkpoint, workers: 1, maxFailures: 1 }
    const { failures } = await execute(fail, [7], options)
    expect(failures).toMatchObject([{ attempts: 2 }])
    const again = await execute(fail, [7], options)
    expect(again.failures).toMatchObject([{ attempts: 1 }])
  })
})
