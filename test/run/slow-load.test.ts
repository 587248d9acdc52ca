import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { watchLoading } from '../../src/run/slow-load.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test('a task that has been loading for 10 s is told of once, whenever it began to', () => {
  for (const since of [0, 50, 12_345]) {
    const began = Date.now() + since
    const emit = vi.fn()
    const stop = watchLoading(() => Math.max(0, Date.now() - began), emit)
    vi.advanceTimersByTime(since + 9990)
    expect(emit).not.toHaveBeenCalled()
    vi.advanceTimersByTime(10_000)
    expect(emit.mock.calls).toEqual([['warning', { code: 'TASK_LOADING', message: expect.any(String) }]])
    vi.advanceTimersByTime(60_000)
    expect(emit).toHaveBeenCalledOnce()
    stop()
  }
})

test('a task that came up in time is not told of, nor one whose run is over', () => {
  for (const isOver of [false, true]) {
    const emit = vi.fn()
    const stop = watchLoading(() => (isOver ? 60_000 : 0), emit)
    if (isOver) stop()
    vi.advanceTimersByTime(60_000)
    expect(emit).not.toHaveBeenCalled()
    stop()
  }
})
