import { utimesSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Place } from '../../src/checkpoint/claims/place.ts'
import { deleteRun, inspectRun, listRuns } from '../../src/checkpoint/stored/runs.ts'
import { fileStore } from '../../src/store/file.ts'
import { temporaryDirectory } from '../store/place.ts'
import { open, outcomes, virtualClock } from './fixture.ts'

const ELSEWHERE: Place = { host: 'elsewhere', bootId: 'b', pidNamespace: 'n', pid: 1, processStart: '1' }
const KEY = 'run-1/lease/theirs'
const HOUR = 3_600_000

/** A run of three items with a claim from a machine whose clock is an hour behind, which `beat` writes again. */
async function newRun() {
  const directory = await temporaryDirectory()
  const store = fileStore(directory)
  const session = await open(store)
  session.record(outcomes([0, 1, 2]))
  await session.close()
  const clock = virtualClock()
  const base = { writer: 'theirs', shard: null, startedAt: 0, isHeld: true, ...ELSEWHERE }
  const beat = (today: number) =>
    store.put(KEY, Buffer.from(JSON.stringify({ ...base, beatAt: today - HOUR })), { replace: true, durable: false })
  await beat(clock.today())
  const keys = async () => (await store.list('')).map(({ key }) => key)
  return { directory, store, clock, beat, keys, path: join(directory, KEY) }
}

type Run = Awaited<ReturnType<typeof newRun>>

/** The clock of a run in which something happens as each second passes. */
const ticking = ({ clock }: Run, happens: (ms: number) => Promise<void>) => ({
  ...clock,
  now: clock.now,
  sleep: async (ms: number) => {
    await clock.sleep(ms)
    await happens(clock.time)
  },
})

describe('deleteRun() of a run of another machine, whose clock is an hour behind', () => {
  test('deletes nothing while that is at work', async () => {
    const run = await newRun()
    const before = await run.keys()
    const clock = ticking(run, async (ms) => {
      if (ms % 5000 === 0) await run.beat(run.clock.today())
    })
    await expect(deleteRun(run.store, 'run-1', { clock })).rejects.toMatchObject({
      code: 'ERR_PAWL_RUN_LOCKED',
      holder: { host: 'elsewhere' },
    })
    expect(run.clock.time).toBe(5000)
    expect(await run.keys()).toEqual(before)
  })

  test('deletes it once it did not beat for 15 s, and says that it waits', async () => {
    const run = await newRun()
    const said: string[] = []
    await deleteRun(run.store, 'run-1', { clock: run.clock, onWatch: (message) => said.push(message) })
    expect(run.clock.time).toBe(15_000)
    expect(await run.keys()).toEqual([])
    expect(said).toEqual([
      "Run 'run-1' was last at work in process 1 on elsewhere: waiting for up to 15 s to see whether it still is",
    ])
  })

  test('deletes it as soon as the claim is given back, and nothing when another was made meanwhile', async () => {
    const [one, other] = [await newRun(), await newRun()]
    await deleteRun(one.store, 'run-1', { clock: ticking(one, () => one.store.delete(KEY)) })
    expect([one.clock.time, await one.keys()]).toEqual([1000, []])
    const sessions: { close(): Promise<void> }[] = []
    const begin = async (ms: number) => {
      if (ms !== 14_000) return
      await other.store.delete(KEY)
      sessions.push(await open(other.store))
    }
    await expect(deleteRun(other.store, 'run-1', { clock: ticking(other, begin) })).rejects.toMatchObject({
      code: 'ERR_PAWL_RUN_LOCKED',
      holder: { pid: process.pid },
    })
    for (const session of sessions) await session.close()
  })

  test('refuses at once when its clock says that it has just beaten', async () => {
    const run = await newRun()
    await run.beat(run.clock.today() + HOUR)
    await expect(deleteRun(run.store, 'run-1', { clock: run.clock })).rejects.toMatchObject({ code: 'ERR_PAWL_RUN_LOCKED' })
    expect(run.clock.time).toBe(0)
  })
})

test('listRuns() and inspectRun() call a run live when its claim was written a moment ago, whatever the clock of its machine says', async () => {
  const { store, path, beat } = await newRun()
  await beat(Date.now())
  expect(await listRuns(store)).toMatchObject([{ runId: 'run-1', live: true }])
  expect(await inspectRun(store, 'run-1')).toMatchObject({ live: true, holders: [{ host: 'elsewhere' }] })
  const before = Date.now() / 1000 - 120
  utimesSync(path, before, before)
  expect(await listRuns(store)).toMatchObject([{ runId: 'run-1', live: false }])
  expect(await inspectRun(store, 'run-1')).toMatchObject({ live: false, holders: [] })
})
