import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { mulberry32 } from '../promises/killing.ts'
import { newDirectory } from '../resume/place.ts'
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
import { prepareSegments } from './strace.ts'
import { isSoak, note } from './tools.ts'

const ROUNDS = isSoak ? 60 : 6
const SEED = Number(process.env.PAWL_SEED ?? 1)

/** Both compact at once: there are as many segments as that needs, and nothing they stand for is kept. */
const work: Work = { items: 160, checkpoint: { every: 5, keep: 0 }, options: { workers: 1, chunkSize: 4 }, pace: 3 }
const SEGMENTS = 15

/** So slow that it writes nothing while another compacts. */
const slow: Work = { items: 36, checkpoint: { every: 1, keep: 0 }, options: { workers: 1, chunkSize: 1 }, pace: 150 }
const HARMS = ['nothing', 'stop', 'kill the first', 'kill the second'] as const

describe('two processes on one run', () => {
  test('that go to work all the same lose nothing, whatever becomes of one of them', { timeout: 1_200_000 }, async () => {
    const { template, before } = await newTemplate()
    const random = mulberry32(SEED)
    const seen = { rounds: 0, stops: 0, kills: 0, missing: 0 }
    for (let round = 0; round < ROUNDS; round++) {
      const place = copyOf(template, round)
      const harm = HARMS[round % HARMS.length] as (typeof HARMS)[number]
      const given = { ...work, isLeaseIgnored: true }
      const sessions = [startSession(place, given), startSession(place, given)] as const
      await sleep(random() * 500)
      await inflict(sessions, harm, random() * 300)
      const what = `${harm}, round ${round}, seed ${SEED}`
      seen.missing += await settle(place, before, sessions, work, what)
      seen.rounds++
      if (harm === 'stop') seen.stops++
      else if (harm !== 'nothing') seen.kills++
    }
    note('two-processes', seen)
  })

  test('of which the first lost its claim lose nothing, though the second is killed', { timeout: 1_200_000 }, async () => {
    const { template, before } = await newTemplate(slow)
    const random = mulberry32(SEED + 1)
    const seen = { rounds: 0, missing: 0 }
    for (let round = 0; round < ROUNDS; round++) {
      const place = copyOf(template, round)
      const first = startSession(place, slow)
      await first.until(({ announced }) => announced > before.announced)
      rmSync(join(place, 'run/lease'), { recursive: true })
      const second = startSession(place, slow)
      await sleep(200 + random() * 400)
      second.child.kill('SIGKILL')
      seen.missing += await settle(place, before, [first, second], slow, `round ${round}, seed ${SEED}`)
      seen.rounds++
    }
    note('two-processes-no-claim', seen)
  })

  // Real time: a claim from elsewhere is watched for 15 s, so all that are watched are so together.
  test('of which the first is stopped past its claim and goes on lose nothing', { timeout: 300_000 }, async () => {
    const rounds = Array.from({ length: isSoak ? 8 : 2 }, (_, round) => round)
    const missing = await Promise.all(rounds.map(takeOverStopped))
    note('two-processes-stopped', { rounds: rounds.length, missing: missing.reduce((a, b) => a + b) })
  })
})

async function newTemplate(given: Work = work, segments = SEGMENTS): Promise<{ template: string; before: Oracle }> {
  const template = join(newDirectory(), 'template')
  mkdirSync(template)
  return { template, before: await prepareSegments(template, given, segments) }
}

function copyOf(template: string, round: number): string {
  const place = `${template}-${round}`
  cpSync(template, place, { recursive: true })
  return place
}

/** A process elsewhere is stopped, its run taken over and left, by another compacted and left, and it goes on. Gives what is missing. */
async function takeOverStopped(round: number): Promise<number> {
  // One less, so that the third compacts as it begins, when the claim of the first is gone.
  const { template, before } = await newTemplate(slow, SEGMENTS - 1)
  const place = copyOf(template, round)
  const given: Work = { ...slow, isWhole: round % 2 === 1 }
  const first = startSession(place, { ...given, host: 'another-host' })
  await first.until(({ announced }) => announced > before.announced + (round % 4))
  first.child.kill('SIGSTOP')
  const began = performance.now()
  const toLeave: Work = { ...given, options: { ...given.options, preempt: { signals: true } } }
  const second = startSession(place, toLeave)
  await second.until(({ announced }) => announced > first.announced + 1)
  expect(performance.now() - began).toBeGreaterThan(15_000)
  await leave(second)
  const segments = readdirSync(join(place, 'run/seg')).map((name) => join(place, 'run/seg', name))
  const third = startSession(place, toLeave)
  await third.until(() => !segments.some((path) => existsSync(path)))
  await leave(third)
  expect(readdirSync(join(place, 'run/snap')).length).toBeGreaterThan(0)
  first.child.kill('SIGCONT')
  const oracle = newOracle(before)
  remember(oracle, second)
  remember(oracle, third)
  return settle(place, oracle, [first], given, `stopped, round ${round}`)
}

async function leave(session: Session): Promise<void> {
  session.child.kill('SIGTERM')
  await session.ended
  expect(session.refused).toMatchObject({ code: 'ERR_PAWL_ABORTED' })
}

async function inflict(
  [first, second]: readonly [Session, Session],
  harm: (typeof HARMS)[number],
  lasting: number,
): Promise<void> {
  if (harm === 'kill the first') first.child.kill('SIGKILL')
  if (harm === 'kill the second') second.child.kill('SIGKILL')
  if (harm !== 'stop') return
  first.child.kill('SIGSTOP')
  await sleep(lasting)
  first.child.kill('SIGCONT')
}

/** Waits for the sessions, and checks that what both acknowledged is there and that a third completes the run. Gives what is missing. */
async function settle(place: string, before: Oracle, sessions: readonly Session[], given: Work, what: string): Promise<number> {
  const oracle = newOracle(before)
  for (const session of sessions) {
    await session.ended
    expect(session.refused, what).toBeUndefined()
    if (session.done) checkResults(given, session.done)
    remember(oracle, session)
  }
  const missing = await countMissing(place, oracle, 'steady', what)
  expect(missing, `acknowledged and missing: ${what}`).toBeLessThanOrEqual(0)
  const { stats } = await finishRun(place, given, oracle)
  expect(stats.restored, what).toBeGreaterThanOrEqual(oracle.announced)
  rmSync(place, { recursive: true })
  return Math.max(0, missing)
}
