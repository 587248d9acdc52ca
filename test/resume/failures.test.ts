import { type ExecuteOptions, execute, memoryStore, type RunFailedError, type TaskContext } from 'pawl'
import { describe, expect, test } from 'vitest'
import { noted } from '../fixtures/tasks/noted.mjs'
import { errorOf, listenForWarnings, newPlace, range } from './place.ts'

const ITEMS = range(40)
const BAD = [3, 11, 12]
const TOLERANT: ExecuteOptions<number> = { maxFailures: 40 }

/** A run that finished with three failures. */
async function failThree(options: ExecuteOptions<number> = {}) {
  const place = newPlace()
  place.spoil(...BAD)
  const report = await execute(noted, ITEMS, { ...TOLERANT, checkpoint: place.runs, ...options })
  expect(report.failures.map(({ index }) => index)).toEqual(BAD)
  return { ...place, report }
}

describe('execute() with failures on record', () => {
  test('tries them again, and them alone, by default', async () => {
    const { runs, starts, heal } = await failThree()
    heal(...BAD)
    const { stats, results, failures } = await execute(noted, ITEMS, { checkpoint: runs })
    expect(stats).toMatchObject({ restored: 37, dispatched: 3, succeeded: 40, failed: 0 })
    expect(failures).toEqual([])
    expect(results).toEqual(ITEMS.map((n) => n * 2))
    expect(
      starts()
        .slice(40)
        .sort((a, b) => a - b),
    ).toEqual(BAD)
    expect((await execute(noted, ITEMS, { checkpoint: runs })).stats.dispatched).toBe(0)
  })

  test('keeps them with retryFailed: false, counted as restored', async () => {
    const { runs, starts, heal } = await failThree()
    heal(...BAD)
    const { stats, failures, status, results } = await execute(noted, ITEMS, {
      ...TOLERANT,
      checkpoint: runs,
      retryFailed: false,
    })
    expect(stats).toMatchObject({ restored: 40, dispatched: 0, succeeded: 37, failed: 3 })
    expect(status).toBe('complete')
    expect(failures.map(({ index, restored }) => [index, restored])).toEqual(BAD.map((index) => [index, true]))
    expect(Array.from(results)).toEqual(ITEMS.map((n) => (BAD.includes(n) ? undefined : n * 2)))
    expect(starts()).toHaveLength(40)
  })

  test('counts kept failures against maxFailures', async () => {
    const { runs } = await failThree()
    const error = (await errorOf(
      execute(noted, ITEMS, { checkpoint: runs, retryFailed: false, maxFailures: 2 }),
    )) as RunFailedError
    expect(error).toMatchObject({ code: 'ERR_PAWL_RUN_FAILED', report: { stats: { failed: 3, restored: 40 } } })
  })

  test("tries nothing else with retryFailed: 'only'", async () => {
    const place = newPlace()
    place.spoil(...BAD)
    const abort = new AbortController()
    let failed = 0
    await errorOf(
      execute(noted, ITEMS, {
        ...{ ...TOLERANT, workers: 1, chunkSize: 1, checkpoint: place.runs, signal: abort.signal },
        on: { outcome: ({ status }) => void (status === 'rejected' && ++failed === 3 && abort.abort()) },
      }),
    )
    const before = place.starts().length
    expect(before).toBeLessThan(40)
    place.heal(3, 11)
    const report = await execute(noted, ITEMS, { ...TOLERANT, checkpoint: place.runs, retryFailed: 'only' })
    expect(
      place
        .starts()
        .slice(before)
        .sort((a, b) => a - b),
    ).toEqual(BAD)
    expect(report).toMatchObject({ status: 'partial', stats: { dispatched: 3, restored: before - 3, failed: 1 } })
    expect(report.failures.map(({ index }) => index)).toEqual([12])
    const rest = await execute(noted, ITEMS, { ...TOLERANT, checkpoint: place.runs, retryFailed: false })
    expect(rest).toMatchObject({ status: 'complete', stats: { restored: before, dispatched: 40 - before } })
  })

  test.each(['msgpack', 'json'] as const)('gives them back whole: %s', async (format) => {
    const store = memoryStore()
    const { report } = await failThree({ checkpoint: { store, format } })
    const kept = await execute(noted, ITEMS, { ...TOLERANT, checkpoint: { store, format }, retryFailed: false })
    expect(kept.stats.dispatched).toBe(0)
    const [failure] = kept.failures
    const [original] = report.failures
    expect(failure).toMatchObject({ index: 3, key: '3', kind: 'error', attempts: 1, crashes: 0, item: 3, status: 'rejected' })
    expect(failure?.reason).toBeInstanceOf(RangeError)
    expect(failure?.reason).toMatchObject({ name: 'RangeError', message: 'item 3 is bad', code: 'E_BAD', account: { n: 3 } })
    expect(failure?.reason.cause).toMatchObject({ message: 'as was said' })
    expect(failure?.reason.stack).toBe(original?.reason.stack)
    expect(failure?.reason.stack).toContain('noted.mjs')
    expect(failure).toMatchObject({
      firstFailedAt: original?.firstFailedAt,
      lastFailedAt: original?.lastFailedAt,
      session: original?.session,
    })
    expect(failure?.session).toMatch(/^[\w-]+$/)
  })

  test.each([true, 'only'] as const)(
    'counts attempts anew, and keeps when an item failed first: retryFailed %s',
    async (retryFailed) => {
      const { runs, heal, report } = await failThree({ retry: { retries: 1, minTimeout: 0 } })
      expect(report.failures.map(({ attempts }) => attempts)).toEqual([2, 2, 2])
      heal(3)
      const attempts: Record<number, number> = {}
      const again = await execute(noted, ITEMS, {
        ...{ ...TOLERANT, checkpoint: runs, retryFailed },
        on: { outcome: ({ index, restored, attempts: count }) => void (restored || (attempts[index] = count)) },
      })
      expect(attempts).toEqual({ 3: 1, 11: 1, 12: 1 })
      expect(again.failures.map(({ index }) => index)).toEqual([11, 12])
      for (const failure of again.failures) {
        const first = report.failures.find(({ index }) => index === failure.index)
        expect(failure.attempts).toBe(1)
        expect(failure.firstFailedAt).toBe(first?.firstFailedAt)
        expect(failure.lastFailedAt).toBeGreaterThanOrEqual(first?.lastFailedAt as number)
        expect(failure.session).not.toBe(first?.session)
      }
      // The later failure is the one on record, though it took fewer attempts.
      const kept = await execute(noted, ITEMS, { ...TOLERANT, checkpoint: runs, retryFailed: false })
      expect(kept.failures.map(({ attempts, session }) => [attempts, session])).toEqual(
        again.failures.map(({ session }) => [1, session]),
      )
    },
  )

  test('tells the task that it is attempt 1 again', async () => {
    const { runs } = newPlace()
    const task = (n: number, { attempt }: TaskContext) => {
      if (n === 3) throw new Error(`attempt ${attempt}`)
      return n
    }
    const options = { runId: 'run', checkpoint: runs, maxFailures: 1, retry: { retries: 1, minTimeout: 0 } }
    for (const _ of [1, 2]) {
      const { failures } = await execute(task, range(5), options)
      expect(failures).toMatchObject([{ index: 3, attempts: 2, reason: { message: 'attempt 2' } }])
    }
  })

  test('has crashes counted anew when it is tried again, and keeps all of them', async () => {
    const { runs } = newPlace()
    const deadly = (n: number) => (n === 3 ? process.exit(3) : n)
    const options = { runId: 'run', checkpoint: runs, workers: 1, maxFailures: 1 }
    for (const sessions of [1, 2, 3]) {
      const { failures, stats } = await execute(deadly, range(5), options)
      expect(failures).toMatchObject([{ index: 3, kind: 'crash', crashes: 2 * sessions }])
      expect(failures[0]?.reason.message).toContain('(2 times, and maxCrashes is 2)')
      expect(stats.crashes).toBe(2)
    }
  })

  test('records what settled before the run failed, the failure too', async () => {
    const { runs, spoil, heal, starts } = newPlace()
    spoil(20)
    const options: ExecuteOptions<number> = { checkpoint: runs, workers: 1, chunkSize: 1 }
    const error = await errorOf(execute(noted, ITEMS, options))
    expect(error).toMatchObject({ code: 'ERR_PAWL_RUN_FAILED' })
    const settled = error.report?.stats.succeeded as number
    expect(settled).toBeGreaterThanOrEqual(20)
    heal(20)
    const { stats } = await execute(noted, ITEMS, options)
    expect(stats).toMatchObject({ restored: settled, dispatched: 40 - settled })
    expect(starts().filter((index) => index === 20)).toHaveLength(2)
  })

  test.each(['json', 'msgpack'] as const)('keeps the `errors` of a validator, in %s', async (format) => {
    const shapes = [['name is required'], { name: { message: 'is required' } }, [{ path: '/a' }]]
    const task = (n: number, { shared }: { shared: unknown }) => {
      throw Object.assign(new TypeError('invalid'), { errors: (shared as object[])[n] })
    }
    const options = { maxFailures: 3, checkpoint: { store: memoryStore(), format }, shared: shapes }
    await execute(task, range(3), options)
    const { failures } = await execute(task, range(3), { ...options, retryFailed: false })
    expect(failures.map(({ reason }) => (reason as { errors?: unknown }).errors)).toEqual(shapes)
    expect(failures.every(({ reason, restored }) => reason instanceof TypeError && restored)).toBe(true)
  })

  test.each(['json', 'msgpack'] as const)('keeps the fields of an error that are errors, in %s', async (format) => {
    const task = () => {
      const parent = Object.assign(new TypeError('duplicate', { cause: 'why' }), { code: '23505', table: 'users' })
      throw Object.assign(new Error('insert'), { parent, sql: 'insert', error: parent, suppressed: new RangeError('late') })
    }
    const { warnings, on } = listenForWarnings()
    const options = { maxFailures: 1, checkpoint: { store: memoryStore(), format }, on }
    const first = await execute(task, [0], options)
    const second = await execute(task, [0], { ...options, retryFailed: false })
    expect(second.stats.restored).toBe(1)
    for (const { failures } of [first, second]) {
      const reason = failures[0]?.reason as Error & { parent: Error; suppressed: Error }
      const parent = { name: 'TypeError', message: 'duplicate', cause: 'why', code: '23505', table: 'users' }
      expect(reason).toMatchObject({ sql: 'insert', parent, error: parent, suppressed: { message: 'late' } })
      expect(reason.parent).toBeInstanceOf(TypeError)
      expect(reason.suppressed).toBeInstanceOf(RangeError)
    }
    expect(warnings).toEqual([])
  })

  test('tells, once, of a field of an error that the format cannot hold', async () => {
    const task = (n: number) => {
      throw Object.assign(new Error('no'), n === 0 ? { code: 'E_NO', hint: undefined } : { size: 5n, seen: new Map([[n, n]]) })
    }
    for (const format of ['msgpack', 'json'] as const) {
      const { warnings, on } = listenForWarnings()
      const options = { maxFailures: 3, checkpoint: { store: memoryStore(), format }, chunkSize: 3, on }
      await execute(task, range(3), options)
      expect(warnings.map(({ code }) => code)).toEqual(format === 'json' ? ['CHECKPOINT_UNHELD'] : [])
      if (format === 'json') expect(warnings[0]?.message).toMatch(/^Cannot record 'size' of the error of item 1: .* got 5n/)
    }
  })

  test('keeps of a field of an error what the format can hold, and tells where in it the rest was', async () => {
    const task = (n: number) => {
      const request = new TypeError('aborted\nhalfway')
      const response: Record<string, unknown> = { status: 500, inner: { request, tries: n } }
      response.self = response
      throw Object.assign(new Error('lost', { cause: { status: 504, body: undefined } }), {
        response,
        issues: [{ path: ['a'], received: undefined }],
        ...{
          list: [1, 5n],
          set: new Set([n]),
          match: /a/.exec('a'),
          holes: new Array(2),
          many: new Array(20_000).fill(0).concat(5n),
        },
      })
    }
    const { warnings, on } = listenForWarnings()
    const options = { maxFailures: 1, checkpoint: { store: memoryStore(), format: 'json' }, on } as const
    await execute(task, [3], options)
    const { failures } = await execute(task, [3], { ...options, retryFailed: false })
    const reason = failures[0]?.reason as Error
    expect(Object.entries(reason)).toEqual([
      ['response', { status: 500, inner: { tries: 3 } }],
      ['issues', [{ path: ['a'] }]],
    ])
    expect(reason.cause).toEqual({ status: 504 })
    const told = /^Cannot record 'response\.inner\.request' of the error of item 0: .* got TypeError: aborted halfway\. /
    expect(warnings.map(({ message }) => message)).toEqual([expect.stringMatching(told)])
  })

  test('keeps the item of a failure also when it is an object, and reasons that are no errors', async () => {
    const store = memoryStore()
    const items = [{ path: 'a.txt' }, { path: 'b.txt' }]
    const task = ({ path }: { path: string }) => {
      if (path === 'b.txt') throw 'just text'
      return path
    }
    await execute(task, items, { maxFailures: 1, checkpoint: store })
    const { failures } = await execute(task, items, { maxFailures: 1, checkpoint: store, retryFailed: false })
    expect(failures).toMatchObject([{ index: 1, item: { path: 'b.txt' }, restored: true }])
    expect(failures[0]?.reason).toBeInstanceOf(Error)
    expect(failures[0]?.reason.cause).toBe('just text')
  })
})
