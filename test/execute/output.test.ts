import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
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

test.each(['stdout', 'stderr'] as const)('a %s that nobody reads any more holds nothing up', async (name) => {
  const program = join(import.meta.dirname, '../fixtures/programs/unread-output.mjs')
  const child = spawn(process.execPath, [program, name], { timeout: 20_000, killSignal: 'SIGKILL' })
  child[name].destroy()
  const [told, [code]] = await Promise.all([text(name === 'stdout' ? child.stderr : child.stdout), once(child, 'close')])
  expect([told, code]).toEqual([JSON.stringify({ results: [0, 1, 2, 3, 4, 5] }), 0])
})
