import { spawn, spawnSync } from 'node:child_process'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execute } from 'pawl'
import { describe, expect, onTestFinished, test } from 'vitest'
import held from '../fixtures/tasks/held.mjs'
import { newPlace, type Place, range } from './place.ts'

const PROGRAMS = join(import.meta.dirname, '../fixtures/programs')

describe('an item in flight as its process dies', () => {
  test.each([false, true])(
    'is given up when it kills again, and nothing else is: of an iterable %s',
    { timeout: 120_000 },
    (isIterable) => {
      const { runs } = newPlace()
      const run = () => {
        const given = JSON.stringify({ checkpoint: runs, isIterable })
        return spawnSync(process.execPath, [join(PROGRAMS, 'fatal-run.mjs'), given], { encoding: 'utf8' })
      }
      let deaths = 0
      let ended = run()
      for (; ended.signal === 'SIGKILL' && deaths < 10; ended = run()) deaths++
      expect(ended.stderr).toBe('')
      const { failures, results } = JSON.parse(ended.stdout)
      expect(failures).toEqual([{ index: 5, kind: 'crash', crashes: 2 }])
      expect(results).toEqual(range(50).map((n) => (n === 5 ? null : n)))
      // Once in company, which tells nothing of who it was, then twice alone.
      expect(deaths).toBeLessThanOrEqual(3)
      expect(deaths).toBeGreaterThanOrEqual(2)
    },
  )

  test('that was alone waits for all others, since whoever kills from outside may do so again', {
    timeout: 120_000,
  }, async () => {
    const place = newPlace()
    await killAtItemFive(place, 8)
    await killAtItemFive(place, 8)
    writeFileSync(join(place.directory, 'go'), '')
    const order: number[] = []
    const { results, failures } = await execute(held, range(8), {
      ...{ runId: 'run', workers: 2, chunkSize: 1, checkpoint: place.runs },
      on: { outcome: ({ index, restored }) => void (restored || order.push(index)) },
    })
    expect(failures).toEqual([])
    expect(results).toEqual(range(8))
    expect(order.at(-1)).toBe(5)
    expect(order.length).toBeGreaterThan(1)
  })
})

/** Runs `held-run` until item 5 waits, and kills it then. */
async function killAtItemFive({ runs, directory }: Place, chunkSize: number): Promise<void> {
  const sign = join(directory, 'held')
  rmSync(sign, { force: true })
  const given = JSON.stringify({ checkpoint: runs, chunkSize })
  const child = spawn(process.execPath, [join(PROGRAMS, 'held-run.mjs'), given], { stdio: 'ignore' })
  onTestFinished(() => void child.kill('SIGKILL'))
  const closed = new Promise((resolve) => child.once('close', resolve))
  while (!existsSync(sign) && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 5))
  child.kill('SIGKILL')
  await closed
}
