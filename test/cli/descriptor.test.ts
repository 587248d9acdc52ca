import { execFile, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, realpathSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { BIN, project } from './pawl.ts'

/** A project with the run `r` of two items, and what a shell in it makes of a command, `pawl` being ours. */
async function withRun() {
  const it = project({ 't.js': 'export default ({ n }) => n', 'in.jsonl': '{"n":1}\n{"n":2}\n' })
  expect(await it.pawl('run', 't.js', '--input', 'in.jsonl', '--run-id', 'r', '--quiet')).toMatchObject({ code: 0 })
  symlinkSync('/dev/stdout', join(it.directory, 'link'))
  const shell = (command: string) =>
    spawnSync('sh', ['-c', `pawl() { '${process.execPath}' '${BIN}' "$@"; }; ${command}`], {
      cwd: it.directory,
      encoding: 'utf8',
    })
  const read = (name: string) => readFileSync(join(it.directory, name), 'utf8')
  return { ...it, shell, read }
}

const RESULTS = '{"index":0,"value":1}\n{"index":1,"value":2}\n'
const COMMANDS = ['export r', 'run t.js --input in.jsonl --quiet --run-id r', 'resume r --quiet']

describe.skipIf(!existsSync('/proc/self/fd'))('--output that is open already', () => {
  test.each([
    ...COMMANDS.map((command) => [command, '/dev/stdout'] as const),
    ...['/dev/fd/1', '/proc/self/fd/1', 'link'].map((output) => ['export r', output] as const),
  ])('%s --output %s goes behind what is in the file already, and what follows goes behind it', async (command, output) => {
    const { shell, read } = await withRun()
    expect(shell(`(echo before; pawl ${command} --output ${output}; echo after) > f.txt`)).toMatchObject({ status: 0 })
    expect(read('f.txt')).toBe(`before\n${RESULTS}after\n`)
  })

  test.each([
    ['/dev/stderr', '2> f.txt'],
    ['/dev/fd/2', '2> f.txt'],
    ['/dev/fd/7', '7> f.txt'],
  ])('so does --output %s with %s', async (output, to) => {
    const { shell, read } = await withRun()
    const { status } = shell(`(echo before >&${/\d/.exec(to)}; pawl run t.js --input in.jsonl --quiet --output ${output}) ${to}`)
    expect({ status, text: read('f.txt') }).toEqual({ status: 0, text: `before\n${RESULTS}` })
  })

  test('takes a pipe and what Node gives its children', async () => {
    const { shell, directory, pawl } = await withRun()
    expect(shell('pawl export r --output /dev/stdout | cat')).toMatchObject({ status: 0, stdout: RESULTS })
    expect(shell('pawl export r --output /dev/fd/7 7>&1 >/dev/null | cat')).toMatchObject({ status: 0, stdout: RESULTS })
    const args = [BIN, 'export', 'r', '--output', '/dev/stdout']
    expect((await promisify(execFile)(process.execPath, args, { cwd: directory })).stdout).toBe(RESULTS)
    expect((await pawl('export', 'r', '--output', '/dev/stderr')).stderr).toMatch(RESULTS)
  })

  test('is taken from a record by resume', async () => {
    const { shell } = await withRun()
    expect(shell('pawl run t.js --input in.jsonl --run-id s --quiet --output /dev/stdout')).toMatchObject({ status: 0 })
    expect(shell('pawl resume s --quiet > f.txt && cat f.txt')).toMatchObject({ status: 0, stdout: RESULTS })
  })

  test.each([
    ['/dev/fd/7', ' --output FILE'],
    ['OUT/out.txt', ' --output OUT/out.txt'],
    ['out.txt', ''],
  ])('%s is named in the command that goes on where the record will not do', async (given, flag) => {
    const { shell, put } = await withRun()
    const { directory: out } = project()
    put(
      'odd.js',
      'import { existsSync } from "node:fs"\nexport default ({ n }) => { if (!existsSync("fixed")) throw 0; return n }',
    )
    const output = given.replace('OUT', out)
    const { status, stderr } = shell(`pawl run odd.js --input in.jsonl --run-id s --output ${output} 7> seven.txt`)
    const [, again = ''] = /^pawl: to try it again: +(.*)$/m.exec(stderr) ?? []
    expect({ status, again }).toEqual({ status: 1, again: `pawl resume s${flag.replace('OUT', out)}` })
    put('fixed', '')
    const file = output.startsWith('/dev') ? 'results.txt' : output
    expect(shell(`${again.replace('FILE', file)} && cat ${file}`)).toMatchObject({ status: 0, stdout: RESULTS })
  })

  test('under a number of its own is not taken for the output of a later session', async () => {
    const { shell, read } = await withRun()
    expect(shell('pawl run t.js --input in.jsonl --run-id s --quiet --output /dev/fd/7 7> f.txt')).toMatchObject({ status: 0 })
    expect(read('f.txt')).toBe(RESULTS)
    expect(shell('pawl resume s --quiet')).toMatchObject({ status: 0, stdout: RESULTS })
  })

  test.each([
    ['open for reading', '/dev/fd/7', '7< in.jsonl'],
    ['open in another process', '/proc/$$/fd/7', '7>> f.txt'],
  ])('is refused when it is %s', async (_, output, redirection) => {
    const { shell, read, put } = await withRun()
    put('f.txt', 'before')
    const { status, stdout, stderr } = shell(`exec ${redirection}; pawl export r --output ${output}; exit $?`)
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toMatch(/^pawl: Cannot write output '.*': expected a file, or one that pawl was given open for writing, got /)
    expect([read('f.txt'), read('in.jsonl')]).toEqual(['before', '{"n":1}\n{"n":2}\n'])
  })
})

test('results go to stdout under the permission model, which lets nobody look where stdout leads', () => {
  const { directory } = project({ 't.js': 'export default ({ n }) => n', 'in.jsonl': '{"n":1}\n{"n":2}\n' })
  const root = join(import.meta.dirname, '../..')
  const model = process.allowedNodeEnvironmentFlags.has('--permission') ? '--permission' : '--experimental-permission'
  const reads = [`${directory}/`, `${root}/`, `${realpathSync(join(root, 'node_modules'))}/`].map((it) => `--allow-fs-read=${it}`)
  const flags = [model, ...reads, `--allow-fs-write=${directory}/`, '--allow-worker']
  const command = [BIN, 'run', 't.js', '--input', 'in.jsonl', '--no-checkpoint', '--quiet']
  const { status, stdout } = spawnSync(process.execPath, [...flags, ...command], { cwd: directory, encoding: 'utf8' })
  expect({ status, stdout }).toEqual({ status: 0, stdout: RESULTS })
})
