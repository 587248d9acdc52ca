import { describe, expect, test } from 'vitest'
import { mulberry32 } from '../promises/killing.ts'
import { newDirectory } from '../resume/place.ts'
import { atRandom, countMissing, finishRun, newOracle, remember, startSession, type Work } from './session.ts'
import { forEachAtOnce, isSoak, note } from './tools.ts'

const SEED = Number(process.env.PAWL_SEED ?? 1)
const KILLS = isSoak ? 200 : 20

/** A run is killed so often at most, and then left to end. */
const KILLS_PER_RUN = isSoak ? 25 : 10

describe('a run that is killed again and again', () => {
  const name = `at ${KILLS} random moments, while items fail, hang and are tried again, keeps what it acknowledged`
  test(name, { timeout: 1_800_000 }, async () => {
    const seen = { kills: 0, runs: 0, acknowledged: 0, failures: 0, missing: 0 }
    await forEachAtOnce([0, 1], 2, async (lane) => {
      for (let run = lane; seen.kills < KILLS; run += 2) {
        const random = mulberry32(SEED + run)
        const place = newDirectory()
        const work = workOf(run)
        const oracle = newOracle()
        for (let kills = 0, isDone = false; kills < KILLS_PER_RUN && !isDone; kills++) {
          const session = startSession(place, work)
          await atRandom(session, random)
          session.child.kill('SIGKILL')
          await session.ended
          remember(oracle, session)
          const what = `seed ${SEED}, run ${run}, kill ${kills}`
          expect(session.refused, what).toBeUndefined()
          expect(session.warnings, what).toEqual([])
          const missing = await countMissing(place, oracle, 'stormy', what)
          expect(missing, `acknowledged and missing: ${what}`).toBeLessThanOrEqual(0)
          seen.missing += Math.max(0, missing)
          isDone = session.done !== undefined
          if (!isDone) seen.kills++
        }
        seen.acknowledged += oracle.announced
        const { stats } = await finishRun(place, work, oracle)
        seen.runs++
        seen.failures += stats.failed
      }
    })
    note('random-kills', seen)
  })
})

/** Runs differ in how they are recorded; in each second one failures are kept from one session to the next. */
function workOf(run: number): Work {
  return {
    task: 'stormy',
    items: 1500,
    checkpoint: {
      ...{ every: 20, interval: 50, keep: run % 3 },
      format: run % 2 === 0 ? 'msgpack' : 'json',
      compress: run % 4 >= 2 ? 'gzip' : 'none',
    },
    options: {
      // Who is killed from outside is no killer, however often it happens.
      ...{ workers: 2, chunkSize: 10, timeout: 100, maxCrashes: 1_000_000 },
      retry: { retries: 2, minTimeout: 10 },
      retryFailed: run % 2 === 0,
    },
    isWhole: run % 4 === 1 || run % 4 === 2,
    pace: 2,
  }
}
