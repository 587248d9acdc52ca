import { once } from 'node:events'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { planDrain, Signalled, TimeUp, watchInterrupts } from '../../src/cli/signals.ts'

describe('watchInterrupts()', () => {
  /** Signals are emitted, and `exit` is called in place of the end of the process. */
  function watching(options: Parameters<typeof watchInterrupts>[0] = {}) {
    const exit = vi.spyOn(process, 'exit').mockImplementation((() => {}) as never)
    const interrupts = watchInterrupts(options)
    onTestFinished(() => {
      interrupts.stop()
      vi.restoreAllMocks()
    })
    return { exit, signal: interrupts.signal }
  }

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('a second %s ends the process with %d, but not one that is handed on with the first', async (name, code) => {
    const { exit, signal } = watching()
    process.emit(name)
    process.emit(name)
    expect(exit).not.toHaveBeenCalled()
    expect(signal.aborted).toBe(false) // What is sent in answer is never taken for the same.
    await once(signal, 'abort')
    expect(signal.reason).toBeInstanceOf(Signalled)
    process.emit(name)
    expect(exit.mock.calls).toEqual([[code]])
  })

  test('another signal than the first is the second at once', () => {
    const { exit } = watching()
    process.emit('SIGINT')
    process.emit('SIGTERM')
    expect(exit.mock.calls).toEqual([[143]])
  })

  test('the first signal of a run that drains for its time limit leaves it to that', async () => {
    const { exit, signal } = watching({ stopAt: 0, timeLimit: 1000 })
    await once(signal, 'abort')
    process.emit('SIGTERM')
    expect(exit).not.toHaveBeenCalled()
    expect(signal.reason).toBeInstanceOf(TimeUp)
    process.emit('SIGINT')
    expect(exit.mock.calls).toEqual([[130]])
  })
})

describe('planDrain', () => {
  test.each([
    // limit, drain timeout, begins at, takes
    [60_000, undefined, 49_000, 10_000],
    [20_000, undefined, 14_000, 5000],
    [60_000, 5000, 54_000, 5000],
    [60_000, 30_000, 29_000, 30_000],
    [60_000, 60_000, 29_000, 30_000],
    [15_000, 120_000, 6750, 7500],
    [60_000, 0, 59_000, 0],
    [0, undefined, 0, 0],
  ])('a limit of %d with a drain timeout of %s begins at %d and takes %d', (limit, timeout, stopAt, drainTimeout) => {
    expect(planDrain(limit, timeout)).toEqual({ stopAt, drainTimeout })
  })
})
