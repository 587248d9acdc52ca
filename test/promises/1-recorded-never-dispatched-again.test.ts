import { spawnSync } from 'node:child_process'
import { cpSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { execute, fileStore, type Store } from 'pawl'
import { describe, expect, test } from 'vitest'
import { noted } from '../fixtures/tasks/noted.mjs'
import { interrupt, newPlace, range } from '../resume/place.ts'
import { expectedResults, killAndResume } from './killing.ts'

/** `npm run soak` takes the long form: the figures of the promise. */
const { items, kills, seeds } = process.env.PAWL_SOAK
  ? { items: 10_000, kills: 25, seeds: [1, 2] }
  : { items: 1200, kills: 6, seeds: [Number(process.env.PAWL_SEED ?? 1)] }
const INTERVAL = 150
const WORKERS = 2

describe('a recorded item is never dispatched again and never lost', () => {
  const cases = (['msgpack', 'json'] as const).flatMap((format) => seeds.map((seed) => ({ format, seed })))
  test.each(cases)(
    `through up to ${kills} kills at random moments: $format, seed $seed`,
    { timeout: 600_000 },
    async ({ format, seed }) => {
      const { sessions, last, repeated, lostWork } = await killAndResume({
        items,
        kills,
        seed,
        checkpoint: { format, interval: INTERVAL },
      })
      expect(last.results).toEqual(expectedResults(items))
      expect(last.stats).toMatchObject({ items, failed: 0, damaged: 0, conflicts: 0 })
      expect(last.stats.restored + last.stats.dispatched).toBe(items)
      // On a busy machine sessions live longer, and the run may be over before the last kill.
      expect(sessions.length).toBeGreaterThan(kills / 2)
      expect(sessions.flatMap(({ warnings }) => warnings)).toEqual([])
      // Never below what was announced, and never again what was announced.
      let announced = 0
      for (const session of sessions) {
        if (session.restored !== undefined) expect(session.restored).toBeGreaterThanOrEqual(announced)
        announced = Math.max(announced, session.announced)
      }
      expect(announced).toBe(items)
      expect(repeated).toEqual([])
      // A kill costs the work since the last flush began: the interval, and the time a flush takes, which is allowed as much again.
      expect(lostWork).toBeLessThan(kills * WORKERS * 2 * INTERVAL)
    },
  )

  test('once execute resolved, though the process is killed in the same moment', () => {
    const { directory, runs } = newPlace()
    const program = (then: string) => `
      import { execute } from 'pawl'
      const { stats, results } = await execute((n) => n + 1, [1, 2, 3], { runId: 'r', checkpoint: ${JSON.stringify(runs)} })
      if (results.join() !== '2,3,4') throw new Error('wrong')
      ${then}`
    const node = (then: string) => spawnSync(process.execPath, ['--input-type=module', '-e', program(then)], { encoding: 'utf8' })
    expect(node("process.kill(process.pid, 'SIGKILL')").signal).toBe('SIGKILL')
    expect(node('console.log(stats.dispatched, stats.restored)').stdout).toBe('0 3\n')
    expect(existsSync(directory)).toBe(true)
  })

  test('once afterCheckpoint fired for it: a copy taken at that moment has it', async () => {
    const { directory, runs } = newPlace()
    const copies: { recorded: number; copy: string }[] = []
    const items = range(200)
    const afterCheckpoint = ({ recorded }: { recorded: number }) => {
      const copy = join(directory, `copy-${copies.length}`)
      cpSync(runs, copy, { recursive: true })
      copies.push({ recorded, copy })
    }
    await execute(noted, items, { workers: 2, chunkSize: 5, checkpoint: { store: runs, every: 20 }, on: { afterCheckpoint } })
    expect(copies.length).toBeGreaterThan(0)
    expect(copies.at(-1)?.recorded).toBe(200)
    for (const { recorded, copy } of copies) {
      // The copy holds the claim of this process, which lives and would lock the copy. Without it a warning tells of files cut off.
      const { stats, results } = await execute(noted, items, {
        checkpoint: withoutClaims(fileStore(copy)),
        on: { warning: () => {} },
      })
      expect(stats.restored).toBeGreaterThanOrEqual(recorded)
      expect(stats.restored + stats.dispatched).toBe(200)
      expect(results).toEqual(items.map((n) => n * 2))
    }
  })

  test('afterCheckpoint waits for the sync, and durability none does not sync', async () => {
    for (const durability of ['fsync', 'none'] as const) {
      const { runs } = newPlace()
      const steps: string[] = []
      await execute(noted, range(10), {
        checkpoint: { store: withSteps(fileStore(runs), steps), durability },
        on: { afterCheckpoint: () => void steps.push('after') },
      })
      const before = steps.slice(0, steps.indexOf('after'))
      expect(steps).toContain('after')
      expect(before).toContain('write')
      if (durability === 'fsync') expect(before.at(-1)).toBe('synced')
      else expect(steps).not.toContain('synced')
    }
  })

  test('unless asked: resume fresh runs everything again', async () => {
    const { runs, starts } = newPlace()
    const { stats } = await interrupt(noted, range(100), { checkpoint: runs })
    await execute(noted, range(100), { checkpoint: runs, resume: 'fresh' })
    expect(starts()).toHaveLength(stats.succeeded + 100)
  })
})

function withoutClaims(store: Store): Store {
  return { ...store, list: async (prefix) => (await store.list(prefix)).filter(({ key }) => !key.includes('/lease/')) }
}

/** Notes writes and syncs of growing objects, each sync slowed down by some turns of the event loop. */
function withSteps(store: Store, steps: string[]): Store {
  return {
    ...store,
    append: async (key) => {
      const log = await (store.append as NonNullable<Store['append']>)(key)
      return {
        ...log,
        write: async (bytes) => {
          await log.write(bytes)
          steps.push('write')
        },
        sync: async () => {
          await log.sync()
          for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setImmediate(resolve))
          steps.push('synced')
        },
      }
    },
  }
}
