import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rolldown } from 'rolldown'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '../..')

/** Runs three items as its arguments say, and tells what came of it. */
const PROGRAM = `
import { execute } from 'pawl'
const run = async ([mode, checkpoint]) => {
  try {
    const { results } = await execute((item) => item * 2, [1, 2, 3], { mode, ...(checkpoint ? { checkpoint } : {}) })
    return { results }
  } catch ({ code, message, report }) {
    return { code, message, items: report?.stats.items }
  }
}
run(process.argv.slice(2)).then((came) => console.log(JSON.stringify(came)))
`

describe.each(['esm', 'cjs'] as const)('a program that is bundled with pawl (%s)', (format) => {
  const directory = mkdtempSync(join(tmpdir(), 'pawl-bundle-'))
  const name = format === 'esm' ? 'bundle.mjs' : 'bundle.cjs'

  beforeAll(async () => {
    writeFileSync(join(directory, 'program.mjs'), PROGRAM)
    const bundle = await rolldown({
      input: join(directory, 'program.mjs'),
      platform: 'node',
      resolve: { alias: { pawl: join(ROOT, 'dist/index.js') } },
      logLevel: 'silent',
    })
    await bundle.write({ dir: directory, entryFileNames: name, format, codeSplitting: false })
    await bundle.close()
  })
  afterAll(() => rmSync(directory, { recursive: true }))

  const run = (...args: string[]) => {
    const { stdout, stderr } = spawnSync(process.execPath, [join(directory, name), ...args], { cwd: directory, encoding: 'utf8' })
    expect(stderr).toBe('')
    return JSON.parse(stdout)
  }

  test('is told to keep it external, before anything runs', () => {
    for (const checkpoint of [[], ['runs']]) {
      expect(run('threads', ...checkpoint)).toEqual({
        code: 'ERR_PAWL_TASK_LOAD',
        message: expect.stringMatching(/^Cannot start a worker: .*worker-entry\.cjs\. .*keep it external/),
        items: 3,
      })
    }
    expect(readdirSync(join(directory, 'runs'))).toEqual([])
  })

  test('needs no package.json: a run that takes no thread is recorded, and says by which pawl', () => {
    expect(run('inline', 'runs')).toEqual({ results: [2, 4, 6] })
    const [runId = ''] = readdirSync(join(directory, 'runs'))
    const [manifest = ''] = readdirSync(join(directory, 'runs', runId, 'run'))
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
    expect(JSON.parse(readFileSync(join(directory, 'runs', runId, 'run', manifest), 'utf8'))).toMatchObject({ pawl: version })
  })
})
