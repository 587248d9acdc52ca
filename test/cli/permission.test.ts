import { spawnSync } from 'node:child_process'
import { mkdirSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { BIN, items, project } from './pawl.ts'

const MODEL = process.allowedNodeEnvironmentFlags.has('--permission') ? '--permission' : '--experimental-permission'
const ROOT = join(import.meta.dirname, '../..')
const PAWL = JSON.stringify(join(ROOT, 'dist/index.js'))

/** A project whose programs may read all of it but `work`, and pawl, and write nothing. */
function confined(files: Record<string, string> = {}) {
  const it = project({ 'src/t.js': 'export default ({ n }) => 2 * n', 'src/in.jsonl': items(3), ...files })
  const directory = realpathSync(it.directory)
  const src = join(directory, 'src')
  const readable = [src, join(directory, 'package.json'), ROOT, realpathSync(join(ROOT, 'node_modules'))]
  const reads = readable.map((path) => `--allow-fs-read=${path}${path.endsWith('.json') ? '' : '/'}`)
  const node = (args: readonly string[], ...allowed: string[]) => {
    const given = [MODEL, '--no-warnings', ...reads, ...allowed, ...args]
    const { status, stdout, stderr } = spawnSync(process.execPath, given, { cwd: src, encoding: 'utf8' })
    return { status, stdout, stderr }
  }
  const run = (flags: readonly string[], ...allowed: string[]) =>
    node([BIN, 'run', 't.js', '--input', 'in.jsonl', '--quiet', ...flags], ...allowed)
  return { directory, node, run }
}

/** A program that says what becomes of `call`. */
const telling = (call: string) =>
  `import * as pawl from ${PAWL}
  try { console.log(await ${call}) } catch ({ code, message }) { console.log(code, message) }`

describe('under the permission model of Node', () => {
  test('a command without --allow-worker is exit code 2, and names the flag', () => {
    const { run } = confined()
    expect(run(['--no-checkpoint'])).toEqual({
      status: 2,
      stdout: '',
      stderr:
        "pawl: Cannot start a worker: expected threads to be allowed, got a refusal: Node's permission model was given no --allow-worker. Give node that flag\n",
    })
  })

  test('a program without it is told of the flag, and of what runs without threads', () => {
    const call = (options: string) => telling(`pawl.execute('./t.js', [{ n: 1 }], ${options}).then((it) => it.results)`)
    const { node } = confined({ 'src/threads.js': call('{}'), 'src/inline.js': call("{ mode: 'inline' }") })
    expect(node(['threads.js'])).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(
        /^ERR_PAWL_TASK_LOAD .* no --allow-worker\. Give node that flag, or run the items on the main thread by mode: 'inline'\n$/,
      ),
    })
    expect(node(['inline.js'])).toMatchObject({ status: 0, stdout: '[ 2 ]\n' })
  })

  test('a checkpoint directory that is there needs nothing of the one above', () => {
    const { directory, run } = confined()
    const work = join(directory, 'work')
    mkdirSync(work)
    const allowed = ['--allow-worker', `--allow-fs-read=${work}/`, `--allow-fs-write=${work}/`]
    const results = [0, 1, 2].map((index) => `{"index":${index},"value":${2 * index}}\n`).join('')
    for (const _ of ['the first session', 'another'])
      expect(run(['--checkpoint', work], ...allowed)).toEqual({ status: 0, stdout: results, stderr: '' })
  })

  test('one that is to be made needs it, or its name could not be made durable', () => {
    const { directory, run } = confined()
    const allowed = ['--allow-worker', `--allow-fs-read=${directory}/work*`, `--allow-fs-write=${directory}/`]
    const { status, stderr } = run(['--checkpoint', join(directory, 'work')], ...allowed)
    expect(status).toBe(2)
    expect(stderr).toContain(
      `got ERR_ACCESS_DENIED: Node's permission model was given no --allow-fs-read of ${directory}. Nothing was run: give node that flag`,
    )
  })

  test.each([
    ['read', [], 'no --allow-fs-read of ', 2],
    ['written', ['--allow-fs-read'], 'no --allow-fs-write of ', 75],
  ])('a checkpoint directory that may not be %s is told with its path and the flag', (_, flags, expected, exitCode) => {
    const { directory, run, node } = confined({ 'src/read.js': telling("pawl.readResults('../work', 'r').next()") })
    const work = join(directory, 'work')
    mkdirSync(work)
    const allowed = ['--allow-worker', ...flags.map((flag) => `${flag}=${work}/`)]
    const { status, stderr } = run(['--checkpoint', work], ...allowed)
    expect(status).toBe(exitCode)
    expect(stderr).toContain(`got ERR_ACCESS_DENIED: Node's permission model was given ${expected}${work}`)
    expect(stderr).toContain('. Nothing was run: give node that flag, then run again')
    if (flags.length === 0) expect(node(['read.js']).stdout).toContain(`${expected}${work}`)
  })

  test('an input, a task or an output that is denied is told so', () => {
    const { directory, run, node } = confined()
    const denied = (what: string) => new RegExp(`^pawl: Cannot .*Node's permission model was given no --allow-fs-${what} of /`)
    const task = node(
      [BIN, 'run', join(directory, 'work/t.js'), '--input', 'in.jsonl', '--no-checkpoint', '--quiet'],
      '--allow-worker',
    )
    expect(task).toMatchObject({ status: 2, stderr: expect.stringMatching(denied('read')) })
    const input = node([BIN, 'run', 't.js', '--input', join(directory, 'work/in.jsonl'), '--quiet'], '--allow-worker')
    expect(input).toMatchObject({ status: 2, stderr: expect.stringMatching(denied('read')) })
    const output = run(['--no-checkpoint', '--output', 'out.jsonl'], '--allow-worker')
    expect(output).toMatchObject({ status: 2, stderr: expect.stringMatching(denied('write')) })
    expect(output.stderr).toContain(`no --allow-fs-write of ${join(directory, 'src')}\n`)
  })

  test('a glob that leads into a directory that is denied says which flag is missing', () => {
    const { directory, node } = confined()
    const work = join(directory, 'work')
    const given = [BIN, 'run', 't.js', '--input', `${work}/*`, '--no-checkpoint', '--quiet']
    const flag = `ERR_ACCESS_DENIED: Node's permission model was given no --allow-fs-read of ${work}`
    expect(node(given, '--allow-worker')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining(`pawl: warning: what matches ${work}/* in ${work} is left out: ${flag}\n`),
    })
  })

  test('an output that is a device needs nothing of its directory', () => {
    const { run } = confined()
    const to = (...allowed: string[]) => run(['--no-checkpoint', '--output', '/dev/null'], '--allow-worker', ...allowed)
    const [read, write] = ['--allow-fs-read=/dev/null', '--allow-fs-write=/dev/null']
    expect(to()).toMatchObject({ status: 2, stderr: expect.stringContaining('no --allow-fs-read of /dev/null') })
    expect(to(read)).toMatchObject({ status: 2, stderr: expect.stringContaining('no --allow-fs-write of /dev/null') })
    expect(to(read, write)).toEqual({ status: 0, stdout: '', stderr: '' })
  })
})
