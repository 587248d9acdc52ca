import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { showProgress } from '../../src/cli/progress.ts'

afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
})

/** What is said of `event` where there is no terminal, when the time for a line has come. */
async function lineOf(event: { done: number; restored: number }): Promise<string> {
  vi.useFakeTimers({ toFake: ['performance'] })
  vi.stubEnv('TERM', 'dumb')
  const written = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  const progress = await showProgress(false)
  const full = { total: 1000, failed: 1, itemsPerSecond: 2, eta: 30_000, ...event }
  progress.update(full)
  expect(written).not.toHaveBeenCalled()
  vi.advanceTimersByTime(5000)
  progress.update(full)
  return String(written.mock.calls[0]?.[0])
}

describe('showProgress()', () => {
  test('says how far it is and how long it will take', async () => {
    expect(await lineOf({ done: 110, restored: 100 })).toBe(
      'pawl: 110/1000 done, 1 failed, 100 restored, 2.0/s, about 30s left\n',
    )
  })

  test('makes no estimate of a few items, however many are restored', async () => {
    expect(await lineOf({ done: 109, restored: 100 })).toBe('pawl: 109/1000 done, 1 failed, 100 restored, 2.0/s\n')
  })

  test.each([
    [20, '11% | 110/1000 done,'],
    [70, '11% | 110/1000 done, 1 failed, 100 restored, 2.0/s, about 30s left'],
    [80, '[=----------] 11% | 110/1000 done, 1 failed, 100 restored, 2.0/s, about 30s left'],
    [200, '[===---------------------] 11% | 110/1000 done, 1 failed, 100 restored, 2.0/s, about 30s left'],
  ])(
    'on a terminal of %i columns says as much, and changes nothing that a process ended meanwhile would leave so',
    async (columns, line) => {
      vi.stubEnv('TERM', 'xterm')
      const written: string[] = []
      const before = { isTTY: process.stderr.isTTY, columns: process.stderr.columns }
      Object.assign(process.stderr, { isTTY: true, columns })
      onTestFinished(() => void Object.assign(process.stderr, before))
      vi.spyOn(process.stderr, 'write').mockImplementation((text) => written.push(String(text)) > 0)
      const progress = await showProgress(false)
      onTestFinished(progress.stop)
      progress.update({ total: 1000, done: 110, restored: 100, failed: 1, itemsPerSecond: 2, eta: 30_000 })
      expect(written.find((text) => text.includes('11%'))).toBe(line)
      expect(written.filter((text) => text.includes('\x1b[?'))).toEqual([])
    },
  )
})
