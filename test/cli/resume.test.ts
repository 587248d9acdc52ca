import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Ended, items, lines, project, type Running } from './pawl.ts'

const SLOW = `
import { setTimeout as sleep } from 'node:timers/promises'
export default async ({ n }) => {
  await sleep(10)
  console.log('ran', n)
  return n * 2
}`
const PROJECT = { 'slow.js': SLOW, 'in.jsonl': items(200) }
const doubled = Array.from({ length: 200 }, (_, index) => ({ index, value: index * 2 }))
const RUN = [
  'run',
  'slow.js',
  '--input',
  'in.jsonl',
  '--run-id',
  'slow',
  '--output',
  'out.jsonl',
  '--chunk-size',
  '5',
  '--checkpoint-interval',
  '50ms',
]

/** Every other item ends when the run is told to. */
const UNTIL_TOLD = `
import { setTimeout as sleep } from 'node:timers/promises'
export default async ({ n }, { signal }) => {
  console.log('ran', n)
  while (n % 2 && !signal.aborted) await sleep(10)
  return n * 2
}`

/**
 * How a session ends that has as much time as it takes to settle an item, with `start` given its limit in seconds: how long a
 * process and a thread take to start depends on what else this machine does.
 */
async function untilOneSettles(start: (limit: number) => Running): Promise<Ended> {
  for (let limit = 2; ; limit *= 2) {
    const ended = await start(limit).ended
    if (limit > 60 || ran(ended.stderr) > 1) return ended
  }
}

/** Items that the tasks said they ran. */
const ran = (text: string) => (text.match(/^ran \d+$/gm) ?? []).length

describe('pawl resume', () => {
  test.each(['SIGINT', 'SIGTERM'] as const)(
    '%s drains, saves, names the command that goes on, and that one ends the run',
    async (signal) => {
      const { start, pawl, directory } = project(PROJECT)
      const first = start(RUN)
      await first.saying(/ran 30$/m)
      first.child.kill(signal)
      const { code, stderr } = await first.ended
      expect(code).toBe(75)
      expect(stderr).toContain(`interrupted: ${signal} received`)
      expect(stderr).toContain('go on with: pawl resume slow\n')
      expect(existsSync(join(directory, 'out.jsonl'))).toBe(false)

      const second = await pawl('resume', 'slow', '--json')
      expect(second.code).toBe(0)
      expect(second.stderr).toContain('pawl: run slow: task slow.js, input in.jsonl')
      const { stats } = JSON.parse(second.stdout)
      expect(stats.restored).toBe(ran(stderr))
      expect(stats.dispatched).toBe(200 - stats.restored)
      expect(lines(readFileSync(join(directory, 'out.jsonl'), 'utf8'))).toEqual(doubled)
    },
  )

  test('SIGKILL loses no more than the last interval', async () => {
    const { start, pawl, directory } = project(PROJECT)
    const first = start(RUN)
    await first.saying(/ran 60$/m)
    const before = JSON.parse((await pawl('list', '--json')).stdout).runs[0]
    first.child.kill('SIGKILL')
    expect(await first.ended).toMatchObject({ signal: 'SIGKILL' })
    expect(before.done).toBeGreaterThan(0)

    const { stats } = JSON.parse((await pawl('resume', 'slow', '--json')).stdout)
    expect(stats.restored).toBeGreaterThanOrEqual(before.done)
    expect(stats.restored + stats.dispatched).toBe(200)
    expect(lines(readFileSync(join(directory, 'out.jsonl'), 'utf8'))).toEqual(doubled)
  })

  test('stdin that ends too early is exit code 2, spoils neither run nor output, and the right one goes on', async () => {
    const { start, pawl, directory } = project({ ...PROJECT, 'out.jsonl': 'as it was' })
    const first = start(RUN.with(3, '-'), items(200))
    await first.saying(/ran 60$/m)
    first.child.kill('SIGKILL')
    await first.ended
    for (const count of [0, 20]) {
      const { code, stderr } = await start(['resume', 'slow'], items(count)).ended
      expect(code).toBe(2)
      expect(stderr).toMatch(/expected the source to give \d+ items at least, since item \d+ is on record, got /)
      expect(stderr).toContain(`got ${count}. To go on, give it the same stdin as before; to keep both`)
      expect(stderr).toMatch(/^pawl: out\.jsonl is left as it was written at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/m)
      expect(stderr).toMatch(/; to go on: pawl resume slow, with the stdin it was begun with\n$/)
      expect(readFileSync(join(directory, 'out.jsonl'), 'utf8')).toBe('as it was')
      expect(JSON.parse((await pawl('list', '--json')).stdout).runs).toMatchObject([{ status: 'partial' }])
      expect((await pawl('prune', '--older-than', '0s')).code).toBe(0)
    }
    const last = await start(['resume', 'slow', '--json'], items(200)).ended
    expect(last.code).toBe(0)
    expect(JSON.parse(last.stdout).stats.restored).toBeGreaterThan(0)
    expect(lines(readFileSync(join(directory, 'out.jsonl'), 'utf8'))).toEqual(doubled)
  })

  test('stdin without the items that failed is exit code 2, and leaves the output as it was', async () => {
    const bad = 'export default () => { throw new Error("bad") }'
    const { start, directory } = project({ 'bad.js': bad, 'out.jsonl': 'as it was' })
    const run = ['run', 'bad.js', '--input', '-', '--run-id', 'bad', '--output', 'out.jsonl']
    expect((await start(run, items(3)).ended).code).toBe(1)
    const { code, stderr } = await start(['resume', 'bad'], '').ended
    expect(code).toBe(2)
    // Its end is on record if it was read to it before the first failure ended the run.
    expect(stderr).toMatch(
      /expected the source to (end after 3 items as before|give \d items? at least, since item \d is on record), got 0\./,
    )
    expect(readFileSync(join(directory, 'out.jsonl'), 'utf8')).toBe('as it was')
  })

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('a second %s ends it at once with %d', async (signal, expected) => {
    const { start } = project({ 'hang.js': 'export default () => { console.log("hangs"); for (;;); }', 'in.jsonl': items(4) })
    const run = start(['run', 'hang.js', '--input', 'in.jsonl', '--drain-timeout', '60s'])
    await run.saying(/^hangs/m) // What has not begun is not waited for.
    run.child.kill(signal)
    await run.saying(/stopping/)
    run.child.kill(signal)
    const { code, stderr } = await run.ended
    expect(code).toBe(expected)
    expect(stderr).toContain(
      `stopping (${signal} received): running items may end within 1m 00s, the rest waits; a second signal`,
    )
  })

  test.skipIf(process.platform === 'win32')('a third one where a thread waits in a call that nothing ends', async () => {
    const task = `
import { readFileSync, writeSync } from 'node:fs'
export default () => {
  writeSync(2, 'waits\\n')
  return readFileSync('pipe', 'utf8')
}`
    const { start, directory } = project({ 'blocked.js': task, 'in.jsonl': items(1) })
    expect(spawnSync('mkfifo', [join(directory, 'pipe')]).status).toBe(0)
    const { child, saying } = start(['run', 'blocked.js', '--input', 'in.jsonl', '--drain-timeout', '60s'])
    await saying(/^waits/m)
    child.kill('SIGTERM')
    await saying(/stopping/)
    // Nothing tells when the second was heard, so what follows is sent until it counts.
    const end = () => child.kill('SIGTERM') && (child.exitCode ?? child.signalCode)
    await expect.poll(end, { timeout: 10_000 }).not.toBeNull()
  })

  test('--help says which flags are of one session only', async () => {
    const { pawl } = project(PROJECT)
    const { stdout } = await pawl('resume', '--help')
    const [, listed] = /^(--.*) hold for this session only\.$/m.exec(stdout) ?? []
    for (const flag of ['--shard', '--time-limit', '--failed-only', '--skip-failed', '--quiet', '--json'])
      expect(listed).toContain(flag)
  })

  test('a second signal, session after session, is held against no item', async () => {
    const waits = `
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
export default async ({ n }) => {
  console.log('waits')
  while (!existsSync('go')) await sleep(10)
  return n
}`
    const { start, pawl, directory } = project({ 'waits.js': waits, 'in.jsonl': items(4) })
    const segments = join(directory, '.pawl/waits/seg')
    const notes = () => readdirSync(segments).map((name) => readFileSync(join(segments, name), 'latin1'))
    for (const session of [1, 2, 3]) {
      const run = start(['run', 'waits.js', '--input', 'in.jsonl', '--run-id', 'waits', '--drain-timeout', '60s'])
      await run.saying(/^waits/m)
      run.child.kill('SIGTERM')
      await expect.poll(() => notes().filter((it) => it.includes('hasEnded')).length).toBe(session)
      run.child.kill('SIGTERM')
      expect((await run.ended).code).toBe(143)
    }
    writeFileSync(join(directory, 'go'), '')
    const { code, stdout } = await pawl('resume', 'waits', '--json')
    expect(code).toBe(0)
    expect(JSON.parse(stdout).stats).toMatchObject({ succeeded: 4, crashes: 0 })
  })

  test('--time-limit drains and exits 75, and is of one session only', async () => {
    const { start, pawl } = project({ ...PROJECT, 'slow.js': UNTIL_TOLD })
    const { code, stderr } = await untilOneSettles((limit) => start([...RUN, '--workers', '1', '--time-limit', `${limit}s`]))
    expect(code).toBe(75)
    expect(stderr).toMatch(/interrupted: the time limit of \d+\.0s is near/)
    const { command } = JSON.parse((await pawl('inspect', 'slow', '--json')).stdout)
    expect(command.flags).toMatchObject({ workers: 1 })
    expect(command.flags).not.toHaveProperty('timeLimit')
  })

  test('--time-limit leaves time to work also when --drain-timeout, given or on record, is longer', async () => {
    const { start } = project({ ...PROJECT, 'slow.js': UNTIL_TOLD })
    const drainTimeout = ['--drain-timeout', '60s']
    const limits = (limit: number) => ['--workers', '1', '--time-limit', `${limit}s`, '--json']
    const first = await untilOneSettles((limit) => start([...RUN, ...limits(limit), ...drainTimeout]))
    const second = await untilOneSettles((limit) => start(['resume', 'slow', ...limits(limit)]))
    for (const { code, stdout } of [first, second]) {
      expect(code).toBe(75)
      expect(JSON.parse(stdout).stats.dispatched).toBeGreaterThan(0)
    }
  })

  test('--time-limit that is over before any item settled says so, and only then', async () => {
    const { start, pawl } = project({ ...PROJECT, 'slow.js': UNTIL_TOLD })
    const short = await pawl(...RUN, '--time-limit', '1ms')
    expect(short.code).toBe(75)
    expect(short.stderr).toContain(
      'no item settled in this session, and with --time-limit 1ms none may in the next: give a longer one',
    )
    const { code, stderr } = await untilOneSettles((limit) => start([...RUN, '--workers', '1', '--time-limit', `${limit}s`]))
    expect(code).toBe(75)
    expect(stderr).not.toContain('no item settled')
  })

  test('a run that a live process is at work on is exit code 75', async () => {
    const { start, pawl, put } = project({ ...PROJECT, 'in.jsonl': items(5000) })
    const first = start(RUN)
    await first.saying(/ran 1$/m)
    put('in.jsonl', 'no JSON') // An input that may be large is not read before.
    expect(await pawl(...RUN)).toMatchObject({ code: 75, stderr: expect.stringContaining(`process ${first.child.pid}`) })
    expect(JSON.parse((await pawl('list', '--json')).stdout).runs[0]).toMatchObject({
      runId: 'slow',
      live: true,
      status: 'partial',
    })
  })

  test('--failed-only tries the failures again, --skip-failed leaves them', async () => {
    const odd =
      'import { existsSync } from "node:fs"\nexport default ({ n }) => { if (n % 2 && !existsSync("fixed")) throw new Error(`odd ${n}`); return n }'
    const { pawl, put } = project({ 'odd.js': odd, 'in.jsonl': items(10) })
    const first = await pawl(
      'run',
      'odd.js',
      '--input',
      'in.jsonl',
      '--run-id',
      'odd',
      '--max-failures',
      '5',
      '--output',
      'out.jsonl',
      '--json',
    )
    expect(JSON.parse(first.stdout)).toMatchObject({ status: 'complete', stats: { failed: 5 } })
    put('fixed', '')
    expect(JSON.parse((await pawl('resume', 'odd', '--skip-failed', '--json')).stdout).stats).toMatchObject({
      dispatched: 0,
      restored: 10,
    })
    const last = JSON.parse((await pawl('resume', 'odd', '--failed-only', '--json')).stdout)
    expect(last).toMatchObject({ status: 'complete', failures: [], stats: { dispatched: 5, restored: 5 } })
    expect(lines((await pawl('export', 'odd')).stdout)).toHaveLength(10)
  })

  test('the command that goes on with an interrupted --skip-failed session leaves the failures, too', async () => {
    const bad = SLOW.replace('await sleep', 'if (n === 0) throw new Error("bad")\n  await sleep')
    const { start, pawl } = project({ 'slow.js': bad, 'in.jsonl': items(200) })
    const first = await pawl(...RUN, '--workers', '1', '--max-failures', '0')
    expect(first.code).toBe(1)
    expect(first.stderr).toContain('to try it again:           pawl resume slow\n')
    const second = start(['resume', 'slow', '--skip-failed', '--max-failures', '1'])
    await second.saying(/^ran \d+$/m)
    second.child.kill('SIGTERM')
    const { code, stderr } = await second.ended
    expect(code).toBe(75)
    const [, command = ''] = /go on with: pawl (.*)\n/.exec(stderr) ?? []
    expect(command).toBe('resume slow --skip-failed')
    const { stats, failures } = JSON.parse((await pawl(...command.split(' '), '--json')).stdout)
    expect(stats).toMatchObject({ succeeded: 199, failed: 1, dispatched: 200 - stats.restored })
    expect(failures).toMatchObject([{ index: 0 }])
  })

  test('the command that goes on with an interrupted --failed-only session runs nothing else, either', async () => {
    const bad = SLOW.replace('await sleep(10)', 'await sleep(10)\n  if (n < 40 && !existsSync("fixed")) throw new Error("bad")')
    const { start, pawl, put } = project({ 'slow.js': `import { existsSync } from 'node:fs'${bad}`, 'in.jsonl': items(120) })
    const run = start([...RUN, '--workers', '1', '--max-failures', '40'])
    await run.saying(/^ran 45$/m)
    run.child.kill('SIGTERM')
    expect((await run.ended).stderr).toContain('go on with: pawl resume slow\n')
    put('fixed', '')
    const first = start(['resume', 'slow', '--failed-only'])
    await first.saying(/^ran 5$/m)
    first.child.kill('SIGTERM')
    const interrupted = await first.ended
    expect(interrupted.code).toBe(75)
    const [, command = ''] = /go on with: pawl (.*)\n/.exec(interrupted.stderr) ?? []
    expect(command).toBe('resume slow --failed-only')
    const second = await pawl(...command.split(' '))
    expect(ran(interrupted.stderr) + ran(second.stderr)).toBe(40)
    // The failures are done, and the command for the others runs those.
    expect(second).toMatchObject({
      code: 75,
      stderr: expect.stringContaining('the others are still to be run: pawl resume slow\n'),
    })
    expect(JSON.parse((await pawl('resume', 'slow', '--json')).stdout)).toMatchObject({ status: 'complete', failures: [] })
  })

  test('after --failed-only that failed again, the command to try it again runs nothing else, either', async () => {
    const { pawl } = project({
      'odd.js': 'export default ({ n }) => { if (n % 2) throw new Error("odd") }',
      'in.jsonl': items(10),
    })
    await pawl('run', 'odd.js', '--input', 'in.jsonl', '--run-id', 'odd', '--max-failures', '5')
    const { code, stderr } = await pawl('resume', 'odd', '--failed-only', '--max-failures', '0')
    expect(code).toBe(1)
    expect(stderr).toContain('to try it again:           pawl resume odd --failed-only\n')
  })

  test('a mismatch says what to do with flags that the command takes', async () => {
    const { pawl, put } = project({ 'same.js': 'export default (item) => item', 'in.jsonl': items(3) })
    const run = ['run', 'same.js', '--input', 'in.jsonl', '--run-id', 'same']
    await pawl(...run)
    put('in.jsonl', items(4))
    put('other.js', 'export default (item) => item')
    const instead =
      "'pawl run … --run-id NEW' begins another run; to discard what is recorded, 'pawl run … --run-id same --overwrite' begins it anew\n"
    const resumed = await pawl('resume', 'same')
    expect(resumed.code).toBe(2)
    expect(resumed.stderr).toContain(`To go on, put in.jsonl back as it was; to keep both, ${instead}`)
    expect((await pawl(...run)).stderr).toContain(
      'To go on, put in.jsonl back as it was; to keep both, give this run another --run-id; to discard what is recorded, use --overwrite\n',
    )
    put('in.jsonl', items(3))
    const task = await pawl('resume', 'same', '--task', 'other.js')
    expect(task.code).toBe(2)
    expect(task.stderr).toContain(`To go on, give --task the one on record; to keep both, ${instead}`)
    put('same.js', 'export default (item) => item // changed')
    expect((await pawl('resume', 'same')).stderr).toContain("To compute all of it again 'pawl run … --run-id same --overwrite'")
  })

  test('a run that cannot go on, since its task cannot be loaded, can when it is mended, though nothing is recorded of it', async () => {
    const { pawl, put } = project(PROJECT)
    expect((await pawl(...RUN, '--time-limit', '1ms')).code).toBe(75)
    put('slow.js', 'export default (')
    expect((await pawl('resume', 'slow')).code).toBe(2)
    put('slow.js', SLOW)
    expect((await pawl('resume', 'slow')).code).toBe(0)
  })

  test('does what the last session was told: flags and output given later take the place of earlier ones', async () => {
    const odd = 'export default ({ n }) => { if (n % 2) throw new Error(`odd ${n}`); return n }'
    const { pawl, directory } = project({ 'odd.js': odd, 'in.jsonl': items(10) })
    const run = (...more: string[]) => pawl('run', 'odd.js', '--input', 'in.jsonl', '--run-id', 'odd', ...more)
    expect((await run('--max-failures', '1')).code).toBe(1)
    expect((await pawl('resume', 'odd')).code).toBe(1)
    expect((await run('--max-failures', '5', '--output', 'a.jsonl')).code).toBe(0)
    expect(await pawl('resume', 'odd')).toMatchObject({ code: 0, stderr: expect.stringContaining('results in a.jsonl') })
    expect((await pawl('resume', 'odd', '--max-failures', '4', '--output', 'b.jsonl')).code).toBe(1)
    expect((await pawl('resume', 'odd')).code).toBe(1)
    expect(await pawl('resume', 'odd', '--max-failures', '50%', '--quiet')).toEqual({
      code: 0,
      signal: null,
      stdout: '',
      stderr: '',
    })
    expect(existsSync(join(directory, 'b.jsonl'))).toBe(true)
    expect((await run()).code).toBe(1)
    expect(await pawl('verify', 'odd')).toMatchObject({ code: 0 })
  })

  test('a shard goes on as its own last session was told, into the output of that one', async () => {
    const { start, pawl, directory } = project(PROJECT)
    const shard = (name: string, output: string) => [...RUN.with(7, output), '--shard', name]
    const first = start([...shard('1/2', 'one.jsonl'), '--workers', '1'])
    await first.saying(/^ran \d+$/m)
    first.child.kill('SIGTERM')
    expect(await first.ended).toMatchObject({ code: 75, stderr: expect.stringContaining('pawl resume slow --shard 1/2\n') })
    expect((await pawl(...shard('2/2', 'two.jsonl'), '--workers', '2')).code).toBe(0)
    const read = (output: string) => lines(readFileSync(join(directory, output), 'utf8')) as typeof doubled
    const two = read('two.jsonl')

    expect(await pawl('resume', 'slow', '--shard', '1/2')).toMatchObject({ code: 0, stdout: '' })
    expect(read('two.jsonl')).toEqual(two)
    expect([...read('one.jsonl'), ...two].toSorted((a, b) => a.index - b.index)).toEqual(doubled)
    const { command } = JSON.parse((await pawl('inspect', 'slow', '--json')).stdout)
    expect(command).toMatchObject({ shard: '1/2', output: 'one.jsonl', flags: { workers: 1 } })
    expect((await pawl('verify', 'slow')).code).toBe(0)
  })

  test.each([
    ['emptied', ''],
    ['cut', '{"task":"slow.js","inp'],
    ['of 5 GiB', 5 * 2 ** 30],
  ])('a damaged command of a shard is named by verify, and by the session that goes on without: %s', async (_, text) => {
    const { pawl, directory } = project({ ...PROJECT, 'in.jsonl': items(20) })
    expect((await pawl(...RUN, '--shard', '1/2')).code).toBe(0)
    expect((await pawl('verify', 'slow')).code).toBe(0)
    const file = join(directory, '.pawl', 'slow', 'run', 'command-1-of-2')
    if (typeof text === 'string') writeFileSync(file, text)
    else truncateSync(file, text)
    const { code, stdout } = await pawl('verify', 'slow')
    expect(code).toBe(1)
    expect(stdout).toMatch(/^run\/command-1-of-2: what the command line was told for this shard is damaged/)
    expect(stdout).not.toContain('The manifest')
    const resumed = await pawl('resume', 'slow', '--shard', '1/2', '--output', 'out.jsonl')
    expect(resumed.stderr).toContain('slow/run/command-1-of-2 is damaged, so what shard 1/2 was told')
    expect(await pawl('verify', 'slow')).toMatchObject({ code: 0 })
  })

  test.each([[['--shard', '1/3']], [['--quiet']]])(
    'no output of another shard is replaced by resume %j, which says so',
    async (more) => {
      const { pawl, directory } = project({ ...PROJECT, 'in.jsonl': items(20) })
      expect((await pawl(...RUN, '--shard', '1/2')).code).toBe(0)
      const before = readFileSync(join(directory, 'out.jsonl'), 'utf8')
      const { code, stdout, stderr } = await pawl('resume', 'slow', ...more)
      expect(code).toBe(0)
      expect(stderr).toContain('out.jsonl is left alone, as it is for another part of the run: these results go to stdout')
      expect(lines(stdout).length).toBeGreaterThan(0)
      expect(readFileSync(join(directory, 'out.jsonl'), 'utf8')).toBe(before)
    },
  )

  test('runs no task outside the current directory unless it is passed by hand', async () => {
    const { pawl, directory, put } = project({ ...PROJECT, 'elsewhere/t.js': 'export default ({ n }) => n' })
    const inner = join(directory, 'inner')
    mkdirSync(inner)
    renameSync(join(directory, 'in.jsonl'), join(inner, 'in.jsonl'))
    put('inner/package.json', {})
    const bin = join(import.meta.dirname, '../../dist/cli/main.js')
    const run = (...args: string[]) => spawnSync(process.execPath, [bin, ...args], { cwd: inner, encoding: 'utf8' })
    const task = join(directory, 'elsewhere/t.js')
    expect(run('run', task, '--input', 'in.jsonl', '--run-id', 'out').status).toBe(0)
    const refused = run('resume', 'out')
    expect(refused.status).toBe(2)
    expect(refused.stderr).toContain(`--task ${task}`)
    expect(run('resume', 'out', '--task', task).status).toBe(0)
    expect((await pawl('list')).code).toBe(0)
  })

  test('names the task in the command that goes on where it is another file than on record', async () => {
    const task = 'export default ({ n }) => { if (n === 1) throw new Error("odd"); return n }'
    const { pawl, directory } = project({ 'tasks/t.js': task, 'in.jsonl': items(3) })
    expect((await pawl('run', 'tasks/t.js', '--input', 'in.jsonl', '--run-id', 'moved')).code).toBe(1)
    mkdirSync(join(directory, 'src'))
    renameSync(join(directory, 'tasks'), join(directory, 'src/tasks'))
    const { code, stderr } = await pawl('resume', 'moved', '--task', 'src/tasks/t.js')
    expect(code).toBe(1)
    const [, command = ''] = /to leave it and go on: +pawl (.*)/.exec(stderr) ?? []
    expect(command).toBe('resume moved --task src/tasks/t.js --skip-failed --max-failures 1')
    expect((await pawl(...command.split(' '))).code).toBe(0)
  })

  test('elsewhere than where the run was begun it says so, and so do the commands that read', async () => {
    const { pawl, directory } = project({ ...PROJECT, 'in.jsonl': items(1) })
    await pawl(...RUN)
    const inner = join(directory, 'inner')
    mkdirSync(inner)
    const bin = join(import.meta.dirname, '../../dist/cli/main.js')
    const run = (...args: string[]) => spawnSync(process.execPath, [bin, ...args], { cwd: inner, encoding: 'utf8' })
    for (const command of ['resume', 'failures', 'export', 'inspect', 'verify']) {
      const { status, stderr } = run(command, 'slow')
      expect(status).toBe(2)
      expect(stderr).toContain(`. There is no directory .pawl below ${inner}: go to where the run was begun, or name`)
    }
    const { status, stderr } = run('resume', 'slow', '--checkpoint', '../.pawl')
    expect(status).toBe(2)
    expect(stderr).toContain(
      `expected its task 'slow.js' below ${inner}, got no such file. Its record names files by their paths`,
    )
  })

  test('names the runs most like one it does not find', async () => {
    const { pawl } = project({ ...PROJECT, 'in.jsonl': items(1) })
    await pawl(...RUN)
    expect(await pawl('resume', 'slov')).toMatchObject({ code: 2, stderr: expect.stringContaining("Did you mean 'slow'?") })
  })

  test.each([
    ['--seed 3', "'pawl run … --seed 3 --run-id slow --overwrite' discards this one"],
    ['--seed=3', "'pawl run … --seed 3 --run-id NEW' begins a new run"],
    ['--config {"a":1}', "'pawl run … --config … --run-id NEW' begins a new run"],
    ['--key n', 'expected what the run was begun with, since its results depend on it'],
    ['--run-id other', "'pawl resume slow'"],
    ['--input b.jsonl', "'pawl run … --input b.jsonl --run-id slow' goes on with this run"],
    ['--overwrite', "'pawl run … --run-id slow --overwrite' begins it again"],
    ['--resume', 'expected it to be left out'],
    ['--no-checkpoint', 'expected a run that is recorded'],
  ])('%s is refused with what to do instead', async (flags, sentence) => {
    const { pawl } = project()
    const { code, stderr } = await pawl('resume', 'slow', ...flags.split(' '))
    expect(code).toBe(2)
    const flag = flags.split(/[ =]/)[0]
    expect(stderr).toMatch(new RegExp(`^pawl: Cannot use '${flag}' with 'pawl resume': expected .*\n$`))
    expect(stderr).toContain(sentence)
    expect((await pawl('resume', '--help')).stdout).not.toContain(`${flag} `)
  })

  const terminal = 'script'
  const hasScript = spawnSync(terminal, ['--version']).status === 0
  test.skipIf(!hasScript)('draws a bar on a terminal (skipped where there is no script(1))', () => {
    const { directory } = project(PROJECT)
    const bin = join(import.meta.dirname, '../../dist/cli/main.js')
    const command = `${process.execPath} ${bin} ${RUN.join(' ')}`
    const { stdout } = spawnSync(terminal, ['-qec', command, '/dev/null'], { cwd: directory, encoding: 'utf8' })
    expect(stdout).toMatch(/\[[=-]{8,24}\] \d+% \| \d+\/200 done, 0 failed, 0 restored, \d+\/s/)
    expect(stdout).toContain('complete: run slow')
    // What the tasks print has lines of its own, and the bar is gone before.
    expect(stdout.match(/ran \d+/g)).toHaveLength(200)
    expect(stdout.match(/(?:^|\n|\x1b\[2K)ran \d+(?=\r?\n)/g)).toHaveLength(200)
  })
})
