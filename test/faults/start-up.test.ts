import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '../..')

/** On Node 20.20 about 1 in 1,000 threads took the process down when they were ended while they required an ES module. */
const TIMES = process.env.PAWL_SOAK ? 10_000 : 200

describe('a thread that is ended while it starts', () => {
  test('takes nothing else down', { timeout: 1_200_000 }, () => {
    const program = join(ROOT, 'test/fixtures/programs/ended-threads.mjs')
    const { stdout, stderr, signal } = spawnSync(process.execPath, [program, String(TIMES)], { encoding: 'utf8' })
    expect({ stdout, stderr, signal }).toEqual({ stdout: 'survived\n', stderr: '', signal: null })
  })

  test('requires nothing but CommonJS', () => {
    const entry = readFileSync(join(ROOT, 'dist/worker-entry.cjs'), 'utf8')
    const bundles = readdirSync(join(ROOT, 'dist')).filter((name) => name.endsWith('.js')) // Which of them starts threads is for the bundler to say.
    expect(bundles.some((name) => readFileSync(join(ROOT, 'dist', name), 'utf8').includes('"./worker-entry.cjs"'))).toBe(true)
    expect(entry).toContain('import("./worker.js")')
    expect(entry).not.toContain('require(')
  })
})

describe("pawl's own files", () => {
  const copyOf = (directory: string) => {
    for (const name of ['dist', 'package.json']) cpSync(join(ROOT, name), join(directory, name), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
    return join(directory, 'dist')
  }

  test.each([
    ['are broken', (dist: string) => writeFileSync(join(dist, 'worker.js'), 'export {'), /3 workers in a row.*worker-entry\.cjs/],
    ['are left behind, as a bundler does', (dist: string) => rmSync(join(dist, 'worker.js')), /worker\.js\. .*keep it external/],
  ])('end the run where those that threads load %s', async (_, spoil, message) => {
    const directory = mkdtempSync(join(tmpdir(), 'pawl-'))
    try {
      const dist = copyOf(directory)
      spoil(dist)
      const { execute } = await import(pathToFileURL(join(dist, 'index.js')).href)
      await expect(execute((item: number) => item, [1, 2, 3], { mode: 'threads' })).rejects.toMatchObject({
        code: 'ERR_PAWL_TASK_LOAD',
        message: expect.stringMatching(new RegExp(`^Cannot start a worker.*${message.source}`)),
        report: { stats: { succeeded: 0 } },
      })
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
})

test.each([
  ['a task', `'${pathToFileURL(join(ROOT, 'test/fixtures/tasks/arithmetic.mjs'))}'`],
  ['an inline function', '(n) => n'],
])('a working directory that was deleted is told as that: %s', (_, task) => {
  const program = `
    import { mkdtempSync, rmdirSync } from 'node:fs'
    import { execute } from '${pathToFileURL(join(ROOT, 'dist/index.js'))}'
    const directory = mkdtempSync('${join(tmpdir(), 'pawl-')}')
    process.chdir(directory)
    rmdirSync(directory)
    execute(${task}, [1, 2], { mode: 'threads' }).catch(({ code, message }) => console.log(code, message))`
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' })
  expect(stderr).toBe('')
  expect(stdout).toMatch(
    /^ERR_PAWL_TASK_LOAD Cannot start a worker: expected a working directory, got one that was deleted .*chdir/,
  )
})
