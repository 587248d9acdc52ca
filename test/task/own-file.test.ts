import { execute } from 'pawl'
import { describe, expect, test, vi } from 'vitest'
import { isCaller, takeTask } from '../../src/task/task.ts'
import { runProgram } from '../fixtures/program.ts'

const CURE = /calls execute\(\) again when a worker imports it.*Move the task into a module of its own.*isMainThread/

// biome-ignore format: one line each
const RESULTS: Record<string, number[][]> = {
  executor: [[3, 6, 9], [3, 6, 9]],
  'one after the other': [[1, 2, 3], [1, 2, 3], [3, 6, 9]],
}

describe("a task in the program's own file", () => {
  test.each([
    ['own-file-awaited.mjs', ['threads']],
    ['own-file-main.mjs', ['threads']],
    ['own-file-later.mjs', ['execute', 'at once']],
    ['own-file-later.mjs', ['executor', 'at once']],
  ])('that calls execute() while it is imported fails before anything runs, and names the cure: %s %j', async (program, args) => {
    const { code, json, stdout, stderr } = await runProgram(program, args)
    expect(code).toBe(0)
    expect(stdout.trim().split('\n')).toHaveLength(1)
    expect(stderr).toBe('')
    expect(json).toMatchObject({ code: 'ERR_PAWL_TASK_LOAD', message: expect.stringMatching(CURE) })
  })

  test.each([
    ['execute', '0'],
    ['execute', '30'],
    ['executor', '0'],
    ['executor', '30'],
    ['recorded', 'for a job'],
    ['execute', '30', 'own-folder'], // As in `node .`: the file is named by the package.json there.
    ['execute', '0', 'own-file-wrapped.mjs'],
    ['executor', '30', 'own-file-wrapped.mjs'],
    ['execute', 'for a job', 'own-file-wrapped.mjs'],
    ['recorded', '30', 'own-file-wrapped.mjs'],
    ['one after the other', 'for a job', 'own-file-wrapped.mjs'],
  ])(
    'that calls it after that has its results, and is told of what it does besides: %s after %s ms %s',
    async (how, wait, program = 'own-file-later.mjs') => {
      const { code, json, stdout, stderr } = await runProgram(program, [how, wait])
      expect(stderr).toBe('')
      expect(stdout.trim().split('\n')).toHaveLength(1)
      expect(json.all).toEqual(RESULTS[how] ?? [[3, 6, 9]])
      expect(json.warnings.length).toBeGreaterThan(0)
      for (const warning of json.warnings)
        expect(warning).toMatch(/^PROGRAM_RAN_AGAIN .*again in each worker \([12] by now\).*isMainThread/)
      expect(code).toBe(0)
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

  test('has items that call execute() themselves', async () => {
    const { code, json } = await runProgram('own-file-nested.mjs')
    // biome-ignore format: one line
    expect(json).toEqual({ results: [[2, 3], [3, 4], [4, 5], [5, 6]], warnings: [] })
    expect(code).toBe(0)
  })

  test('is followed also when another file was found to be over, of which nothing is held against items any more', async () => {
    const { code, json, stdout } = await runProgram('own-file-beside.mjs')
    expect(stdout.trim().split('\n')).toHaveLength(1)
    // biome-ignore format: one line
    expect(json).toEqual({ results: [[2, 4], [[false, 2], [false, 3]]] })
    expect(code).toBe(0)
  })

  test('in a file that this loads has its promises followed no longer than something of the import goes on', async () => {
    const { code, json } = await runProgram('own-file-quiet-wrapped.mjs')
    // biome-ignore format: one line
    expect(json).toEqual({ all: [[0, 0, 0], [0, 0, 0]] })
    expect(code).toBe(0)
  })
})

test('who calls execute() is found out without what the program does with stacks', async () => {
  const { prepareStackTrace } = Error
  const ofProgram = vi.fn()
  Error.prepareStackTrace = ofProgram
  try {
    const running = execute((n: number) => n, [1], { workers: 1 })
    expect(ofProgram).not.toHaveBeenCalled()
    expect(Error.prepareStackTrace).toBe(ofProgram)
    Error.prepareStackTrace = prepareStackTrace
    expect((await running).results).toEqual([1])
  } finally {
    Error.prepareStackTrace = prepareStackTrace
  }
})

test('who calls execute() is found out where errors of the program have no stacks', () => {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    takeTask('task.mjs')
    expect(Error.stackTraceLimit).toBe(0)
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
  expect(isCaller(import.meta.url)).toBe(true)
})
