import { describe, expect, test } from 'vitest'
import { nameReason } from '../../src/cli/unrecorded.ts'

describe('why an item failed', () => {
  test.each([
    ['ECONNREFUSED', 'no answer', 'Error [ECONNREFUSED]: no answer'],
    ['ECONNREFUSED', 'connect ECONNREFUSED 127.0.0.1:80', 'Error: connect ECONNREFUSED 127.0.0.1:80'],
    [1, '10 of 10 failed', 'Error [1]: 10 of 10 failed'],
    [1, 'exit code 1', 'Error: exit code 1'],
    ['', 'no answer', 'Error: no answer'],
    [{ toString: 1, valueOf: 1 }, 'no answer', 'Error: no answer'],
    [undefined, 'got undefined', 'Error: got undefined'],
  ])('has its code, %j, unless the message has it: %s', (code, message, told) => {
    expect(nameReason(Object.assign(new Error(message), { code }))).toBe(told)
  })

  test.each([
    ['AbortError', 20, 'AbortError: This operation was aborted'],
    ['AbortError', 'ABORT_ERR', 'AbortError [ABORT_ERR]: This operation was aborted'],
    ['TimeoutError', 20, 'TimeoutError [20]: This operation was aborted'],
    ['Error', 0, 'Error [0]: This operation was aborted'],
  ])('not the number that the platform has for the name %s: %j', (name, code, told) => {
    expect(nameReason(Object.assign(new Error('This operation was aborted'), { name, code }))).toBe(told)
  })
})
