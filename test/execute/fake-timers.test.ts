import { createExecutor, execute, plan, stream } from 'pawl'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { newDirectory, read } from '../resume/place.ts'

const ALL = [
  ...(['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'setImmediate', 'clearImmediate'] as const),
  ...(['Date', 'performance', 'queueMicrotask'] as const),
]
const double = (n: number) => n * 2
async function* each() {
  yield* [1, 2, 3]
}

describe('where a test has put fake timers in place', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: [...ALL] }))
  afterEach(() => void vi.useRealTimers())

  test.each(['threads', 'inline', 'auto'] as const)('a run comes to its end, %s', async (mode) => {
    expect((await execute(double, [1, 2, 3], { mode })).results).toEqual([2, 4, 6])
    expect((await execute(double, each(), { mode, runId: 'a' })).results).toEqual([2, 4, 6])
  })

  test.each(['threads', 'inline'] as const)('so does one with a checkpoint, %s', async (mode) => {
    const options = { mode, checkpoint: newDirectory(), timeout: mode === 'threads' ? 1000 : undefined }
    expect((await execute(double, [1, 2, 3], options)).stats.restored).toBe(0)
    expect((await execute(double, [1, 2, 3], options)).stats.restored).toBe(3)
  })

  test('so do a plan, a stream and runs of an executor', async () => {
    expect(await plan(double, [1, 2, 3], { mode: 'threads' })).toMatchObject({ mode: 'threads' })
    expect(await read(stream(double, [1, 2, 3]))).toHaveLength(3)
    await using executor = createExecutor()
    expect((await executor.execute(double, [1, 2, 3])).results).toEqual([2, 4, 6])
  })

  test('an item that cannot be sent fails', async () => {
    const { failures } = await execute(() => 1, [1, () => {}], { mode: 'threads', maxFailures: 1 })
    expect(failures).toMatchObject([{ index: 1, kind: 'serialization' }])
  })
})
