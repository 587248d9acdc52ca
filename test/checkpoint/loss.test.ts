import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execute, inspectRun, verifyRun } from 'pawl'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { toRunFile } from '../../src/checkpoint/format/run-file.ts'
import { fingerprintOf } from '../../src/checkpoint/identity/fingerprint.ts'
import { newReport } from '../../src/checkpoint/reading/file-report.ts'
import { type Located, readFrames } from '../../src/checkpoint/reading/read-file.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import { abandon, FORMS, failing, IDENTITY, open, outcomes, rejection } from './fixture.ts'

const ITEMS = Array.from({ length: 600 }, (_, n) => n)
const toRecord = (n: number) => ({ id: n, text: `value ${n * 7919}` })

describe.each(FORMS)('a finished run of $format, $compress that is damaged somewhere', (form) => {
  let directory: string
  let path: string
  let whole: Buffer
  /** Where its end is: what ends a session is its last frame. */
  let end: number

  const run = (warnings: string[] = []) =>
    execute(toRecord, ITEMS, {
      ...{ runId: 'run', chunkSize: 20, workers: 1, on: { warning: ({ message }) => void warnings.push(message) } },
      checkpoint: { store: directory, ...form, every: 60, durability: 'none' },
    })
  const damage = (from: number, length: number) => {
    const bytes = Buffer.from(whole)
    for (let at = from; at < Math.min(from + length, bytes.length); at++) bytes.writeUInt8((bytes[at] as number) ^ 0x55, at)
    writeFileSync(path, bytes)
  }

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'pawl-'))
    await run()
    const folder = join(directory, 'run', 'seg')
    path = join(folder, readdirSync(folder)[0] as string)
    whole = readFileSync(path)
    end = whole.length - (form.compress === 'gzip' ? 200 : 150)
  })
  afterAll(() => writeFileSync(path, whole))

  test.each([1, 40, 400, 4000])('%i bytes: as many are damaged as have to run again', async (length) => {
    const counts = new Set<number>()
    for (let from = 1; from + length < end; from += Math.ceil(end / 40)) {
      damage(from, length)
      const { damaged, done, total } = await inspectRun(directory, 'run')
      expect(damaged, `bytes ${from} to ${from + length}`).toBe((total as number) - done)
      counts.add(damaged)
    }
    if (whole.length > length * 2) expect(Math.max(...counts)).toBeGreaterThan(0)
  })

  test('behind the last of them: no more are than have to run again', async () => {
    for (let from = end; from < whole.length; from += 7) {
      damage(from - 300, 1000)
      const { damaged, done, total } = await inspectRun(directory, 'run')
      expect(damaged).toBeLessThanOrEqual((total as number) - done)
    }
  })

  test('the session that runs them counts them, the warning and verifyRun name the number', async () => {
    const middle = Math.floor(whole.length / 2)
    damage(middle, 500)
    const { damaged } = await inspectRun(directory, 'run')
    expect(damaged).toBeGreaterThan(0)
    const told = (await verifyRun(directory, 'run')).damaged.flatMap(({ problem }) => problem.match(/\d+(?= items)/g) ?? [])
    expect(told.reduce((sum, count) => sum + Number(count), 0)).toBe(damaged)
    const warnings: string[] = []
    const { stats } = await run(warnings)
    expect(stats).toMatchObject({ damaged, dispatched: damaged })
    expect(warnings.filter((message) => message.includes(`(${damaged} items)`))).toHaveLength(1)
  })
})

/** Spoils those frames of the run that `isChosen`, heads and all. */
async function spoil(store: Store, isChosen: (frame: Located) => boolean, identity = IDENTITY): Promise<void> {
  for (const folder of ['seg', 'snap']) {
    for (const { key, size } of await store.list(`run-1/${folder}/`)) {
      const bytes = Buffer.from((await store.get(key)) as Uint8Array)
      const file = toRunFile(key, size)
      if (file === undefined) throw new Error(`${key} is no file of a run`)
      let isChanged = false
      for await (const frames of readFrames(store, file, fingerprintOf(identity), true, newReport())) {
        for (const frame of frames.filter(isChosen)) {
          bytes.fill(0x55, frame.start + 2, frame.bodyStart)
          isChanged = true
        }
      }
      if (isChanged) await store.put(key, bytes, { replace: true })
    }
  }
}

const range = (from: number, count: number) => Array.from({ length: count }, (_, at) => from + at)
const isOf =
  (kind: 'outcomes' | 'running', ...first: number[]) =>
  ({ head }: Located) =>
    head.kind === kind && first.includes(head.runs[0] as number)
const isNote = ({ head }: Located) => head.kind === 'running'

const PLACES = [
  ['by index', IDENTITY],
  ['by key', { ...IDENTITY, key: 'k' }],
] as const

describe.each(PLACES)('of sessions that left unsettled what they had begun, %s', (_, identity) => {
  const options = { identity, every: 1 }
  const keyed = (indices: number[]) => (identity.key === 'index' ? {} : { keys: indices.map((n) => `key ${n}`) })
  const begin = async (session: Awaited<ReturnType<typeof open>>, from: number, count = 10) => {
    const indices = range(from, count)
    await session.begin({ indices: Uint32Array.from(indices), ...keyed(indices) })
  }
  const settle = async (session: Awaited<ReturnType<typeof open>>, from: number, count = 10) => {
    const indices = range(from, count)
    const { fulfilled } = outcomes(indices)
    session.record({ rejected: [], fulfilled: fulfilled.map((batch) => ({ ...batch, ...keyed(indices) })) })
    await session.flush()
  }
  /** Begins 0 to 49, by tens, and settles all but 10 to 19. */
  const begun = async (store: Store) => {
    const session = await open(store, options)
    for (const from of [0, 10, 20, 30, 40]) await begin(session, from)
    for (const from of [0, 20, 30, 40]) await settle(session, from)
    return session
  }
  const damagedIn = async (store: Store) => (await inspectRun(store, 'run-1')).damaged

  test('none is damaged where the files are whole', async () => {
    const ended = memoryStore()
    await (await begun(ended)).close()
    expect(await damagedIn(ended)).toBe(0)
    const killed = memoryStore()
    await abandon(killed, await begun(killed))
    expect(await damagedIn(killed)).toBe(0)
    const next = await open(killed, options)
    expect(next.restored.damaged).toBe(0)
    await next.close()
  })

  test('what a drain gave up is not counted with what is lost', async () => {
    const store = memoryStore()
    await (await begun(store)).close()
    await spoil(store, isOf('outcomes', 20), identity)
    expect(await damagedIn(store)).toBe(10)
    const next = await open(store, options)
    expect(next.restored.damaged).toBe(10)
    await next.close()
  })

  test('nor does it matter that the notes of them are lost, too', async () => {
    const store = memoryStore()
    await (await begun(store)).close()
    await spoil(store, (frame) => isOf('outcomes', 20, 30)(frame) || isNote(frame), identity)
    expect(await damagedIn(store)).toBe(20)
  })

  test('what another session has recorded again is not lost any more', async () => {
    const store = memoryStore()
    const first = await begun(store)
    await settle(first, 10)
    await first.close()
    await spoil(store, isOf('outcomes', 20, 30), identity)
    const second = await open(store, options)
    await begin(second, 20)
    await settle(second, 20)
    expect(second.restored.damaged).toBe(20)
    await second.close()
    expect(await damagedIn(store)).toBe(10)
  })

  test('of a killed session, what was begun behind the damage is not counted', async () => {
    const store = memoryStore()
    const session = await begun(store)
    await begin(session, 60)
    await settle(session, 80)
    await abandon(store, session)
    await spoil(store, isOf('outcomes', 20), identity)
    expect(await damagedIn(store)).toBe(20) // 10 to 19 were in flight: nobody can tell that they were not recorded there.
    const next = await open(store, options)
    expect(next.events.map(({ payload }) => payload)).toEqual([
      { code: 'CHECKPOINT_DAMAGED', message: expect.stringContaining('(about 20 items) runs again') },
    ])
    await next.close()
  })
})

test('failures are counted, too', async () => {
  const store = memoryStore()
  const session = await open(store)
  await session.begin({ indices: Uint32Array.of(0, 1) })
  session.record(outcomes([0]))
  session.record(failing(rejection(1, new Error('failed'))))
  await session.close()
  await spoil(store, ({ head }) => head.kind === 'failure')
  expect((await inspectRun(store, 'run-1')).damaged).toBe(1)
})
