import { describe, expect, test } from 'vitest'
import { runProgram } from '../fixtures/program.ts'

const WAYS = [
  'success',
  'inline',
  'failure',
  'retried',
  'breaker',
  'crash',
  'timeout',
  'abort',
  'loadError',
  'plan',
  'streamLeft',
  'executor',
]

describe('the process ends by itself, with nothing left open, after', () => {
  test.each(WAYS)('%s', async (way) => {
    const { code, json, stderr } = await runProgram('exits.mjs', [way])
    expect(stderr).toBe('')
    expect(json).toEqual({ alive: [] })
    expect(code).toBe(0)
  })

  test.each(['0', '1', '30000'])('a stream of which %s outcomes were taken and no more', async (taken) => {
    expect(await runProgram('unread-stream.mjs', [taken])).toMatchObject({ code: 0, stderr: '' })
  })
})
