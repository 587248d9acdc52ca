import { expect, test } from 'vitest'
import { runProgram } from '../fixtures/program.ts'

test('all that tasks print comes out before the process ends', async () => {
  const { code, stdout, stderr } = await runProgram('printing-tasks.mjs')
  const expected = (name: string) =>
    [0, 1, 2, 3, 4, 5, 6, 7].flatMap((item) => Array.from({ length: 50 }, (_, line) => `${name} ${item} ${line}`))
  expect(stdout.trim().split('\n').sort()).toEqual(expected('out').sort())
  expect(stderr.trim().split('\n').sort()).toEqual(expected('err').sort())
  expect(code).toBe(0)
})

test.each(['silencing', 'corking'])('%s the streams holds nothing up', async (way) => {
  const { code, json } = await runProgram(`${way}-tasks.mjs`)
  expect(json).toEqual({ results: [0, 1, 2, 3] })
  expect(code).toBe(0)
})
