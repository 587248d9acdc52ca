import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { execute } from 'pawl'
import { describe, expect, onTestFinished, test } from 'vitest'
import { sharedCells, whenSet } from '../execute/calls.ts'

/** Longer than the timeout of timed-run.mjs, in ms. */
const STOP_MS = 3000

describe('a process that is stopped for longer than the timeout', () => {
  test('fails none of the items that run, and those that hang as soon as else', { timeout: 60_000 }, async () => {
    const program = join(import.meta.dirname, '../fixtures/programs/timed-run.mjs')
    const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (text) => {
      said += text
    })
    const ended = once(child, 'close')
    while (!said.includes('running')) await once(child.stdout, 'data')
    child.kill('SIGSTOP')
    await sleep(STOP_MS)
    child.kill('SIGCONT')
    expect(await ended).toEqual([0, null])
    const { results, failures, time } = JSON.parse(said.slice(said.indexOf('{')))
    expect(results).toEqual(['waits', 'loops', null, null])
    expect(failures).toEqual([
      [2, 'timeout'],
      [3, 'timeout'],
    ])
    expect(time).toBeGreaterThan(STOP_MS + 1800)
    expect(time).toBeLessThan(STOP_MS + 8000)
  })
})

describe('a main thread that is kept busy for longer than the timeout', () => {
  const endless = (way: string, { shared }: { shared: Int32Array }) => {
    Atomics.store(shared, 0, 1)
    Atomics.notify(shared, 0)
    while (way === 'loops');
    return new Promise(() => {})
  }

  test.each(['loops', 'waits'])(
    'finds an item that hangs meanwhile as soon as it is free again: it %s',
    { timeout: 60_000 },
    async (way) => {
      const started = sharedCells(1)
      const run = execute(endless, [way], { mode: 'threads', timeout: 1500, maxFailures: 1, shared: started })
      await whenSet(started, 0)
      const [began, { user }] = [performance.now(), process.cpuUsage()]
      while (performance.now() - began < 2500 || process.cpuUsage().user - user < 2_500_000); // On a busy machine that takes longer.
      const free = performance.now()
      expect((await run).failures).toMatchObject([{ kind: 'timeout' }])
      expect(performance.now() - free).toBeLessThan(1000)
    },
  )
})
