import { execFile } from 'node:child_process'
import { chmodSync, existsSync, linkSync, lstatSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { nameOf, whyNot } from '../crash/tools.ts'
import { BIN, items, lines, project } from './pawl.ts'

const noLimits = whyNot(['prlimit', 'bash'])

const DOUBLE = {
  'double.js': 'export default (item) => item.n * 2\nexport const half = (item) => item.n / 2',
  'in.jsonl': items(20),
}
const doubled = Array.from({ length: 20 }, (_, index) => ({ index, value: index * 2 }))

describe('pawl run', () => {
  test('writes the results to stdout in input order and says on stderr what it did', async () => {
    const { pawl } = project(DOUBLE)
    const { code, stdout, stderr } = await pawl('run', 'double.js', '--input', 'in.jsonl')
    expect(code).toBe(0)
    expect(lines(stdout)).toEqual(doubled)
    expect(stderr).toMatch(/^pawl: run double-[0-9a-f]{10} of 20 items, recorded in \.pawl$/m)
    expect(stderr).toMatch(/^pawl: complete: run double-[0-9a-f]{10}: 20 items, 0 restored, 0 failed/m)
  })

  test('says of an input that is legal but hardly meant what it holds', async () => {
    const { pawl, put } = project({ 'same.js': 'export default (item) => item', 'none.jsonl': '', 'one.jsonl': '[1,2,3]\n' })
    expect((await pawl('run', 'same.js', '--input', 'none.jsonl')).stderr).toContain('pawl: none.jsonl holds no items\n')
    const { stdout, stderr } = await pawl('run', 'same.js', '--input', 'one.jsonl')
    expect(stdout).toBe('{"index":0,"value":[1,2,3]}\n')
    expect(stderr).toMatch(/^pawl: one\.jsonl holds one item, an array of 3; 'jq -c "\.\[\]" one\.jsonl'/m)
    expect((await pawl('run', 'same.js', '--input', 'one.jsonl', '--quiet')).stderr).toBe('')
    put('one.csv', 'name;size\nx;1\n')
    const csv = (await pawl('run', 'same.js', '--input', 'one.csv')).stderr
    expect(csv).toContain("pawl: one.csv: Commas part fields: the first row names one, 'name;size'\n")
    expect((await pawl('run', 'same.js', '--input', 'none.jsonl', '--quiet')).stderr).toBe('pawl: none.jsonl holds no items\n')
  })

  test('says of an output that is called a table that it gets JSONL', async () => {
    const { pawl, directory } = project(DOUBLE)
    const run = ['run', 'double.js', '--input', 'in.jsonl', '--output']
    expect((await pawl(...run, 'out.csv')).stderr).toContain(
      'pawl: out.csv gets JSONL, which it is not called: a line {"index","value"} for each result\n',
    )
    expect(lines(readFileSync(join(directory, 'out.csv'), 'utf8'))).toEqual(doubled)
    expect((await pawl(...run, 'out.jsonl')).stderr).not.toContain('gets JSONL')
    expect((await pawl(...run, 'out.csv', '--quiet')).stderr).toBe('')
  })

  test('takes file.js#name, and --quiet says nothing', async () => {
    const { pawl } = project(DOUBLE)
    const { code, stdout, stderr } = await pawl('run', './double.js#half', '--input', './in.jsonl', '--quiet')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(lines(stdout)[3]).toEqual({ index: 3, value: 1.5 })
  })

  test('a second time answers from the record and dispatches nothing; --overwrite runs again', async () => {
    const { pawl } = project(DOUBLE)
    const run = ['run', 'double.js', '--input', 'in.jsonl', '--json']
    expect(JSON.parse((await pawl(...run)).stdout)).toMatchObject({ status: 'complete', stats: { dispatched: 20, restored: 0 } })
    const again = await pawl(...run, '--output', 'out.jsonl')
    const report = JSON.parse(again.stdout)
    expect(report).toMatchObject({
      status: 'complete',
      failures: [],
      output: 'out.jsonl',
      stats: { dispatched: 0, restored: 20 },
    })
    expect(report).not.toHaveProperty('results')
    expect(JSON.parse((await pawl(...run, '--resume')).stdout).stats.dispatched).toBe(0)
    expect(JSON.parse((await pawl(...run, '--overwrite')).stdout).stats.dispatched).toBe(20)
  })

  test('--resume without an earlier run is exit code 2', async () => {
    const { pawl } = project(DOUBLE)
    expect(await pawl('run', 'double.js', '--input', 'in.jsonl', '--resume')).toMatchObject({ code: 2, stdout: '' })
  })

  test('a changed input is a mismatch that is told', async () => {
    const { pawl, put } = project(DOUBLE)
    await pawl('run', 'double.js', '--input', 'in.jsonl')
    put('in.jsonl', items(21))
    const { code, stderr } = await pawl('run', 'double.js', '--input', 'in.jsonl')
    expect(code).toBe(2)
    expect(stderr).toMatch(/20[^]*21/)
  })

  test('an input of other bytes is told as such, though the values are the same', async () => {
    const { pawl, put } = project(DOUBLE)
    const run = ['run', 'double.js', '--input', 'in.jsonl']
    await pawl(...run)
    put('in.jsonl', items(20).replaceAll('\n', '\r\n'))
    const { code, stderr } = await pawl(...run)
    expect(code).toBe(2)
    expect(stderr).toContain(
      "expected the same bytes of in.jsonl (their digest; spaces and what ends lines count) as recorded, '",
    )
    expect(stderr).toContain('To go on, put in.jsonl back as it was')
  })

  test('--output that is a link to nothing yet makes what it leads to, where that can be, and not what is read', async () => {
    const { pawl, put, directory } = project(DOUBLE)
    put('there/x', '')
    symlinkSync('second', join(directory, 'link.jsonl'))
    symlinkSync('there/out.jsonl', join(directory, 'second'))
    symlinkSync('nowhere/out.jsonl', join(directory, 'lost.jsonl'))
    symlinkSync('.pawl/r/seg/x', join(directory, 'record.jsonl'))
    const run = (output: string) => pawl('run', 'double.js', '--input', 'in.jsonl', '--run-id', 'r', '--output', output)
    expect(await run('link.jsonl')).toMatchObject({ code: 0 })
    expect(lines(readFileSync(join(directory, 'there/out.jsonl'), 'utf8'))).toEqual(doubled)
    for (const link of ['link.jsonl', 'second']) expect(lstatSync(join(directory, link)).isSymbolicLink()).toBe(true)
    expect(await run('lost.jsonl')).toMatchObject({ code: 2, stderr: expect.stringContaining("got no directory 'nowhere'") })
    expect(await run('record.jsonl')).toMatchObject({ code: 2, stderr: expect.stringContaining("in the record of run 'r'") })
  })

  test('--output is replaced whole, its mode and its symbolic link kept, and nothing is left beside it', async () => {
    const { pawl, put, directory } = project(DOUBLE)
    put('real.jsonl', 'old')
    chmodSync(join(directory, 'real.jsonl'), 0o662) // umask would take bits of it.
    symlinkSync('real.jsonl', join(directory, 'out.jsonl'))
    const { code, stdout } = await pawl('run', 'double.js', '--input', 'in.jsonl', '--output', 'out.jsonl')
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' })
    expect(lines(readFileSync(join(directory, 'real.jsonl'), 'utf8'))).toEqual(doubled)
    expect(statSync(join(directory, 'real.jsonl')).mode & 0o777).toBe(0o662)
    expect(lstatSync(join(directory, 'out.jsonl')).isSymbolicLink()).toBe(true)
    expect(readdirSync(directory).filter((name) => name.endsWith('.tmp'))).toEqual([])
  })

  test.each([
    ['in.jsonl', ['--input', 'in.jsonl'], 'in.jsonl, which is read'],
    ['./sub/../in.jsonl', ['--input', 'in.jsonl'], 'in.jsonl, which is read'],
    ['link.jsonl', ['--input', 'in.jsonl'], 'in.jsonl, which is read'],
    ['in.jsonl', ['--input', 'link.jsonl'], 'link.jsonl, which is read'],
    ['sub/link/in.jsonl', ['--input', 'in.jsonl', '--no-checkpoint'], 'in.jsonl, which is read'],
    ['link.jsonl', ['--input', '*n.jsonl'], 'in.jsonl, which is read'],
    ['double.js', ['--input', 'in.jsonl'], 'double.js, which is read'],
    ['hard.jsonl', ['--input', 'in.jsonl'], 'in.jsonl, which is read'],
    ['hard.jsonl', ['--input', 'i*.jsonl'], 'in.jsonl, which is read'],
    ['.pawl/other/seg/x-0.msgpack', ['--input', 'in.jsonl'], "one in the record of run 'other'"],
    ['.pawl/mine/out.jsonl', ['--input', 'in.jsonl', '--run-id', 'mine'], "one in the record of run 'mine'"],
    ['.pawl/other/run/0f.json', ['--input', 'in.jsonl', '--no-checkpoint'], "one in the record of run 'other'"],
  ])('--output %s for %j is refused before anything starts', async (output, flags, sentence) => {
    const { pawl, put, directory } = project(DOUBLE)
    put('.pawl/other/seg/x-0.msgpack', '')
    put('.pawl/other/run/0f.json', '')
    put('.pawl/mine/notes', '')
    put('sub/x', '')
    symlinkSync('in.jsonl', join(directory, 'link.jsonl'))
    linkSync(join(directory, 'in.jsonl'), join(directory, 'hard.jsonl'))
    symlinkSync('..', join(directory, 'sub/link'))
    const { code, stdout, stderr } = await pawl('run', 'double.js', ...flags, '--output', output)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toBe(`pawl: Cannot write output '${output}': expected a file of its own, got ${sentence}\n`)
    expect(readFileSync(join(directory, 'in.jsonl'), 'utf8')).toBe(items(20))
    expect(readdirSync(join(directory, '.pawl'))).toEqual(['mine', 'other'])
  })

  test.each(['in.jsonl', 'hard.jsonl'])(
    '--output %s is refused while stdin reads that file; another is written',
    async (output) => {
      const { directory } = project(DOUBLE)
      linkSync(join(directory, 'in.jsonl'), join(directory, 'hard.jsonl'))
      const run = (name: string) => {
        const command = `${process.execPath} ${BIN} run double.js --input - --quiet --output ${name} < in.jsonl`
        return promisify(execFile)('sh', ['-c', command], { cwd: directory })
      }
      const stderr = `pawl: Cannot write output '${output}': expected a file of its own, got stdin, which is read\n`
      await expect(run(output)).rejects.toMatchObject({ code: 2, stdout: '', stderr })
      expect(readFileSync(join(directory, output), 'utf8')).toBe(items(20))
      await run('out.jsonl')
      expect(lines(readFileSync(join(directory, 'out.jsonl'), 'utf8'))).toEqual(doubled)
    },
  )

  test.each([
    ['in.jsonl', 'in.jsonl', '', 'in.jsonl'],
    ["'*.jsonl'", 'out.jsonl', '', 'out.jsonl'],
    ['-', 'in.jsonl', '< in.jsonl', 'stdin'],
  ])('stdout that is redirected into what --input %s reads is refused', async (input, file, from, read) => {
    const { directory } = project(DOUBLE)
    const command = `${process.execPath} ${BIN} run double.js --input ${input} --quiet >> ${file} ${from}`
    const ended = promisify(execFile)('sh', ['-c', command], { cwd: directory })
    const stderr = `pawl: Cannot write output '/dev/stdout': expected a file of its own, got ${read}, which is read\n`
    await expect(ended).rejects.toMatchObject({ code: 2, stderr })
    expect(readFileSync(join(directory, 'in.jsonl'), 'utf8')).toBe(items(20))
  })

  test('stdin and --output may be one device', async () => {
    const { directory } = project(DOUBLE)
    const command = `${process.execPath} ${BIN} run double.js --input - --output /dev/null < /dev/null`
    const { stderr } = await promisify(execFile)('sh', ['-c', command], { cwd: directory })
    expect(stderr).toContain('0 items')
  })

  test.skipIf(!existsSync('/dev/full'))('an output that cannot be written says where the results are; exit code 75', async () => {
    const { pawl } = project(DOUBLE)
    const run = (...more: string[]) =>
      pawl('run', 'double.js', '--input', 'in.jsonl', '--output', '/dev/full', '--quiet', ...more)
    const { code, stderr } = await run('--run-id', 'd', '--checkpoint', 'runs')
    expect({ code, stderr }).toEqual({ code: 75, stderr: expect.stringContaining('Cannot go on: ENOSPC') })
    const [, command = ''] = /\. All results are on record; to write them: pawl (.* --output )FILE\n$/.exec(stderr) ?? []
    expect((await pawl(...`${command}out.jsonl`.split(' '))).stderr).toBe('pawl: 20 results in out.jsonl; 0 failures left out\n')
    expect(await run('--no-checkpoint')).toMatchObject({ code: 75, stderr: expect.stringContaining('are gone\n') })
  })

  // A record that no file may hold is given up at once, a full disk after 30 s.
  test.skipIf(noLimits).each(['stdout', 'out.jsonl'])(
    nameOf(
      'results of which no record can be written go to %s all the same, once every item has settled; exit code 75',
      noLimits,
    ),
    async (place) => {
      const task = 'export default ({ n }) => n === 3 ? "x".repeat(30_000 - n) : n'
      const { directory } = project({ 'long.js': task, 'in.jsonl': items(20) })
      const output = place === 'stdout' ? '' : '--output out.jsonl'
      const flags = `--input in.jsonl --run-id r --quiet --checkpoint-interval 1h ${output}`
      const command = `prlimit --fsize=20000 ${process.execPath} ${BIN} run long.js ${flags} | cat; exit \${PIPESTATUS[0]}`
      const ended = await promisify(execFile)('bash', ['-c', command], { cwd: directory }).catch((error) => error)
      const { code, stdout, stderr } = ended as { code: number; stdout: string; stderr: string }
      expect(code).toBe(75)
      expect(stderr).toMatch(/^pawl: Cannot write the checkpoint of run 'r': .* What was saved before is safe/)
      if (place === 'stdout') {
        expect(lines(stdout)).toHaveLength(20)
        expect(stderr).toMatch(/; all results are on stdout; to run again and record what was not: pawl resume r\n$/)
      } else {
        expect(stderr).toMatch(/^pawl: nor can the results be written: EFBIG/m)
        expect(stderr).toMatch(/; go on with: pawl resume r\n$/)
        expect(existsSync(join(directory, 'out.jsonl'))).toBe(false)
      }
    },
  )

  test('--output may lie beside the records of runs', async () => {
    const { pawl, put } = project(DOUBLE)
    put('.pawl/results/x', '')
    for (const output of ['.pawl/out.jsonl', '.pawl/results/out.jsonl']) {
      expect(await pawl('run', 'double.js', '--input', 'in.jsonl', '--output', output)).toMatchObject({ code: 0 })
    }
  })

  test('a task that cannot be loaded is told once, and leaves no run of nothing', async () => {
    const { pawl, put } = project(DOUBLE)
    put('broken.js', 'throw new Error("out of order")')
    const run = (...more: string[]) => pawl('run', 'broken.js', '--input', 'in.jsonl', '--quiet', '--run-id', 'r', ...more)
    const { code, stderr } = await run()
    expect(code).toBe(2)
    expect(stderr).toMatch(/^pawl: Cannot load task 'broken\.js': .* got out of order \(broken\.js:1\)\. .*\n$/)
    expect((await pawl('list')).stdout).toBe('no runs in .pawl\n')
    // What is recorded stays.
    put('broken.js', 'export default ({ n }) => { if (n === 7) throw new Error("seven"); return n }')
    await run('--max-failures', '1')
    put('broken.js', 'throw new Error("out of order")')
    expect(await run()).toMatchObject({ code: 2, stderr: expect.stringContaining('to go on: pawl resume r\n') })
    expect(JSON.parse((await pawl('list', '--json')).stdout).runs).toMatchObject([{ runId: 'r', done: 20, failures: 1 }])
  })

  test('after too many failures each command it names does what it says', async () => {
    const odd =
      'import { existsSync } from "node:fs"\nexport default ({ n }) => { if (n > 17 && !existsSync("fixed")) throw new Error(`no ${n}.`); return n }'
    const { pawl, put } = project({ ...DOUBLE, 'odd.js': odd })
    const args = ['run', 'odd.js', '--input', 'in.jsonl', '--run-id', 'odd', '--chunk-size', '20', '--output', 'o.jsonl']
    const { code, stderr } = await pawl(...args)
    expect(code).toBe(1)
    expect(stderr).toContain(
      'expected at most 0 failures (--max-failures), got 2 items that failed, first item 18: no 18\npawl: run odd: 20 items,',
    )
    expect(stderr).not.toMatch(/report|maxFailures/)
    const commands = [...stderr.matchAll(/^pawl: to .*: +pawl (.*)$/gm)].map(([, command]) => (command as string).split(' '))
    const [see, again, leave, have] = commands as [string[], string[], string[], string[]]
    expect((await pawl(...see)).stdout).toMatch(/item 18[^]*item 19/)
    expect((await pawl(...again)).code).toBe(1)
    expect(await pawl(...leave)).toMatchObject({ code: 0, stderr: expect.stringContaining('20 restored, 2 failed') })
    expect(lines((await pawl(...have)).stdout)).toHaveLength(18)
    put('fixed', '')
    expect(await pawl(...again)).toMatchObject({ code: 0, stderr: expect.stringContaining('18 restored, 0 failed') })
  })

  test('the commands it names are quoted as a shell needs it', async () => {
    const { pawl, put, directory } = project({
      'at.js': 'export const $odd = () => { throw new Error("no") }\nexport default $odd',
      'in.jsonl': items(1),
    })
    const bin = join(directory, 'bin/pawl')
    put('bin/pawl', `#!/bin/sh\nexec ${process.execPath} ${BIN} "$@"\n`)
    chmodSync(bin, 0o755)
    for (const args of [['at.js', '--run-id', 'r'], ['at.js#$odd']]) {
      const { code, stderr } = await pawl('run', ...args, '--input', 'in.jsonl', '--checkpoint', "it's mine")
      expect(code).toBe(1)
      const [see = ''] = [...stderr.matchAll(/^pawl: to see what failed: +(.*)$/gm)].map(([, command]) => command as string)
      expect(see).toContain(`pawl failures `)
      const env = { ...process.env, PATH: `${dirname(bin)}:${process.env.PATH}` }
      const { stdout } = await promisify(execFile)('sh', ['-c', see], { cwd: directory, env })
      expect(stdout).toContain('item 0: error after 1 attempt')
    }
  })

  test.each([
    ['日本.js', /^run-[0-9a-f]{10}$/],
    ['über.js', /^ber-[0-9a-f]{10}$/],
  ])('the name of a run of %s is one that a command takes', async (task, name) => {
    const { pawl } = project({ [task]: 'export default ({ n }) => n', 'in.jsonl': items(1) })
    const { runId } = JSON.parse((await pawl('run', task, '--input', 'in.jsonl', '--json')).stdout)
    expect(runId).toMatch(name)
    expect(await pawl('resume', runId)).toMatchObject({ code: 0 })
  })

  test('--output is left alone when more items fail than tolerated; exit code 1', async () => {
    const { pawl, put, directory } = project({
      ...DOUBLE,
      'odd.js': 'export default ({ n }) => { if (n % 2) throw new TypeError(`odd ${n}`); return n }',
    })
    put('out.jsonl', 'old')
    const { code, stderr, stdout } = await pawl('run', 'odd.js', '--input', 'in.jsonl', '--output', 'out.jsonl', '--json')
    expect(code).toBe(1)
    expect(readFileSync(join(directory, 'out.jsonl'), 'utf8')).toBe('old')
    expect(stderr).toMatch(/pawl failures odd-[0-9a-f]{10}/)
    const report = JSON.parse(stdout)
    expect(report).toMatchObject({ error: { code: 'ERR_PAWL_RUN_FAILED' }, status: 'partial' })
    expect(report.failures[0]).toMatchObject({
      kind: 'error',
      reason: { name: 'TypeError', message: expect.stringMatching(/^odd \d+$/) },
    })
    const pending = report.stats.items - report.stats.succeeded - report.stats.failed
    const advice = stderr.match(
      /(\d+) items? still to run: give --max-failures as many as may fail in all, or a share such as 5%\n/,
    )
    expect(Number(advice?.[1] ?? 0)).toBe(pending)
  })

  test('what is still to run is told also of stdin, and where nothing is recorded', async () => {
    const { start } = project({ 'no.js': 'export default ({ n }) => { throw new Error(`no ${n}`) }', 'in.jsonl': items(50) })
    const run = async (input: string, ...more: string[]) =>
      (await start(['run', 'no.js', '--input', input, '--workers', '1', '--chunk-size', '1', ...more], items(50)).ended).stderr
    const advice = ' still to run: give --max-failures as many as may fail in all, or a share such as 5%\n'
    expect(await run('-', '--run-id', 'r')).toContain(`what else there is in stdin is${advice}`)
    expect(await run('-')).toContain(`what else there is in stdin is${advice}`)
    expect(await run('in.jsonl', '--no-checkpoint')).toMatch(new RegExp(`\\d+ items?${advice}`))
  })

  test('what it advises of a failure are flags, also in the warnings of a plan', async () => {
    const { pawl } = project({
      'hang.js': 'export default ({ n }) => { if (n === 1) for (;;); return n }',
      'exit.js': 'export default ({ n }) => { if (n === 1) process.exit(3); return n }',
      'in.jsonl': items(3),
    })
    const advice = 'so its worker was ended. Raise --timeout if they need longer'
    const hung = ['hang.js', '--input', 'in.jsonl', '--timeout', '200']
    const { stdout, stderr } = await pawl('run', ...hung, '--json')
    expect(stderr).toContain(advice)
    expect(JSON.parse(stdout).error.message).toContain(advice)
    expect((await pawl('plan', ...hung)).stdout).toContain(advice)
    expect((await pawl('run', 'exit.js', '--input', 'in.jsonl')).stderr).toContain('(2 times, and --max-crashes is 2)')
  })

  test('--json says of limits and failures what stderr would: flags', async () => {
    const { pawl } = project({
      'hang.js': 'export default ({ n }) => { if (n === 1) for (;;); return n }',
      'in.jsonl': items(3),
    })
    const { stdout } = await pawl('run', 'hang.js', '--input', 'in.jsonl', '--timeout', '200', '--max-failures', '1', '--json')
    const [{ reason }] = JSON.parse(stdout).failures
    expect(reason.message).toMatch(/ Raise --timeout if they need longer$/)
    expect(reason.stack).toContain(reason.message)
  })

  test('tolerated failures have no line; exit code 0', async () => {
    const { pawl } = project({ ...DOUBLE, 'odd.js': 'export default ({ n }) => { if (n % 2) throw new Error("odd"); return n }' })
    const { code, stdout } = await pawl('run', 'odd.js', '--input', 'in.jsonl', '--max-failures', '50%')
    expect(code).toBe(0)
    expect(lines(stdout)).toEqual(Array.from({ length: 10 }, (_, at) => ({ index: at * 2, value: at * 2 })))
  })

  test('undefined is a line without value, what JSON cannot hold a failure of kind serialization', async () => {
    const task = 'export default ({ n }) => n === 1 ? undefined : n === 2 ? 1n : n === 3 ? [-0, "\\u2028"] : n'
    const { pawl } = project({ 'odd.js': task, 'in.jsonl': items(4) })
    const { code, stdout } = await pawl('run', 'odd.js', '--input', 'in.jsonl', '--max-failures', '1', '--no-checkpoint')
    expect(code).toBe(0)
    expect(stdout.split('\n')).toEqual(['{"index":0,"value":0}', '{"index":1}', '{"index":3,"value":[-0,"\u2028"]}', ''])
    const failed = await pawl('run', 'odd.js', '--input', 'in.jsonl', '--max-failures', '1', '--json')
    const [failure, ...others] = JSON.parse(failed.stdout).failures
    expect(others).toEqual([])
    expect(failure).toMatchObject({ index: 2, kind: 'serialization', item: { n: 2 } })
    // Lines are JSON whatever the format of the record.
    expect(failure.reason.message).toMatch(/got a BigInt\. Return what its toString\(\) gives instead$/)
  })

  test.each(['msgpack', 'json'])('of a date it says what to return, and of other formats nothing (%s)', async (format) => {
    const { pawl } = project({ 'date.js': 'export default ({ n }) => ({ n, at: [new Date(n)] })', 'in.jsonl': items(1) })
    const { code, stderr } = await pawl('run', 'date.js', '--input', 'in.jsonl', '--format', format)
    expect(code).toBe(1)
    expect(stderr).toContain('got a Date at result.at[0]. Return what its toISOString() gives instead')
    expect(stderr).not.toContain('msgpack')
  })

  test('of a failure that goes on no record it tells the line', async () => {
    const { pawl } = project({ 'odd.js': 'export default function odd({ n }) {\n  null.x\n}', 'in.jsonl': items(1) })
    const { code, stderr } = await pawl('run', 'odd.js', '--input', 'in.jsonl', '--no-checkpoint')
    expect(code).toBe(1)
    expect(stderr).toMatch(/^pawl: item 0 failed at odd \(odd\.js:2:\d+\)$/m)
  })

  test('what tasks print goes to stderr', async () => {
    const task = 'export default ({ n }) => { console.log("log", n); process.stdout.write("raw\\n"); return n }'
    const { pawl } = project({ 'noisy.js': task, 'in.jsonl': items(3) })
    for (const more of [['--no-checkpoint'], []]) {
      const { code, stdout, stderr } = await pawl('run', 'noisy.js', '--input', 'in.jsonl', ...more)
      expect(code).toBe(0)
      expect(lines(stdout)).toHaveLength(3)
      const printed = stderr.split('\n').filter((line) => /^(log \d|raw)$/.test(line))
      expect(printed.sort()).toEqual(['log 0', 'log 1', 'log 2', 'raw', 'raw', 'raw'])
    }
  })

  test.each([
    [
      'rows.csv',
      'a,b\n1,x\n2,y\n',
      [
        { a: '1', b: 'x' },
        { a: '2', b: 'y' },
      ],
    ],
    ['lines.txt', 'one\ntwo\n', ['one', 'two']],
    ['files/*.md', '', ['files/1.md', 'files/2.md']],
  ])('reads %s', async (input, content, expected) => {
    const { pawl, put } = project({ 'same.js': 'export default (item) => item', 'files/2.md': '', 'files/1.md': '' })
    if (content) put(input, content)
    const { code, stdout } = await pawl('run', 'same.js', '--input', input)
    expect(code).toBe(0)
    expect(lines(stdout)).toEqual(expected.map((value, index) => ({ index, value })))
  })

  test('stdin is not recorded and says so; with --run-id it is', async () => {
    const { start, directory } = project(DOUBLE)
    const plain = await start(['run', 'double.js', '--input', '-'], items(20)).ended
    expect(plain.code).toBe(0)
    expect(lines(plain.stdout)).toEqual(doubled)
    expect(plain.stderr).toContain('not recorded; --run-id ID records them')
    expect(existsSync(join(directory, '.pawl'))).toBe(false)
    for (const [dispatched, restored] of [
      [20, 0],
      [0, 20],
    ]) {
      const named = await start(['run', 'double.js', '--input', '-', '--run-id', 'mine', '--json'], items(20)).ended
      expect(JSON.parse(named.stdout)).toMatchObject({ runId: 'mine', stats: { dispatched, restored } })
    }
  })

  test('--quiet says of stdin that it is not recorded unless that was asked for, and that it held nothing', async () => {
    const { start } = project(DOUBLE)
    const told = async (stdin: string, ...flags: string[]) =>
      (await start(['run', 'double.js', '--input', '-', '--quiet', ...flags], stdin).ended).stderr
    expect(await told(items(2))).toBe('pawl: items from stdin are not recorded; --run-id ID records them\n')
    expect(await told(items(2), '--no-checkpoint')).toBe('')
    expect(await told('', '--no-checkpoint')).toBe('pawl: stdin held no items\n')
    expect(await told(items(1), '--no-checkpoint', '--shard', '2/2')).toBe('')
    expect(await told(items(1), '--no-checkpoint', '--shard', '1/2')).toBe('')
  })

  test('a bad line on stdin is exit code 2, with its number', async () => {
    const { start } = project(DOUBLE)
    const { code, stderr } = await start(['run', 'double.js', '--input', '-'], '{"n":1}\nnope\n').ended
    expect(code).toBe(2)
    expect(stderr).toContain('Cannot read stdin, line 2')
    const recorded = await start(['run', 'double.js', '--input', '-', '--run-id', 'in'], '{"n":1}\n{bad\n').ended
    expect(recorded.stderr).toMatch(/; to go on: pawl resume in, with that line of stdin put right\n$/)
  })

  test('gzip on stdin is told as that, with the cure', async () => {
    const { directory } = project({ ...DOUBLE })
    const command = `gzip -c in.jsonl | ${process.execPath} ${BIN} run double.js --input -`
    const stderr = expect.stringContaining(
      "Cannot read stdin: expected text, got gzip. 'gunzip -c FILE | pawl run … --input -' unpacks it",
    )
    await expect(promisify(execFile)('sh', ['-c', command], { cwd: directory })).rejects.toMatchObject({ code: 2, stderr })
  })

  test('--shard runs its part, and export gives the parts together', async () => {
    const { pawl } = project(DOUBLE)
    const run = ['run', 'double.js', '--input', 'in.jsonl', '--run-id', 'parts']
    const parts = [await pawl(...run, '--shard', '1/2'), await pawl(...run, '--shard', '2/2')]
    expect(parts.map(({ code }) => code)).toEqual([0, 0])
    const seen = parts.flatMap(({ stdout }) => lines(stdout) as { index: number; value: number }[])
    expect(seen.toSorted((a, b) => a.index - b.index)).toEqual(doubled)
    expect(lines((await pawl('export', 'parts')).stdout)).toEqual(doubled)
  })

  test('--key lets items be added, removed and moved', async () => {
    const { pawl, put } = project(DOUBLE)
    const run = ['run', 'double.js', '--input', 'in.jsonl', '--key', 'n', '--json', '--output', 'out.jsonl']
    await pawl(...run)
    put('in.jsonl', '{"n":30}\n{"n":7}\n{"n":0}\n')
    expect(JSON.parse((await pawl(...run)).stdout)).toMatchObject({
      status: 'complete',
      stats: { items: 3, dispatched: 1, restored: 2 },
    })
  })

  test('no task runs on the main thread, however little its items are: a timer would keep it, an item without end the signals', async () => {
    const task = `import { writeSync } from 'node:fs'
      import { isMainThread } from 'node:worker_threads'
      if (isMainThread) setInterval(() => {}, 1000)
      export default ({ n }) => {
        if (n === 100_000) for (writeSync(2, 'at it\\n');;);
        return n
      }`
    const { start } = project({ 't.js': task })
    const args = ['run', 't.js', '--input', '-', '--json', '--drain-timeout', '100ms']
    const { code, stdout } = await start(args, items(100_000)).ended
    expect(JSON.parse(stdout)).toMatchObject({ status: 'complete', plan: { mode: 'threads' } })
    expect(code).toBe(0)
    const endless = start(args, items(100_001))
    await endless.saying(/at it/)
    endless.child.kill('SIGTERM')
    expect(await endless.ended).toMatchObject({ code: 75 })
  })

  test('a glob that begins above the working directory matches whatever that is called', async () => {
    const { directory } = project({ 'same.js': 'export default (item) => item', '[team]/b/1.md': '', '[team]/a/x': '' })
    const args = [BIN, 'run', '../../same.js', '--input', '../b/*.md', '--no-checkpoint', '--quiet']
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: join(directory, '[team]/a') })
    expect(stdout).toBe('{"index":0,"value":"../b/1.md"}\n')
  })

  test.each([
    ['a\\b', '*.md', ['1.md', '!2.md']],
    ['a\\b', 'sub/*.md', ['sub/3.md']],
    ['a\\b', '../*/sub/*.md', ['sub/3.md']],
    ['a\\b', './!*.md', ['!2.md']],
    ['[team]', 'HERE/*.md', ['1.md', '!2.md']],
    ['[team]', '../[[]team]/sub/*.md', ['sub/3.md']],
  ])('a glob matches what lies in a working directory called %s: %s', async (name, glob, expected) => {
    const { directory } = project({
      'same.js': 'export default (item) => item',
      [`${name}/1.md`]: '',
      [`${name}/!2.md`]: '',
      [`${name}/sub/3.md`]: '',
    })
    const here = join(directory, name)
    const args = [BIN, 'run', '../same.js', '--input', glob.replace('HERE', here), '--no-checkpoint', '--quiet']
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: here })
    expect(lines(stdout)).toEqual(expected.sort().map((value, index) => ({ index, value })))
  })

  test.each([
    ['../*/*.md', ['../b/2.md', '1.md']],
    ['../../!x/*/*.md', ['../b/2.md', '1.md']],
    ['../../**/*.md', ['../../c/b/3.md', '../b/2.md', '1.md']],
    ['TOP/*/{a,b}/*.md', ['../../c/b/3.md', '../b/2.md', '1.md']],
  ])('a glob that leads up and down again gives what lies in the working directory, too: %s', async (glob, expected) => {
    const { directory } = project({
      'same.js': 'export default (item) => item',
      '!x/a/1.md': '',
      '!x/b/2.md': '',
      'c/b/3.md': '',
    })
    const args = [BIN, 'run', '../../same.js', '--input', glob.replace('TOP', directory), '--no-checkpoint', '--quiet']
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: join(directory, '!x/a') })
    expect(lines(stdout)).toEqual(expected.map((value, index) => ({ index, value })))
  })

  test('a reader that goes away is a quiet end', async () => {
    const { directory, put } = project(DOUBLE)
    put('in.jsonl', items(50_000))
    const command = `${process.execPath} ${BIN} run double.js --input in.jsonl --no-checkpoint --quiet | head -n 1`
    const { stdout, stderr } = await promisify(execFile)('sh', ['-c', command], { cwd: directory })
    expect({ stdout, stderr }).toEqual({ stdout: '{"index":0,"value":0}\n', stderr: '' })
  })
})
