import { cpSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { newDirectory } from '../resume/place.ts'
import { resultOf } from './fixtures/outcomes.mjs'
import { countMissing, finishRun, newOracle, type Oracle, remember, type Session, startSession, type Work } from './session.ts'
import { countUnharmed, injecting, prepareSegments } from './strace.ts'
import { forEachAtOnce, isSoak, nameOf, note, whyNot } from './tools.ts'

const reason = whyNot(['strace'])
const ERRORS = ['EIO', 'ENOSPC', 'EDQUOT']
const options = { workers: 1, chunkSize: 2 }
const flush: Work = { items: 12, checkpoint: { every: 4, interval: 60_000 }, options }
const compaction: Work = { items: 36, checkpoint: { every: 4, interval: 60_000, keep: 0 }, options }

describe.skipIf(reason)(nameOf('an error at any of the system calls', reason), () => {
  const cases: [string, Work, number][] = [['a flush', flush, 0]]
  if (isSoak)
    cases.push(['a flush into files that do not grow', { ...flush, isWhole: true }, 0], ['a compaction', compaction, 15])

  test.each(cases)('of %s is got over', { timeout: 1_200_000 }, async (_, work, segments) => {
    const directory = newDirectory()
    const template = join(directory, 'template')
    mkdirSync(template)
    const before = await prepareSegments(template, work, segments)
    const counts = await countUnharmed(directory, template, work)
    const seen = { errors: 0, wentOn: 0, refusedAtStart: 0, missing: 0 }
    const faults = [...counts].flatMap(([call, count]) => faultsOf(call, count))
    await forEachAtOnce(faults, 2, async ([call, fault]) => {
      const place = join(directory, `${call}-${fault}`)
      cpSync(template, place, { recursive: true })
      const oracle = newOracle(before)
      const session = await startSession(place, work, injecting(call, fault)).ended
      remember(oracle, session)
      seen.errors++
      if (session.done) seen.wentOn++
      else seen.refusedAtStart++
      // Only where nothing has begun yet may a single error end the run.
      if (!session.done) expect(session.refused?.message, `${call} ${fault}`).toContain('Nothing was run')
      seen.missing += await checkAfter(place, work, oracle, `${call} ${fault}`)
      if (session.done) expect(oracle.announced, `${call} ${fault}`).toBe(work.items)
      rmSync(place, { recursive: true })
    })
    note('error-once', seen)
  })

  test('that stays ends the run with all results in hand', { timeout: 1_200_000 }, async () => {
    const directory = newDirectory()
    const empty = join(directory, 'empty')
    mkdirSync(empty)
    const counts = await countUnharmed(directory, empty, flush)
    const calls = isSoak ? ['pwrite64', 'fdatasync', 'fsync'] : ['pwrite64', 'fdatasync']
    const faults = calls.flatMap((call) => lasting(call, counts.get(call) ?? 0))
    const seen = { errors: 0, resultsInHand: 0, missing: 0 }
    await forEachAtOnce(faults, 2, async ([call, fault]) => {
      const place = join(directory, `${call}-${fault}`)
      const oracle = newOracle()
      const session = await startSession(place, { ...flush, speed: 30 }, injecting(call, fault)).ended
      remember(oracle, session)
      seen.errors++
      if (!session.done) seen.resultsInHand += checkRefusal(session, fault)
      seen.missing += await checkAfter(place, flush, oracle, `${call} ${fault}`)
    })
    expect(seen.resultsInHand).toBeGreaterThan(0)
    note('error-for-good', seen)
  })
})

describe.skipIf(whyNot(['fiu-run']))(nameOf('errors at random system calls', whyNot(['fiu-run'])), () => {
  test('cost tries and nothing else', { timeout: 600_000 }, async () => {
    // Many are refused as they begin, when nothing was run yet; so many are to get past that.
    const wanted = isSoak ? 20 : 3
    const work: Work = { items: 200, checkpoint: { every: 10 }, options: { workers: 2, chunkSize: 5 }, pace: 1 }
    const points = [
      'rw/pwrite',
      'rw/pwrite/reduce',
      'sync/fdatasync',
      'sync/fsync',
      'dir/rename',
      'dir/link',
      'dir/unlink',
      'dir/mkdir',
    ]
    const rules = points.flatMap((point) => ['-c', `enable_random name=posix/io/${point},probability=0.1`])
    const seen = { sessions: 0, wentOn: 0, missing: 0 }
    await forEachAtOnce(Array(wanted * 30).keys(), 2, async () => {
      if (seen.wentOn >= wanted) return
      const place = newDirectory()
      const oracle = newOracle()
      const session = await startSession(place, work, ['fiu-run', '-x', ...rules]).ended
      remember(oracle, session)
      if (!session.done) expect(session.refused?.message).toContain('Nothing was run')
      seen.sessions++
      if (session.done) seen.wentOn++
      seen.missing += await checkAfter(place, work, oracle, 'random errors')
    })
    expect(seen.wentOn).toBeGreaterThanOrEqual(wanted)
    note('error-random', seen)
  })
})

/** An error at each of `count` calls, and at writes also one that takes nothing. libuv does short ones again by itself. */
function faultsOf(call: string, count: number): [string, string][] {
  return Array.from({ length: count }, (_, k) => {
    const errors = isSoak ? ERRORS : [ERRORS[k % ERRORS.length]]
    const faults = errors.map((error) => `error=${error}:when=${k + 1}`)
    return call === 'pwrite64' ? [...faults, `retval=0:when=${k + 1}`] : faults
  }).flatMap((faults) => faults.map((fault): [string, string] => [call, fault]))
}

/** From one of the calls on, errors only: from each in the soak, else from the last but one. */
function lasting(call: string, count: number): [string, string][] {
  const first = isSoak ? 1 : Math.max(1, count - 1)
  return Array.from({ length: count - first + 1 }, (_, k) => [call, `error=${ERRORS[k % ERRORS.length]}:when=${first + k}+`])
}

/** The error says why, and has what was done: 1 when items had been run. */
function checkRefusal({ refused, durable }: Session, fault: string): number {
  expect(refused, fault).toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_WRITE' })
  expect(fault).toContain(refused?.cause ?? 'no cause')
  if (refused?.message.includes('Nothing was run')) return 0
  const results = refused?.results ?? []
  const finished = results.flatMap((value, n) => (value === null || value === undefined ? [] : [n]))
  expect(finished.length, fault).toBe(refused?.stats?.succeeded)
  expect(finished.length, fault).toBe(refused?.stats?.dispatched)
  for (const n of finished) expect(results[n], fault).toEqual(resultOf(n))
  for (const n of durable) expect(finished, fault).toContain(n)
  return finished.length > 0 ? 1 : 0
}

/** Nothing acknowledged is missing, and another session completes the run. */
async function checkAfter(place: string, work: Work, oracle: Oracle, fault: string): Promise<number> {
  const missing = await countMissing(place, oracle, 'steady', fault)
  expect(missing, `acknowledged and missing, after ${fault}`).toBeLessThanOrEqual(0)
  const { stats } = await finishRun(place, work, oracle)
  expect(stats.restored, `restored, after ${fault}`).toBeGreaterThanOrEqual(oracle.announced)
  return Math.max(0, missing)
}
