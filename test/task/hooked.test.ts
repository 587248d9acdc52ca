import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { execute } from 'pawl'
import { expect, test } from 'vitest'

const path = (name: string) => fileURLToPath(new URL(`../fixtures/hooked/${name}`, import.meta.url))

test.each(['threads', 'inline'])('a task that only require() can load, by a hook for its extension, runs: %s', async (mode) => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--require', path('types.cjs'), path('program.cjs'), mode])
  expect(JSON.parse(stdout)).toEqual({
    all: [
      [10, 20],
      [11, 22],
      [11, 22],
      [12, 24],
    ],
  })
})

test('without such a hook it is a TaskLoadError that says what a task is', async () => {
  await expect(execute(path('task.pts'), [1], { mode: 'threads' })).rejects.toMatchObject({
    code: 'ERR_PAWL_TASK_LOAD',
    cause: { code: 'ERR_UNKNOWN_FILE_EXTENSION' },
    message: expect.stringMatching(/task\.pts.*A task is a module: \.js, \.mjs or \.cjs/),
  })
})
