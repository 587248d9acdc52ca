import { cpSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { newDirectory } from '../resume/place.ts'
import { countMissing, finishRun, newOracle, remember, startSession, type Work } from './session.ts'
import { countUnharmed, injecting, prepareSegments } from './strace.ts'
import { forEachAtOnce, isSoak, nameOf, note, whyNot } from './tools.ts'

const reason = whyNot(['strace'])
const checkpoint = { every: 4, interval: 60_000 }
const options = { workers: 1, chunkSize: 2 }
const binary = { ...checkpoint, keep: 0 }
const text = { ...binary, format: 'json', compress: 'gzip' } as const

const flushes: [string, Work][] = [['in msgpack', { items: 12, checkpoint, options }]]
const compactions: [string, Work][] = [['in msgpack', { items: 36, checkpoint: binary, options }]]
if (isSoak) {
  flushes.push(['in JSON, compressed', { items: 12, checkpoint: text, options }])
  flushes.push(['into files that do not grow', { items: 12, checkpoint, options, isWhole: true }])
  compactions.push(['in JSON, compressed', { items: 36, checkpoint: text, options }])
  compactions.push(['into files that do not grow', { items: 36, checkpoint: binary, options, isWhole: true }])
}

describe.skipIf(reason)(nameOf('a process killed at any of its system calls', reason), () => {
  test.each(flushes)('of a flush %s loses nothing it had acknowledged', { timeout: 600_000 }, async (_, work) => {
    note('kill-flush', await killAtEach(work, 0))
  })

  test.each(compactions)('of a compaction %s loses nothing it had acknowledged', { timeout: 600_000 }, async (_, work) => {
    note('kill-compaction', await killAtEach(work, 15))
  })
})

/** Kills a session of a run that has `segments` already, at its first, second, … call of each kind, until it ends unharmed. */
async function killAtEach(work: Work, segments: number): Promise<{ kills: number; missing: number }> {
  const directory = newDirectory()
  const template = join(directory, 'template')
  mkdirSync(template)
  const before = await prepareSegments(template, work, segments)
  const counts = await countUnharmed(directory, template, work)
  if (segments > 0) expect(counts.get('unlink')).toBeGreaterThanOrEqual(segments)
  let kills = 0
  let missing = 0
  await forEachAtOnce(counts.keys(), 2, async (call) => {
    for (let k = 1, isUnharmed = false; !isUnharmed; k++) {
      const place = join(directory, `${call}-${k}`)
      cpSync(template, place, { recursive: true })
      const oracle = newOracle(before)
      const session = await startSession(place, work, injecting(call, `signal=SIGKILL:when=${k}`)).ended
      remember(oracle, session)
      isUnharmed = session.done !== undefined
      if (!isUnharmed) kills++
      const lost = await countMissing(place, oracle)
      missing += Math.max(0, lost)
      expect(lost, `acknowledged and missing, killed at ${call} ${k}`).toBeLessThanOrEqual(0)
      const { stats } = await finishRun(place, work, oracle)
      expect(stats.restored, `restored, killed at ${call} ${k}`).toBeGreaterThanOrEqual(oracle.announced)
      rmSync(place, { recursive: true })
    }
  })
  // Two runs do not make their calls in the same number: what comes while a write is under way goes with the next.
  expect(kills).toBeGreaterThan(0.5 * [...counts.values()].reduce((sum, count) => sum + count, 0))
  return { kills, missing }
}
