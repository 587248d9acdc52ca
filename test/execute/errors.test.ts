import { execute, type Failure } from 'pawl'
import { describe, expect, test } from 'vitest'
import throwing from '../fixtures/tasks/throwing.mjs'

type Reason = Error & Record<string, any>

/** The failure of one item, the same from a worker and inline. */
async function failuresOf(way: string): Promise<Failure<string>[]> {
  const failures: Failure<string>[] = []
  for (const mode of ['threads', 'inline'] as const) {
    const report = await execute(throwing, ['before', way, 'after'], { mode, maxFailures: 1, chunkSize: 3 })
    expect(report.results).toEqual(['fine: before', undefined, 'fine: after'])
    expect(report.failures).toHaveLength(1)
    failures.push(report.failures[0] as Failure<string>)
  }
  return failures
}

const reasonsOf = async (way: string) => (await failuresOf(way)).map((it) => it.reason as Reason)

describe("a task's error", () => {
  test('becomes a failure with its item', async () => {
    for (const failure of await failuresOf('plain')) {
      expect(failure).toMatchObject({ index: 1, key: '1', item: 'plain', status: 'rejected', kind: 'error' })
      expect(failure).toMatchObject({ attempts: 1, crashes: 0, restored: false, session: undefined })
      expect(failure.firstFailedAt).toBeLessThanOrEqual(failure.lastFailedAt)
      expect(Math.abs(Date.now() - failure.lastFailedAt)).toBeLessThan(60_000)
    }
  })

  test('keeps class, message and stack', async () => {
    for (const reason of await reasonsOf('typeError')) {
      expect(reason).toBeInstanceOf(TypeError)
      expect(reason.name).toBe('TypeError')
      expect(reason.message).toContain("'missing'")
      expect(reason.stack).toContain('throwing.mjs')
    }
    for (const reason of await reasonsOf('rejected')) expect(reason).toBeInstanceOf(EvalError)
  })

  test('keeps name, code, cause and own fields', async () => {
    for (const reason of await reasonsOf('coded')) {
      expect(reason).toBeInstanceOf(Error)
      expect(reason).toMatchObject({ name: 'PaymentError', message: 'no funds', code: 'E_FUNDS', account: { id: 7 } })
      expect(reason.cause).toBeInstanceOf(RangeError)
      expect(reason.cause).toMatchObject({ message: 'limit is 5' })
      expect(String(reason)).toBe('PaymentError: no funds')
    }
    for (const reason of await reasonsOf('system')) {
      expect(reason).toMatchObject({ code: 'ENOENT', errno: -2, syscall: 'open', path: '/does/not/exist' })
    }
    for (const reason of await reasonsOf('plain')) expect('cause' in reason).toBe(false)
  })

  test('leaves out only the fields that cannot be carried', async () => {
    for (const reason of await reasonsOf('notCloneable')) {
      expect(reason).toMatchObject({ message: 'holds a function', code: 'E_FN', kept: 1 })
      expect('callback' in reason).toBe(false)
    }
    for (const reason of await reasonsOf('hostileGetter')) expect(reason.message).toBe('has a getter')
    for (const reason of await reasonsOf('frozen')) expect(reason.message).toBe('frozen')
    for (const reason of await reasonsOf('dom')) expect(reason).toMatchObject({ name: 'InvalidStateError', message: 'not now' })
  })

  test('keeps the errors of an AggregateError', async () => {
    for (const reason of await reasonsOf('aggregate')) {
      expect(reason).toBeInstanceOf(AggregateError)
      expect(reason.errors).toHaveLength(2)
      expect(reason.errors[0]).toBeInstanceOf(TypeError)
      expect(reason.errors.map((it: Error) => it.message)).toEqual(['first', 'second'])
    }
  })

  test('may be its own cause', async () => {
    for (const reason of await reasonsOf('selfCause')) {
      expect(reason.message).toBe('its own cause')
      expect((reason.cause as Error).message).toBe('its own cause')
    }
  })

  test.each([
    ['string', 'just text', "'just text'"],
    ['undefined', undefined, 'undefined'],
    ['object', { reason: 'an object', deep: { n: 1 } }, 'an object'],
  ])('that is none becomes the cause of one: %s', async (way, cause, said) => {
    for (const reason of await reasonsOf(way)) {
      expect(reason).toBeInstanceOf(Error)
      expect(reason.cause).toEqual(cause)
      expect('cause' in reason).toBe(true)
      expect(reason.message).toContain(said)
    }
  })

  test.each(['nonRetryable', 'foreignNonRetryable'])('is final when its code says so: %s', async (way) => {
    for (const mode of ['threads', 'inline'] as const) {
      const report = await execute(throwing, [way, 'plain'], { mode, maxFailures: 2, retry: { retries: 3, minTimeout: 0 } })
      expect(report.failures.map((it) => it.attempts)).toEqual([1, 4])
      expect(report.failures[0]?.reason).toMatchObject({ code: 'ERR_PAWL_NON_RETRYABLE' })
      expect(report.stats).toMatchObject({ attempts: 5, retries: 3 })
    }
  })

  test('ends the run in a RunFailedError that carries the report and names item and cause', async () => {
    const error = await execute(throwing, ['a', 'b', 'plain', 'd']).catch((it) => it)
    expect(error).toMatchObject({ name: 'RunFailedError', code: 'ERR_PAWL_RUN_FAILED' })
    expect(error.message).toMatch(/item 2: plain message/)
    expect(error.cause).toMatchObject({ message: 'plain message' })
    expect(error.report.failures).toHaveLength(1)
    expect(error.report.results[0]).toBe('fine: a')
  })
})
