import { describe, expect, test } from 'vitest'
import { runProgram } from '../fixtures/program.ts'

const CURE = /calls execute\(\) again when a worker imports it.*Move the task into a module of its own.*isMainThread/

describe("a task in the program's own file", () => {
  test.each([
    ['own-file-awaited.mjs', []],
    ['own-file-main.mjs', []],
    ['own-file-main.mjs', ['late']],
  ])(
    'that starts the run without a guard works or names the cure, and never starts runs in its workers: %s %j',
    async (program, more) => {
      const { code, json, stdout, stderr } = await runProgram(program, ['threads', ...more])
      expect(code).toBe(0)
      expect(stdout.trim().split('\n')).toHaveLength(1)
      expect(stderr).toBe('')
      if (json.results) expect(json.results).toEqual([3, 6, 9])
      else {
        expect(json.code).toBe('ERR_PAWL_TASK_LOAD')
        expect(json.message).toMatch(CURE)
      }
    },
  )

  test.each(['own-file-awaited.mjs', 'own-file-main.mjs'])('runs inline: %s', async (program) => {
    const { code, json } = await runProgram(program, ['inline'])
    expect(json).toEqual({ results: [3, 6, 9] })
    expect(code).toBe(0)
  })

  test.each(['auto', 'threads', 'inline'])('works where its program is guarded by isMainThread: %s', async (mode) => {
    const { code, json, stderr } = await runProgram('own-file-guarded.mjs', [mode])
    expect(stderr).toBe('')
    expect(json).toEqual({ all: [[3, 6], [4, 8], mode === 'inline' ? [4, 8] : [5, 10]] })
    expect(code).toBe(0)
  })
})
