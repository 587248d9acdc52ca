import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execute } from 'pawl'
import { rolldown } from 'rolldown'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '../..')

/** Runs three items as its arguments say, and tells what came of it. */
const PROGRAM = `
import { execute, readResults } from 'pawl'
const double = (item) => item * 2
const odd = (item) => [item, 'a', new Map()]
const run = async ([mode, checkpoint, isOdd]) => {
  try {
    if (mode === 'read') for await (const { value } of readResults(checkpoint, 'odd')) return { value }
    const { results } = await execute(isOdd ? odd : double, [1, 2, 3], { mode, ...(checkpoint ? { checkpoint } : {}) })
    return { results }
  } catch ({ code, message, report }) {
    return { code, message, items: report?.stats.items }
  }
}
run(process.argv.slice(2)).then((came) => console.log(JSON.stringify(came)))
`

/** esbuild leaves a bundle of CommonJS without the URL that others put together there. */
const WITHOUT_URL = { transform: { define: { 'import.meta.url': 'undefined' } } }

describe.each([
  ['esm', {}],
  ['cjs', {}],
  ['cjs', WITHOUT_URL],
] as const)('a program that is bundled with pawl (%s, %o)', (format, options) => {
  const directory = mkdtempSync(join(tmpdir(), 'pawl-bundle-'))
  const name = format === 'esm' ? 'bundle.mjs' : 'bundle.cjs'

  beforeAll(async () => {
    writeFileSync(join(directory, 'program.mjs'), PROGRAM)
    const bundle = await rolldown({
      input: join(directory, 'program.mjs'),
      platform: 'node',
      ...options,
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

  test('is told so, too, where its results, or those of a record, take msgpackr', async () => {
    const store = join(directory, 'odd')
    await execute((item: number) => [item, 'a', new Map()], [1, 2, 3], { checkpoint: store, runId: 'odd' })
    for (const args of [
      ['inline', 'other', 'odd'],
      ['read', store],
    ]) {
      expect(run(...args)).toMatchObject({
        code: 'ERR_PAWL_INVALID_OPTION',
        message: expect.stringMatching(/^Cannot use option 'checkpoint\.format': .*msgpackr.* keep pawl external/),
      })
    }
  })

  test('needs no package.json: a run that takes no thread is recorded, and says by which pawl', () => {
    expect(run('inline', 'runs')).toEqual({ results: [2, 4, 6] })
    const [runId = ''] = readdirSync(join(directory, 'runs'))
    const [manifest = ''] = readdirSync(join(directory, 'runs', runId, 'run'))
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
    expect(JSON.parse(readFileSync(join(directory, 'runs', runId, 'run', manifest), 'utf8'))).toMatchObject({ pawl: version })
  })
})
