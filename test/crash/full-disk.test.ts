import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { newDirectory } from '../resume/place.ts'
import { resultOf } from './fixtures/outcomes.mjs'
import { newMountSpace } from './mounts.ts'
import {
  checkResults,
  countMissing,
  finishRun,
  newOracle,
  type Oracle,
  remember,
  type Session,
  startSession,
  type Work,
} from './session.ts'
import { isSoak, nameOf, note, whyNot } from './tools.ts'

const noRoot = whyNot(['unshare', 'nsenter', 'mount'], true)
const noLimits = whyNot(['prlimit'])
const TIMES = isSoak ? 10 : 2
const work: Work = { items: 600, checkpoint: { every: 10 }, options: { workers: 1, chunkSize: 5 }, pace: 2 }
const whole: Work = { ...work, isWhole: true }

/** How long a fault lasts, in ms: some tries of the store. */
const LASTS = 500

/** From 0 to TIMES. */
const times = Array.from({ length: TIMES }, (_, n) => n)

describe('a store that fails for a while', () => {
  test.skipIf(noRoot).each(times)(nameOf('for want of space goes on when there is space again: %i', noRoot), async () => {
    const space = await newMountSpace()
    space.run(`mount -t tmpfs -o size=256k tmpfs ${space.point}`)
    await disturb('full', space.seen, startSession(space.point, work, space.inside), work, {
      begin: () => space.run(`dd if=/dev/zero of=${space.point}/ballast bs=4k 2>/dev/null || true`),
      end: () => space.run(`rm ${space.point}/ballast`),
    })
  })

  test.skipIf(noRoot).each(times)(
    nameOf('because it is read-only goes on when it can be written again: %i', noRoot),
    async () => {
      const space = await newMountSpace()
      space.run(`mount -t tmpfs -o size=4m tmpfs ${space.point}`)
      // Refused as busy while a file is open for writing, so it is asked until it is not.
      const remount = (how: string) => space.run(`until mount -o remount,${how} ${space.point} 2>/dev/null; do :; done`)
      await disturb('read-only', space.seen, startSession(space.point, whole, space.inside), whole, {
        begin: () => remount('ro'),
        end: () => remount('rw'),
      })
    },
  )

  test.skipIf(noLimits).each(times)(
    nameOf('for want of file descriptors goes on when there are some: %i', noLimits),
    async () => {
      const place = newDirectory()
      const session = startSession(place, whole)
      const limit = (count: number) => setLimit(session, count)
      await disturb('descriptors', place, session, whole, { begin: () => limit(10), end: () => limit(1024) })
    },
  )

  test.skipIf(noLimits).each(times)(nameOf('at the largest size of a file goes on in a new one: %i', noLimits), async (n) => {
    const place = newDirectory()
    // The limit cuts a write in the middle of a frame: a short write, and then EFBIG.
    const session = startSession(place, work, ['prlimit', `--fsize=${16_000 + 37 * n}`])
    const oracle = newOracle()
    remember(oracle, await session.ended)
    expect(session.refused).toBeUndefined()
    checkResults(work, session.done as NonNullable<Session['done']>)
    note('limit', { faults: 1, wentOn: 1, missing: await checkAfter(place, work, oracle) })
  })
})

test.skipIf(noLimits).each(['msgpack', 'json'] as const)(
  nameOf('a flush of more than a file may hold goes to several: %s', noLimits),
  async (format) => {
    const place = newDirectory()
    const given: Work = {
      items: 600,
      checkpoint: { every: 600, interval: 60_000, format },
      options: { workers: 1, chunkSize: 600 },
    }
    const session = startSession(place, given, ['prlimit', '--fsize=6000'])
    const oracle = newOracle()
    remember(oracle, await session.ended)
    expect(session.refused).toBeUndefined()
    checkResults(given, session.done as NonNullable<Session['done']>)
    expect(oracle.announced).toBe(600)
    expect(readdirSync(join(place, 'run/seg')).length).toBeGreaterThan(2)
    note('limit', { faults: 1, wentOn: 1, missing: await checkAfter(place, given, oracle) })
  },
)

test.skipIf(noRoot)(
  nameOf('a try that finds no room gives back what it took: room made bit by bit is enough', noRoot),
  { timeout: 60_000 },
  async () => {
    const space = await newMountSpace()
    const ballast = `${space.point}/ballast`
    const give = (kilobytes: number) => space.run(`truncate -s -${kilobytes}k ${ballast}`)
    space.run(`mount -t tmpfs -o size=256k tmpfs ${space.point}; dd if=/dev/zero of=${ballast} bs=4k 2>/dev/null || true`)
    give(24) // For what comes before the outcomes: manifest, claim and notes.
    const given: Work = {
      items: 600,
      checkpoint: { every: 600, interval: 60_000 },
      options: { workers: 1, chunkSize: 600 },
    }
    const session = startSession(space.point, given, space.inside)
    const segments = join(space.seen, 'run/seg')
    // For each try, which begins a segment, less than all outcomes take.
    const giveByTries = async () => {
      for (let given = 0; session.code === 'alive'; await sleep(1)) {
        const tries = existsSync(segments) ? readdirSync(segments).length : 0
        if (tries <= given) continue
        give(4 * (tries - given))
        given = tries
      }
    }
    await Promise.all([session.ended, giveByTries()])
    expect(session.refused).toBeUndefined()
    checkResults(given, session.done as NonNullable<Session['done']>)
    const oracle: Oracle = newOracle()
    remember(oracle, session)
    note('bit-by-bit', { faults: 1, wentOn: 1, missing: await checkAfter(space.seen, given, oracle) })
  },
)

describe('a store that fails for good', () => {
  // Real time: the store is tried for 30 s, so all that wait do so together.
  const name = 'for want of space, or because it is read-only, ends the run after 30 s, with all results in hand'
  test.skipIf(noRoot)(nameOf(name, noRoot), { timeout: 120_000 }, async () => {
    await Promise.all([endOnFullDisk(whole), endOnReadOnly(whole)])
  })
})

/** Lets the session work, begins a fault, ends it when the session has felt it, and expects it to go on by itself. */
async function disturb(
  row: string,
  seen: string,
  session: Session,
  given: Work,
  fault: { begin(): void; end(): void },
): Promise<void> {
  const oracle = newOracle()
  await session.until(({ announced }) => announced >= 50)
  fault.begin()
  // What was under way may still end well, and the last page of an open file have room.
  await sleep(LASTS)
  const during = session.announced
  await sleep(LASTS)
  const after = session.announced
  fault.end()
  remember(oracle, await session.ended)
  expect(after, 'flushed in spite of the fault').toBe(during)
  expect(after).toBeLessThan(given.items)
  expect(session.refused).toBeUndefined()
  expect(session.warnings).toEqual([])
  expect(oracle.announced).toBe(given.items)
  checkResults(given, session.done as NonNullable<Session['done']>)
  note(row, { faults: 1, wentOn: 1, missing: await checkAfter(seen, given, oracle) })
}

async function endOnFullDisk(given: Work): Promise<void> {
  const space = await newMountSpace()
  space.run(`mount -t tmpfs -o size=256k tmpfs ${space.point}`)
  const fill = () => space.run(`dd if=/dev/zero of=${space.point}/ballast bs=4k 2>/dev/null || true`)
  await endForGood('full-for-good', space, given, 'ENOSPC', fill)
}

async function endOnReadOnly(given: Work): Promise<void> {
  const space = await newMountSpace()
  space.run(`mount -t tmpfs -o size=4m tmpfs ${space.point}`)
  const lock = () => space.run(`until mount -o remount,ro ${space.point} 2>/dev/null; do :; done`)
  await endForGood('read-only-for-good', space, given, 'EROFS', lock)
}

async function endForGood(
  row: string,
  space: Awaited<ReturnType<typeof newMountSpace>>,
  given: Work,
  cause: string,
  begin: () => void,
): Promise<void> {
  const session = startSession(space.point, given, space.inside)
  await session.until(({ announced }) => announced >= 50)
  begin()
  const began = performance.now()
  await session.ended
  const took = performance.now() - began
  expect(session.refused).toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_WRITE', cause })
  expect(took).toBeGreaterThan(29_000)
  expect(took).toBeLessThan(38_000)
  const { results = [], stats } = session.refused ?? {}
  const finished = results.flatMap((value, n) => (value == null ? [] : [n]))
  expect(finished).toHaveLength(stats?.succeeded ?? -1)
  expect(stats?.dispatched).toBe(stats?.succeeded)
  expect(finished.length).toBeGreaterThanOrEqual(session.announced)
  for (const n of finished) expect(results[n]).toEqual(resultOf(n))
  space.run(`mount -o remount,rw ${space.point}; rm -f ${space.point}/ballast`)
  const oracle: Oracle = newOracle()
  remember(oracle, session)
  note(row, { faults: 1, resultsInHand: 1, missing: await checkAfter(space.seen, given, oracle) })
}

async function checkAfter(place: string, given: Work, oracle: Oracle): Promise<number> {
  const missing = await countMissing(place, oracle)
  expect(missing, 'acknowledged and missing').toBeLessThanOrEqual(0)
  const { stats } = await finishRun(place, given, oracle)
  expect(stats.restored).toBeGreaterThanOrEqual(oracle.announced)
  return Math.max(0, missing)
}

/** Only the soft limit: so that it can be raised again. */
function setLimit({ child }: Session, count: number): void {
  execFileSync('prlimit', ['--pid', String(child.pid), `--nofile=${count}:`])
}
