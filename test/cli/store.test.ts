import { spawnSync } from 'node:child_process'
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { BIN, items, lines, project } from './pawl.ts'

const FILES = {
  'odd.js':
    'export default ({ n }) => { if (n === 3) throw Object.assign(new RangeError("three \\u001b[2J"), { status: 503 }); return { n, text: "x".repeat(n) } }',
  'in.jsonl': items(10),
}

/** A project with the complete run `odd`, one of whose ten items failed. */
async function withRun(...flags: string[]) {
  const it = project(FILES)
  const { code, stderr } = await it.pawl(
    'run',
    'odd.js',
    '--input',
    'in.jsonl',
    '--run-id',
    'odd',
    '--max-failures',
    '1',
    '--quiet',
    ...flags,
  )
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return it
}

/** The files of the store, relative to it. */
function filesOf(directory: string, runs = '.pawl'): string[] {
  const all = readdirSync(join(directory, runs), { recursive: true, withFileTypes: true })
  return all.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}

describe('pawl list', () => {
  test('is a table of the runs, as JSON an object', async () => {
    const { pawl } = await withRun()
    const { code, stdout } = await pawl('list')
    expect(code).toBe(0)
    expect(stdout).toMatch(/run +│ status +│ done\/total +│ failures +│ size +│ last write +│ live/)
    expect(stdout).toMatch(/odd +│ complete │ 10\/10 +│ 1 +│ [\d.]+ k?B/)
    expect(stdout).toMatch(/\nstatus and done as recorded; 'pawl verify RUN' tells whether all of a record can be read\n$/)
    const [run] = JSON.parse((await pawl('list', '--json')).stdout).runs
    expect(run).toMatchObject({ runId: 'odd', status: 'complete', done: 10, total: 10, failures: 1, live: false })
  })

  test('says that there is no run, makes no directory, and does so with another --checkpoint too', async () => {
    const { pawl, directory } = project()
    const { code, stdout, stderr } = await pawl('list', '--checkpoint', 'elsewhere')
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'no runs in elsewhere\n' })
    expect(stderr).toMatch(
      /^pawl: There is no directory elsewhere below \/.*: go to where the run was begun, or name the directory/,
    )
    expect(readdirSync(directory)).toEqual(['package.json'])
    mkdirSync(join(directory, 'elsewhere'))
    expect((await pawl('list', '--checkpoint', 'elsewhere')).stderr).toBe('')
  })

  test('and every other command say that a file is no place for runs', async () => {
    const { pawl } = project({ ...FILES, file: '' })
    const run = ['run', 'odd.js', '--input', 'in.jsonl', '--run-id', 'odd']
    const asked = ['inspect', 'failures', 'export', 'verify', 'resume'].map((command) => [command, 'odd'])
    for (const args of [['list'], ['prune'], run, [...run, '--resume'], [...run, '--overwrite'], ...asked]) {
      const { code, stdout, stderr } = await pawl(...args, '--checkpoint', 'file')
      expect({ args, code, stdout }).toEqual({ args, code: 2, stdout: '' })
      const sentence = /^pawl: Cannot use option '--checkpoint': expected a directory, .* got '.*\/file'\n$/
      expect(stderr.replace(/^pawl: run .*\n/, '')).toMatch(sentence)
    }
  })
})

test.skipIf(!existsSync('/dev/full'))('what cannot be written to stdout is told, and exit code 75', async () => {
  const { directory } = await withRun()
  const bin = join(import.meta.dirname, '../../dist/cli/main.js')
  for (const args of ['list', 'inspect odd', 'failures odd --json', 'export odd', 'verify odd']) {
    const command = `${process.execPath} ${bin} ${args} > /dev/full`
    const { status, stderr } = spawnSync('sh', ['-c', command], { cwd: directory, encoding: 'utf8' })
    expect({ status, stderr }).toEqual({ status: 75, stderr: 'pawl: Cannot go on: ENOSPC: no space left on device, write\n' })
  }
})

describe('a hostile store', () => {
  test('neither crashes list, inspect and verify nor reaches the terminal', async () => {
    const { pawl, put, directory } = project()
    put('.pawl/a\x1b[2Jb/run/0123456789abcdef.json', '{}')
    put('.pawl/x/run/0123456789abcdef.json', '{"version":1,"runId":"\x1b[2J"}')
    put('.pawl/y/seg/w\x1b[2J-0.msgpack', 'PAWL'.repeat(50))
    put('.pawl/z/seg/0mwrwc7bg00a5f57fad59-0.json', '{"crc":"\x1b[2J"}\n'.repeat(9))
    put('.pawl/z/seg/w-0.json', '')
    put('.pawl/.pawl', '')
    symlinkSync(directory, join(directory, '.pawl/loop'))
    for (const args of [
      ['list'],
      ...['x', 'y', 'z', 'loop', '../x'].flatMap((run) => [
        ['inspect', run],
        ['verify', run],
        ['failures', run],
        ['export', run],
      ]),
    ]) {
      const { code, stdout, stderr } = await pawl(...args)
      expect([0, 1, 2], `${args}: ${stderr}`).toContain(code)
      expect(stdout + stderr).not.toContain('\x1b')
      expect(stderr).not.toMatch(/^\s+at /m)
    }
  })
})

describe('pawl inspect', () => {
  test('tells task, items, files and sessions', async () => {
    const { pawl } = await withRun()
    const { code, stdout } = await pawl('inspect', 'odd')
    expect(code).toBe(0)
    for (const part of ['odd.js', 'complete', '10/10', 'seg/']) expect(stdout).toContain(part)
    expect(JSON.parse((await pawl('inspect', 'odd', '--json')).stdout)).toMatchObject({ runId: 'odd', status: 'complete' })
  })
})

describe('pawl failures', () => {
  test('gives each failure with its input and reason, without control characters', async () => {
    const { pawl } = await withRun()
    const { code, stdout } = await pawl('failures', 'odd')
    expect(code).toBe(0)
    expect(stdout).toContain('item 3')
    expect(stdout).toContain('{"n":3}')
    expect(stdout).toContain('RangeError: three \\x1b[2J')
    expect(stdout).not.toContain('\x1b')
    const json = JSON.parse((await pawl('failures', 'odd', '--json')).stdout)
    expect(json.failures).toMatchObject([
      { index: 3, kind: 'error', attempts: 1, item: { n: 3 }, reason: { name: 'RangeError', status: 503 } },
    ])
  })

  test('gives the code of an error, and says how to see all of it', async () => {
    const codes = "['ECONNREFUSED', 7, 'EMFILE', undefined]"
    const { pawl } = project({
      't.js': `export default (n) => { throw Object.assign(new Error(n === 2 ? 'EMFILE: too many' : 'no'), { code: ${codes}[n] }) }`,
      'in.jsonl': '0\n1\n2\n3\n',
    })
    await pawl('run', 't.js', '--input', 'in.jsonl', '--run-id', 'r', '--max-failures', '4', '--checkpoint', 'runs')
    const { stdout, stderr } = await pawl('failures', 'r', '--checkpoint', 'runs')
    expect(stdout.match(/^ {2}reason .*$/gm)?.map((line) => line.slice(10))).toEqual([
      'Error [ECONNREFUSED]: no',
      'Error [7]: no',
      'Error: EMFILE: too many',
      'Error: no',
    ])
    expect(stderr).toBe('pawl: all that errors have, stacks included: pawl failures r --checkpoint runs --json\n')
    expect((await pawl('failures', 'r', '--checkpoint', 'runs', '--json')).stderr).toBe('')
  })

  test('says that parts of the record are damaged, in which there may be more', async () => {
    const { pawl, directory } = await withRun()
    damage(directory, undefined, 'three')
    for (const flags of [[], ['--json']]) {
      const { code, stdout, stderr } = await pawl('failures', 'odd', ...flags)
      expect({ code, stdout }).toEqual({ code: 0, stdout: flags[0] ? '{"runId":"odd","failures":[]}\n' : 'no failures in odd\n' })
      expect(stderr).toMatch(
        /^pawl: warning: Parts of run 'odd' are damaged: .* when the run is resumed; 'pawl verify odd' names it\n$/,
      )
    }
  })
})

describe('pawl failures of what pawl itself found', () => {
  const TASKS = {
    'hang.mjs': 'export default ({ n }) => { if (n === 1) for (;;); return n }',
    'exit.mjs': 'export default ({ n }) => { if (n === 1) process.exit(3); return n }',
    'in.jsonl': items(3),
  }

  test('advises flags, and so does a session that leaves them', async () => {
    const { pawl } = project(TASKS)
    const run = ['--input', 'in.jsonl', '--max-failures', '1', '--quiet']
    expect((await pawl('run', 'hang.mjs', ...run, '--timeout', '200', '--run-id', 'hang')).code).toBe(0)
    expect((await pawl('run', 'exit.mjs', ...run, '--run-id', 'exit')).code).toBe(0)
    const advice = { hang: 'Raise --timeout if they need longer', exit: '(2 times, and --max-crashes is 2)' }
    for (const [runId, sentence] of Object.entries(advice)) {
      expect((await pawl('failures', runId)).stdout).toContain(sentence)
      const [{ reason }] = JSON.parse((await pawl('failures', runId, '--json')).stdout).failures
      expect([reason.message, reason.stack]).toEqual([expect.stringContaining(sentence), expect.stringContaining(sentence)])
      const { code, stderr } = await pawl('resume', runId, '--skip-failed', '--max-failures', '0')
      expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(sentence) })
    }
  })

  test('advises options where a program began the run', async () => {
    const { pawl, put, directory } = project(TASKS)
    put(
      'main.mjs',
      `import { execute } from '${import.meta.resolve('pawl')}'
await execute('./hang.mjs', [{ n: 0 }, { n: 1 }], { checkpoint: '.pawl', runId: 'r', timeout: 200, maxFailures: 1 })`,
    )
    expect(spawnSync(process.execPath, ['main.mjs'], { cwd: directory }).status).toBe(0)
    expect((await pawl('failures', 'r')).stdout).toContain("Raise 'timeout' if they need longer")
  })
})

describe('pawl failures of what only programs record', () => {
  test('shows items and errors that JSON cannot hold, also those that lie in themselves', async () => {
    const { pawl, put, directory } = project({
      't.mjs': 'export default (item) => { throw Object.assign(new Error("bad"), { cause: item }) }',
    })
    put(
      'main.mjs',
      `import { execute } from '${import.meta.resolve('pawl')}'
const circle = { name: 'circle', twice: [1] }
circle.again = circle.twice
circle.self = [circle]
const items = [circle, new Map([['a', new Set([1n])]])]
await execute('./t.mjs', items, { checkpoint: '.pawl', runId: 'r', maxFailures: 2 })`,
    )
    expect(spawnSync(process.execPath, ['main.mjs'], { cwd: directory })).toMatchObject({ status: 0 })
    const shown = ['{"name":"circle","twice":[1],"again":[1],"self":["[Circular]"]}', '{"a":["1"]}']
    const { code, stdout } = await pawl('failures', 'r')
    expect(code).toBe(0)
    for (const item of shown) expect(stdout).toContain(`\n  input   ${item}\n`)
    const { failures } = JSON.parse((await pawl('failures', 'r', '--json')).stdout)
    expect(failures.map((it: { item: unknown }) => it.item)).toEqual(shown.map((text) => JSON.parse(text)))
    expect(failures.map((it: { reason: { cause: unknown } }) => it.reason.cause)).toEqual(shown.map((text) => JSON.parse(text)))
  })
})

describe('pawl failures of an error from somewhere', () => {
  const thrower = 'export const parse = (text) => JSON.parse(text)'
  test.each([
    ['the module of the task', { 't.js': 'export default function task() { null.x }' }, /^ {2}at {6}task \(t\.js:1:\d+\)$/],
    [
      'a package',
      { 't.js': "import { parse } from 'p'\nexport default () => parse('{')" },
      /^ {2}at {6}default \(t\.js:2:\d+\)$/,
    ],
    [
      'a package, as the cause of another',
      {
        't.js':
          "import { parse } from 'p'\nexport default () => { try { parse('{') } catch (cause) { throw new Error('no', { cause }) } }",
      },
      /^ {2}at {6}default \(t\.js:2:\d+\)$/,
    ],
    [
      'a directory with brackets',
      { 't.js': "export { default } from './copy (1)/t.js'", 'copy (1)/t.js': 'export default function task() { null.x }' },
      /^ {2}at {6}task \(copy \(1\)\/t\.js:1:\d+\)$/,
    ],
  ])("names the first line of the stack that is the user's own: %s", async (_, files, line) => {
    const { pawl } = project({
      'node_modules/p/package.json': { type: 'module', exports: './p.js' },
      'node_modules/p/p.js': thrower,
      'in.jsonl': '1\n',
      ...files,
    })
    await pawl('run', 't.js', '--input', 'in.jsonl', '--run-id', 'r')
    expect((await pawl('failures', 'r')).stdout.split('\n')[3]).toMatch(line)
    const [{ reason }] = JSON.parse((await pawl('failures', 'r', '--json')).stdout).failures
    expect(reason.stack).toMatch(/\n +at .*t\.js:\d/)
  })

  test('of pawl itself names no line', async () => {
    const { pawl } = project({ 't.js': 'export default () => process.exit(3)', 'in.jsonl': '1\n' })
    await pawl('run', 't.js', '--input', 'in.jsonl', '--run-id', 'r', '--max-crashes', '1')
    expect((await pawl('failures', 'r')).stdout).not.toMatch(/^ {2}at /m)
  })
})

describe('pawl export', () => {
  test.each([[], ['--format', 'json'], ['--compress']])('gives JSONL in input order (run %s)', async (...flags) => {
    const { pawl, directory } = await withRun(...flags)
    const { code, stdout } = await pawl('export', 'odd')
    expect(code).toBe(0)
    const expected = [0, 1, 2, 4, 5, 6, 7, 8, 9].map((n) => ({ index: n, value: { n, text: 'x'.repeat(n) } }))
    expect(lines(stdout)).toEqual(expected)
    expect(await pawl('export', 'odd', '--output', 'e.jsonl')).toMatchObject({ code: 0, stdout: '' })
    expect(lines(readFileSync(join(directory, 'e.jsonl'), 'utf8'))).toEqual(expected)
  })

  test.each([
    ['in.jsonl', 'in.jsonl, which is read'],
    ['sym.jsonl', 'in.jsonl, which is read'],
    ['hard.jsonl', 'in.jsonl, which is read'],
    ['odd.js', 'odd.js, which is read'],
    ['.pawl/odd/seg/x', "one in the record of run 'odd'"],
  ])('--output %s is refused, and nothing is written', async (output, got) => {
    const { pawl, directory } = await withRun()
    symlinkSync('in.jsonl', join(directory, 'sym.jsonl'))
    linkSync(join(directory, 'in.jsonl'), join(directory, 'hard.jsonl'))
    const { code, stdout, stderr } = await pawl('export', 'odd', '--output', output)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toBe(`pawl: Cannot write output '${output}': expected a file of its own, got ${got}\n`)
    for (const [name, content] of Object.entries(FILES)) expect(readFileSync(join(directory, name), 'utf8')).toBe(content)
  })

  test('replaces none of the files that a glob gave, but others beside them', async () => {
    const { pawl, put, directory } = project({ 't.js': 'export default (path) => path', 'in/a.txt': 'a', 'in/b.txt': 'b' })
    put('real.txt', 'c')
    symlinkSync('../real.txt', join(directory, 'in/c.txt'))
    await pawl('run', 't.js', '--input', 'in/*.txt', '--run-id', 'r', '--quiet')
    linkSync(join(directory, 'in/b.txt'), join(directory, 'hard.txt'))
    put('out.txt', '')
    for (const [output, file] of Object.entries({ 'in/a.txt': 'in/a.txt', 'hard.txt': 'in/b.txt', 'real.txt': 'in/c.txt' })) {
      for (const command of ['export r', 'run t.js --input in/*.txt --run-id r']) {
        const { code, stderr } = await pawl(...command.split(' '), '--output', output)
        expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(`got ${file}, which is read\n`) })
      }
    }
    expect(await pawl('export', 'r', '--output', 'out.txt')).toMatchObject({ code: 0 })
    expect(['in/a.txt', 'in/b.txt', 'real.txt'].map((it) => readFileSync(join(directory, it), 'utf8'))).toEqual(['a', 'b', 'c'])
  })

  test('is not to be where the glob of a run would find it in the next session', async () => {
    const { pawl, directory } = project({ 't.js': 'export default (path) => path', 'in/a.txt': 'a' })
    const run = (...more: string[]) => pawl('run', 't.js', '--input', 'in/*', '--run-id', 'r', '--quiet', ...more)
    expect(await run('--output', 'in/out.jsonl')).toEqual({
      code: 2,
      signal: null,
      stdout: '',
      stderr:
        "pawl: Cannot write output 'in/out.jsonl': expected a file of its own, got one that the input's glob matches, so that the next session would read it\n",
    })
    expect(readdirSync(directory).sort()).toEqual(['in', 'package.json', 't.js'])
    for (const _ of ['the first session', 'another']) expect(await run('--output', 'out.jsonl')).toMatchObject({ code: 0 })
    const exported = await pawl('export', 'r', '--output', 'in/out.jsonl')
    expect(exported).toMatchObject({ code: 2, stderr: expect.stringContaining("got one that the input's glob matches, ") })
    expect(readdirSync(join(directory, 'in'))).toEqual(['a.txt'])
    expect(await pawl('export', 'r', '--output', 'other.jsonl')).toMatchObject({ code: 0 })
  })

  test.each([
    ['in/*', 'link/out.jsonl'],
    ['link/*', 'in/out.jsonl'],
    ['in/*', 'there.jsonl'],
  ])('nor is it by %s with %s, by way of a symbolic link', async (glob, output) => {
    const { pawl, directory } = project({ 't.js': 'export default (path) => path', 'in/a.txt': 'a' })
    symlinkSync('in', join(directory, 'link'))
    symlinkSync('in/out.jsonl', join(directory, 'there.jsonl'))
    expect(await pawl('run', 't.js', '--input', glob, '--output', output, '--quiet')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("got one that the input's glob matches, "),
    })
  })

  test('does not replace the task of a run that a program began', async () => {
    const { pawl, put, directory } = project({ 't.mjs': 'export default (item) => item' })
    put(
      'main.mjs',
      `import { execute } from '${import.meta.resolve('pawl')}'
await execute('./t.mjs', [1], { checkpoint: '.pawl', runId: 'r' })`,
    )
    expect(spawnSync(process.execPath, ['main.mjs'], { cwd: directory })).toMatchObject({ status: 0 })
    const { code, stderr } = await pawl('export', 'r', '--output', 't.mjs')
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('got t.mjs, which is read\n') })
  })

  test('says that it cannot tell how many items it has nothing of, of an iterable that was not read to its end', async () => {
    const { pawl, put, directory } = project({ 't.mjs': 'export default (item) => item' })
    put(
      'main.mjs',
      `import { stream } from '${import.meta.resolve('pawl')}'
const items = (function* () { for (let n = 0; ; n++) yield n })()
for await (const { index } of stream('./t.mjs', items, { checkpoint: '.pawl', runId: 'r' })) if (index === 5) break`,
    )
    expect(spawnSync(process.execPath, ['main.mjs'], { cwd: directory })).toMatchObject({ status: 0 })
    const { code, stdout, stderr } = await pawl('export', 'r')
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: expect.stringMatching(/^pawl: how many items run r has is not on record/),
    })
    expect(lines(stdout)).toContainEqual({ index: 5, value: 5 })
  })

  test('of a run at work gives what is on record, and says why the rest is not', async () => {
    const { start, pawl, put, directory } = project({
      't.js': `import { existsSync } from 'node:fs'
export default async ({ n }) => { while (n === 3 && !existsSync('go')) await new Promise(setImmediate); return n }`,
      'in.jsonl': items(6),
    })
    const run = start(['run', 't.js', '--input', 'in.jsonl', '--run-id', 'r', '--workers', '1', '--checkpoint-every', '1'])
    const exported = async () => {
      const { stdout, stderr } = await pawl('export', 'r', '--checkpoint', join(directory, '.pawl'))
      return { found: lines(stdout).length > 0 && stdout, stderr }
    }
    await expect.poll(exported, { timeout: 30_000 }).toEqual({
      found: expect.stringMatching(/^\{"index":0,"value":0\}\n/),
      stderr: expect.stringMatching(
        /^pawl: \d items? of run r left out: not on record yet, as a process is at work on it, or damaged on record, which 'pawl verify r --checkpoint .*' tells$/m,
      ),
    })
    put('go', '')
    expect((await run.ended).code).toBe(0)
    expect(lines((await pawl('export', 'r')).stdout)).toHaveLength(6)
  })

  test.each(['', ' --output /dev/stdout'])('a reader that goes away is a quiet end (export r%s)', async (flags) => {
    const { pawl, directory } = project({ 't.js': 'export default ({ n }) => n', 'in.jsonl': items(20_000) })
    await pawl('run', 't.js', '--input', 'in.jsonl', '--run-id', 'r', '--output', 'out.jsonl', '--quiet')
    const command = `{ ${process.execPath} ${BIN} export r${flags}; echo $? >&2; } | head -n 1`
    const { stdout, stderr } = spawnSync('sh', ['-c', command], { cwd: directory, encoding: 'utf8' })
    expect({ stdout, stderr }).toEqual({ stdout: '{"index":0,"value":0}\n', stderr: '0\n' })
  })

  test('says how many items it has nothing of', async () => {
    const { pawl, directory } = await withRun()
    expect((await pawl('export', 'odd')).stderr).toBe('')
    damage(directory)
    const { code, stderr } = await pawl('export', 'odd')
    expect(code).toBe(0)
    expect(stderr).toMatch(
      /^pawl: \d+ items? of run odd left out: not run yet, or damaged on record, which 'pawl verify odd' tells$/m,
    )
  })
})

/** Damages what holds `text`; without it the byte in the middle, be that of a result or of what is told of some. */
function damage(directory: string, runs?: string, text?: string): void {
  const path = filesOf(directory, runs).find((it) => /[\\/](seg|snap)[\\/]/.test(it)) as string
  const bytes = readFileSync(path)
  const at = text === undefined ? Math.floor(bytes.length / 2) : bytes.indexOf(text)
  bytes.writeUInt8(bytes.readUInt8(at) ^ 0xff, at)
  writeFileSync(path, bytes)
}

describe('pawl verify', () => {
  test('exits 0 when all is whole, 1 when a byte is not, and says which file', async () => {
    const { pawl, directory } = await withRun()
    expect((await pawl('verify', 'odd')).code).toBe(0)
    damage(directory)
    const { code, stdout, stderr } = await pawl('verify', 'odd')
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' })
    expect(stdout).toMatch(/^(seg|snap)\/[\w.-]+: /m)
    expect(JSON.parse((await pawl('verify', 'odd', '--json')).stdout)).toMatchObject({ runId: 'odd', ok: false })
  })

  test('knows all that shards leave as files of pawl', async () => {
    const { pawl } = project(FILES)
    for (const shard of ['1/2', '2/2'])
      await pawl('run', 'odd.js', '--input', 'in.jsonl', '--run-id', 'r', '--max-failures', '1', '--shard', shard)
    expect(await pawl('verify', 'r')).toMatchObject({ code: 0, stdout: 'r: all of it is whole\n' })
  })

  test.each([[], ['--format', 'json'], ['--compress']])('names the command after which it exits 0 (run %s)', async (...flags) => {
    const { pawl, directory } = await withRun('--checkpoint', 'runs', ...flags)
    damage(directory, 'runs')
    const { code, stdout } = await pawl('verify', 'odd', '--checkpoint', 'runs')
    expect(code).toBe(1)
    expect(stdout).toMatch(/^(What only these held runs again in the next session|Nothing is lost: .*)$/m)
    const command = /^Go on with the run: pawl (resume .*)$/m.exec(stdout)?.[1] ?? ''
    expect((await pawl(...command.split(' '), '--skip-failed', '--quiet')).code).toBe(0)
    expect(await pawl('verify', 'odd', '--checkpoint', 'runs')).toMatchObject({ code: 0, stdout: 'odd: all of it is whole\n' })
    expect(lines((await pawl('export', 'odd', '--checkpoint', 'runs')).stdout)).toHaveLength(9)
  })

  test('names what lies among the files of a run and is none, which is no damage', async () => {
    const { pawl, put, directory } = await withRun()
    put('.pawl/odd/seg/notes.json', '')
    const { code, stdout } = await pawl('verify', 'odd')
    const line = "seg/notes.json: not a file of pawl's, ignored\n"
    expect({ code, stdout }).toEqual({ code: 0, stdout: `odd: all of it is whole\n${line}` })
    expect(JSON.parse((await pawl('verify', 'odd', '--json')).stdout)).toMatchObject({ ok: true, ignored: ['seg/notes.json'] })
    const path = filesOf(directory).find((it) => /[\\/]seg[\\/]\w+-/.test(it)) as string
    writeFileSync(path, readFileSync(path).subarray(0, -10))
    const cut = await pawl('verify', 'odd')
    expect(cut.code).toBe(1)
    expect(cut.stdout.endsWith(line)).toBe(true)
  })

  test('of a run that was made up for says that nothing is lost', async () => {
    const { pawl, directory } = await withRun()
    const [path = ''] = filesOf(directory).filter((it) => /[\\/]seg[\\/]/.test(it))
    damage(directory)
    const damaged = readFileSync(path)
    await pawl('resume', 'odd', '--quiet')
    writeFileSync(path, damaged)
    for (const snapshot of filesOf(directory).filter((it) => /[\\/]snap[\\/]/.test(it))) rmSync(snapshot)
    await pawl('resume', 'odd', '--quiet')
    expect((await pawl('verify', 'odd')).code).toBe(0)
    writeFileSync(path, damaged)
    const { code, stdout } = await pawl('verify', 'odd')
    expect(code).toBe(1)
    expect(stdout).toMatch(
      /a snapshot stands for it: it may be deleted|^Nothing is lost: what these held is on record elsewhere/m,
    )
    expect(stdout).not.toContain('runs again in the next')
  })

  test('of a damaged file that a snapshot stands for names the command that deletes it', async () => {
    const { pawl, directory } = await withRun()
    const [path = ''] = filesOf(directory).filter((it) => /[\\/]seg[\\/]/.test(it))
    damage(directory)
    const damaged = readFileSync(path)
    await pawl('resume', 'odd', '--quiet')
    writeFileSync(path, damaged)
    const { code, stdout } = await pawl('verify', 'odd')
    expect(code).toBe(1)
    expect(stdout).toMatch(/^seg\/[\w.-]+: damaged, but a snapshot stands for it: it may be deleted$/m)
    expect(stdout).toContain('\nWhat a snapshot stands for, that session deletes as it ends; or delete it by hand\n')
    const command = /^Go on with the run: pawl (resume .*)$/m.exec(stdout)?.[1] ?? ''
    expect((await pawl(...command.split(' '), '--skip-failed', '--quiet')).code).toBe(0)
    expect((await pawl('verify', 'odd')).code).toBe(0)
    expect(filesOf(directory)).not.toContain(path)
  })

  test('of a damaged manifest says what makes it again, and that does', async () => {
    const { pawl, directory } = await withRun()
    const [manifest = ''] = filesOf(directory).filter((it) => /[\\/]run[\\/]/.test(it))
    writeFileSync(manifest, '{}')
    const { code, stdout } = await pawl('verify', 'odd')
    expect(code).toBe(1)
    expect(stdout).toContain('The manifest is made again by the command or program that began the run (--run-id odd)')
    const again = ['--max-failures', '1', '--quiet']
    expect((await pawl('run', 'odd.js', '--input', 'in.jsonl', '--run-id', 'odd', ...again)).code).toBe(0)
    expect((await pawl('verify', 'odd')).code).toBe(0)
  })
})

describe('a run that a newer pawl wrote', () => {
  test('is listed as such, refused by every other command with exit code 2, and left by prune', async () => {
    const { pawl, directory } = await withRun()
    const [manifest = ''] = filesOf(directory).filter((it) => /[\\/]run[\\/]/.test(it))
    writeFileSync(manifest, readFileSync(manifest, 'utf8').replace('"version": 1', '"version": 2'))
    const sentence = /Cannot read odd\/run\/\w+\.json: expected version 1, got 2\. A newer pawl wrote it, and reads it\n$/
    const before = filesOf(directory)
    const list = await pawl('list')
    expect(list).toMatchObject({ code: 0, stderr: '' })
    expect(list.stdout).toMatch(/odd +│ unreadable │ \? +│ \? +│ [\d.]+ k?B/)
    expect(list.stdout).toMatch(sentence)
    expect(JSON.parse((await pawl('list', '--json')).stdout).runs).toMatchObject([
      { runId: 'odd', unreadable: expect.any(String) },
    ])
    const again = ['run', 'odd.js', '--input', 'in.jsonl', '--run-id', 'odd']
    for (const args of [...['inspect', 'verify', 'export', 'failures', 'resume'].map((command) => [command, 'odd']), again]) {
      const { code, stdout, stderr } = await pawl(...args)
      expect({ args, code, stdout }).toEqual({ args, code: 2, stdout: '' })
      expect(stderr).toMatch(sentence)
    }
    const { code, stdout, stderr } = await pawl('prune', '--older-than', '0')
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'deleted 0 runs, 0 B\n' })
    expect(stderr).toMatch(/^pawl: run 'odd' stays: Cannot read .* A newer pawl wrote it, and reads it\n$/)
    expect(filesOf(directory)).toEqual(before)
  })
})

describe('pawl prune', () => {
  test('deletes what is complete and old, and with --dry-run only says so', async () => {
    const { pawl, put, directory } = await withRun()
    put('two.js', 'export default ({ n }) => { if (n > 1) throw new Error("no"); return n }')
    await pawl('run', 'two.js', '--input', 'in.jsonl', '--run-id', 'unfinished')
    expect((await pawl('prune')).stdout).toContain('deleted 0 runs')
    const before = filesOf(directory)
    expect((await pawl('prune', '--older-than', '0', '--dry-run')).stdout).toMatch(/odd.*\nwould delete 1 run, /)
    const { stderr } = await pawl('prune', '--older-than', '30', '--dry-run')
    expect(stderr).toBe('pawl: --older-than 30 is 30ms: for days write 30d\n')
    expect(filesOf(directory)).toEqual(before)
    const removed = JSON.parse((await pawl('prune', '--older-than', '0', '--json')).stdout)
    expect(removed).toMatchObject({ dryRun: false, removed: [{ runId: 'odd' }] })
    expect(JSON.parse((await pawl('list', '--json')).stdout).runs.map((run: { runId: string }) => run.runId)).toEqual([
      'unfinished',
    ])
  })
})

describe('pawl prune, of a run whose results are damaged', () => {
  test('leaves it to a session to make up for them, and says so', async () => {
    const { pawl, put, directory } = project({ 'in.jsonl': items(300) })
    put('long.js', 'export default ({ n }) => `value ${n} value`')
    await pawl('run', 'long.js', '--input', 'in.jsonl', '--run-id', 'long', '--checkpoint-every', '100')
    damage(directory, undefined, 'value 1')
    for (const flags of [[], ['--dry-run']]) {
      const { stdout, stderr } = await pawl('prune', '--older-than', '0', ...flags)
      expect(stdout).toMatch(/^(deleted|would delete) 0 runs/)
      expect(stderr).toMatch(/^pawl: run 'long' stays: the outcomes of \d+ items are damaged\. /m)
    }
    await pawl('resume', 'long')
    expect((await pawl('prune', '--older-than', '0')).stdout).toContain('deleted 1 run')
  })
})

describe('a run that ended with more failures than tolerated', () => {
  test('is failed, for prune no waste, until a session makes up for it', async () => {
    const odd = 'export default ({ n }) => { if (n % 2) throw new Error("odd"); return n }'
    const { pawl } = project({ 'odd.js': odd, 'in.jsonl': items(10) })
    const status = async () => JSON.parse((await pawl('list', '--json')).stdout).runs[0]?.status
    const prune = async () => (await pawl('prune', '--older-than', '0')).stdout
    await pawl('run', 'odd.js', '--input', 'in.jsonl', '--run-id', 'odd', '--chunk-size', '10')
    expect((await pawl('list')).stdout).toMatch(/odd +│ failed +│ 10\/10/)
    expect((await pawl('inspect', 'odd')).stdout).toMatch(/^status +failed$/m)
    expect(await prune()).toContain('deleted 0 runs')
    // A session that has nothing to run makes up for it too, and takes it back.
    for (const [flags, expected] of [
      [['--skip-failed', '--max-failures', '5'], 'complete'],
      [['--skip-failed', '--max-failures', '4'], 'failed'],
      [['--skip-failed', '--max-failures', '5'], 'complete'],
    ] as const) {
      await pawl('resume', 'odd', ...flags)
      expect(await status()).toBe(expected)
    }
    expect((await pawl('verify', 'odd')).code).toBe(0)
    expect(await prune()).toContain('deleted 1 run')
  })
})

describe('pawl plan', () => {
  test('says that there are no items', async () => {
    const { pawl } = project({ ...FILES, 'in.jsonl': '' })
    for (const input of ['in.jsonl', '-']) {
      const { code, stdout } = await pawl('plan', 'odd.js', '--input', input)
      expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^warning +There are no items, so that/m) })
    }
  })

  test('explains without recording', async () => {
    const { pawl, directory } = project({ ...FILES, 'in.jsonl': items(3) })
    const { code, stdout } = await pawl('plan', 'odd.js', '--input', 'in.jsonl')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^mode +(threads|inline)$/m)
    expect(JSON.parse((await pawl('plan', 'odd.js', '--input', 'in.jsonl', '--json')).stdout)).toMatchObject({
      reason: expect.any(String),
      warnings: expect.any(Array),
    })
    expect(readdirSync(directory)).not.toContain('.pawl')
  })

  test('tells of items that take seconds in seconds', async () => {
    const task = "import { setTimeout } from 'node:timers/promises'\nexport default () => setTimeout(1050)"
    const { pawl } = project({ 'slow.js': task, 'in.jsonl': items(1) })
    expect((await pawl('plan', 'slow.js', '--input', 'in.jsonl')).stdout).toMatch(/^item time +\d[\d.]* s$/m)
  })

  test('takes the line of a run as it is, and does nothing of it', async () => {
    const { pawl, directory } = project({ ...FILES, 'in.jsonl': items(40) })
    const before = readdirSync(directory)
    const line =
      'odd.js --input in.jsonl --output out.jsonl --run-id r --overwrite --workers 1 --chunk-size 7 --retries 2 --timeout 1m --max-failures 5% --max-crashes 3 --format json --checkpoint-every 10 --checkpoint-interval 2s --compress --keep 1 --shard 1/2 --key n --config {} --seed 3 --preempt auto --drain-timeout 1s --time-limit 1h --quiet'
    const help = (await pawl('run', '--help')).stdout
    const flags = [...help.matchAll(/^ {2}(--[\w-]+)/gm)].map(([, flag]) => flag as string)
    const others = ['--help', '--json', '--resume', '--no-checkpoint', '--checkpoint']
    expect(flags.filter((flag) => !others.includes(flag) && !line.includes(`${flag} `) && !line.endsWith(flag))).toEqual([])
    const { code, stdout, stderr } = await pawl('plan', ...line.split(' '), '--json')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(JSON.parse(stdout)).toMatchObject({ workers: 1, chunkSize: 7, warnings: [] })
    const other = await pawl('plan', ...line.replace('1/2', '2/2').split(' '))
    expect(other.stdout).toMatch(/^warning +Of (1\d|2\d) tried, 1 failed, first item 3: three/m)
    expect((await pawl('plan', 'odd.js', '--input', 'in.jsonl', '--no-checkpoint', '--resume')).code).toBe(0)
    expect(readdirSync(directory)).toEqual(before)
    expect((await pawl('plan', '--help')).stdout).not.toContain('--overwrite')
  })

  test('warns of results that are no JSON, which fail in a run', async () => {
    const { pawl } = project({ 'big.js': 'export default ({ n }) => n === 1 ? 1n : n', 'in.jsonl': items(2) })
    const { stdout } = await pawl('plan', 'big.js', '--input', 'in.jsonl')
    expect(stdout).toMatch(/^warning +Of 2 tried, 1 failed, first item 1: Cannot record the result .* got a BigInt/m)
  })

  test('tells that the task takes its time to load, and ends at a signal', async () => {
    const never =
      'import { isMainThread } from "node:worker_threads"\nif (!isMainThread) await new Promise(() => {})\nexport default (n) => n'
    const { start } = project({ 'never.js': never, 'in.jsonl': items(3) })
    const { child, ended, saying } = start(['plan', 'never.js', '--input', 'in.jsonl'], '')
    await saying(/^pawl: warning: Still loading the task/m)
    child.kill('SIGINT')
    expect(await ended).toMatchObject({ signal: 'SIGINT', stdout: '' })
  })
})

describe('pawl bench formats', () => {
  test('measures the four formats on the values of a result file', async () => {
    const results = Array.from({ length: 500 }, (_, index) =>
      JSON.stringify({ index, value: { name: `n${index}`, size: index } }),
    )
    const { pawl } = project({ 'results.jsonl': `${results.join('\n')}\n` })
    const { code, stdout } = await pawl('bench', 'formats', '--input', 'results.jsonl')
    expect(code).toBe(0)
    for (const row of ['json ', 'msgpack ', 'json + gzip', 'msgpack + gzip']) expect(stdout).toContain(`│ ${row}`)
    const { values, formats } = JSON.parse((await pawl('bench', 'formats', '--input', 'results.jsonl', '--json')).stdout)
    expect(values).toBe(500)
    expect(formats.map((it: { format: string; compress: string }) => `${it.format} ${it.compress}`)).toEqual([
      'json none',
      'msgpack none',
      'json gzip',
      'msgpack gzip',
    ])
    for (const { save, load, bytes } of formats) expect(Math.min(save, load, bytes)).toBeGreaterThan(0)
    const bytesOf = Object.fromEntries(
      formats.map((it: { format: string; compress: string; bytes: number }) => [it.format + it.compress, it.bytes]),
    )
    expect(bytesOf.jsonnone).toBe(JSON.stringify(results.map((line) => JSON.parse(line).value)).length)
    expect(bytesOf.msgpacknone).toBeLessThan(bytesOf.jsonnone)
  })

  test.each([
    ['the values of results', '{"index":0,"value":1}\n{"index":1,"value":null}\n', "what stands under 'value'"],
    ['nothing of some', '{"index":0,"value":1}\n{"index":1}\n', "what stands under 'value', null for 1 line without it"],
    ['items without any', '{"index":0}\n{"index":1}\n', "the items as they are, as none has a 'value'"],
    ['items', '{"n":0}\n{"index":1,"value":1}\n', 'the items as they are'],
    [
      'items most of which are results',
      '{"index":0,"value":1}\n{"index":1,"error":1}\n',
      'the items as they are, as line 2 is no {"index","value"}',
    ],
  ])('says that it took %s', async (_, content, are) => {
    const { pawl } = project({ 'in.jsonl': content })
    expect((await pawl('bench', 'formats', '--input', 'in.jsonl')).stdout).toContain(`2 values (${are}), median of`)
    expect(JSON.parse((await pawl('bench', 'formats', '--input', 'in.jsonl', '--json')).stdout)).toMatchObject({ values: 2, are })
  })
})
