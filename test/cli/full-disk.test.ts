import { execFile, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { type MountSpace, newMountSpace } from '../crash/mounts.ts'
import { injecting } from '../crash/strace.ts'
import { nameOf, whyNot } from '../crash/tools.ts'
import { BIN, items, lines, project } from './pawl.ts'

const noLimits = whyNot(['prlimit'])
const noRoot = whyNot(['unshare', 'nsenter', 'mount'], true)

/**
 * Item 13 has a result that no file may hold. Item 1 fails and is recorded, as it comes before. Those from 31 on fail as well, and
 * of their errors a file holds one: most are not.
 */
const TASK = `
export default ({ n }) => {
  if (n === 1) throw new RangeError('no 1')
  if (n > 30) throw Object.assign(new RangeError('no ' + n), { log: 'x'.repeat(15_000) })
  return n === 13 ? 'x'.repeat(30_000) : n
}`
const FLAGS = ['--input', 'in.jsonl', '--run-id', 'r', '--quiet', '--checkpoint-interval', '1h']
const LIMITS = ['--fsize=20000', process.execPath, BIN, 'run', 'task.js', ...FLAGS, '--workers', '1', '--chunk-size', '1']

/** Starts a command in the mount space, in `directory`. */
const enter = ({ inside }: MountSpace, directory: string) => [...inside, 'sh', '-c', `cd '${directory}' && exec "$@"`, 'sh']

// A record that no file may hold is given up at once, a full disk after 30 s.
describe('failures of which no record can be written are told', () => {
  const runLimited = async (...more: string[]) => {
    const { directory, pawl } = project({ 'task.js': TASK, 'in.jsonl': items(60) })
    const ended = await promisify(execFile)('prlimit', [...LIMITS, ...more], { cwd: directory }).catch((error) => error)
    const { code, stdout, stderr } = ended as { code: number; stdout: string; stderr: string }
    expect(code).toBe(75)
    expect(stderr).toMatch(/^pawl: Cannot write the checkpoint of run 'r': .* EFBIG/m)
    const { failures } = JSON.parse((await pawl('failures', 'r', '--json')).stdout) as { failures: { index: number }[] }
    expect(failures[0]).toMatchObject({ index: 1, reason: { message: 'no 1' } })
    const recorded = new Set(failures.map(({ index }) => index))
    const unrecorded = Array.from({ length: 29 }, (_, at) => 31 + at).filter((index) => !recorded.has(index))
    return { stdout, stderr, unrecorded }
  }
  const linesOf = (indices: readonly number[], suffix = (_: number) => '') =>
    indices.map((n) => `pawl: item ${n}${suffix(n)}: error after 1 attempt: RangeError: no ${n}\n`).join('')

  test.skipIf(noLimits).each(['', 'n'])(
    nameOf('those that are tolerated, the first 20 a line each and then how many more, key %j', noLimits),
    async (key) => {
      const { stdout, stderr, unrecorded } = await runLimited('--max-failures', '40', ...(key === '' ? [] : ['--key', key]))
      expect(lines(stdout)).toHaveLength(30)
      const [told, count] = [unrecorded.slice(0, 20), unrecorded.length]
      expect(count).toBeGreaterThan(20)
      expect(stderr).toContain(
        `pawl: ${count} failures of this session are not on record:\n${linesOf(told)}pawl: and ${count - 20} more\npawl: run r: `,
      )
      expect(stderr).not.toContain('tolerates')
      expect(stderr).toMatch(/, 30 failed, .*; all results are on stdout; /)
    },
  )

  test.skipIf(noLimits)(nameOf('by their keys', noLimits), async () => {
    const { directory } = project({
      'task.js': `export default ({ id }) => {
        if (id === 'k3') throw new Error('no\\nmore')
        return 'x'.repeat(30_000)
      }`,
      'in.jsonl': Array.from({ length: 4 }, (_, n) => `{"id":"k${n}"}\n`).join(''),
    })
    const args = [...LIMITS, '--key', 'id', '--max-failures', '100%']
    const { stderr } = await promisify(execFile)('prlimit', args, { cwd: directory }).catch((error) => error)
    expect(stderr).toContain(
      'pawl: 1 failure of this session is not on record:\npawl: item 3 (key k3): error after 1 attempt: Error: no\\nmore\n',
    )
  })

  test.skipIf(noLimits)(nameOf('beside the error that ended the run', noLimits), async () => {
    const { start } = project({
      'task.js': `export default ({ n }) => {
        if (n === 1) return 'x'.repeat(30_000)
        if (n === 2) process.stderr.write('last\\n')
        if (n === 2) throw Object.assign(new RangeError('no 2'), { log: 'x'.repeat(30_000) })
      }`,
    })
    const [limit = '', ...more] = LIMITS
    const args = more.slice(2).map((it) => (it === 'in.jsonl' ? '-' : it))
    const { child, ended, saying } = start([...args, '--max-failures', '1'], undefined, ['prlimit', limit])
    child.stdin?.write(items(3))
    await saying(/last/)
    child.stdin?.end('{"n":\n')
    const { code, stderr } = await ended
    expect(code).toBe(2)
    expect(stderr.replace(/^last\n/, '').split('\n')).toEqual([
      expect.stringMatching(/^pawl: warning: Cannot write the checkpoint of run 'r': .*EFBIG.*: make room, then run again$/),
      expect.stringMatching(/^pawl: Cannot read stdin, line 4: /),
      'pawl: 1 failure of this session is not on record:',
      'pawl: item 2: error after 1 attempt: RangeError: no 2',
      expect.stringMatching(/^pawl: run r: 3 items, .*; to go on: pawl resume r, with that line of stdin put right$/),
      '',
    ])
  })

  test.skipIf(noLimits).each(['5', '10%'])(
    nameOf('those that ended the run, and that they did: --max-failures %s', noLimits),
    async (most) => {
      const { stdout, stderr, unrecorded } = await runLimited('--max-failures', most)
      expect(stdout).toBe('')
      const [, failed] = /^pawl: more items failed than --max-failures tolerates: (\d+)$/m.exec(stderr) ?? []
      const told = unrecorded.filter((index) => index < 30 + Number(failed))
      expect(told.length).toBeGreaterThanOrEqual(3)
      expect(stderr).toMatch(/^pawl: warning: Cannot finish the run: expected at most .* \(--max-failures\), got [^']*: no \d+$/m)
      expect(stderr).toContain(`pawl: ${told.length} failures of this session are not on record:\n${linesOf(told)}pawl: run r: `)
      expect(stderr).toMatch(/; go on with: pawl resume r\n$/)
    },
  )
})

describe('a run that is told to end, of which no more can be written', () => {
  // What is left of the disk holds a manifest, and no result. The last item ends when it is told to.
  const task = `
export default async ({ n }, { signal }) => {
  if (n < 2) return 'x'.repeat(50_000)
  process.stderr.write('waiting\\n')
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve))
  return n
}`
  const flags = [...FLAGS, '--workers', '1', '--chunk-size', '3', '--checkpoint-every', '1', '--output', 'out.jsonl']

  async function runOnFullDisk(...more: string[]) {
    const { directory, start } = project({ 'task.js': task, 'in.jsonl': items(3) })
    const space = await newMountSpace()
    space.run(`mount -t tmpfs -o size=64k tmpfs ${space.point}`)
    const began = performance.now()
    const session = start(
      ['run', 'task.js', ...flags, '--checkpoint', `${space.point}/runs`, ...more],
      '',
      enter(space, directory),
    )
    const check = async () => {
      const { code, stderr } = await session.ended
      const took = performance.now() - began
      expect(code).toBe(75)
      const results = lines(readFileSync(join(directory, 'out.jsonl'), 'utf8'))
      expect(results).toMatchObject([{ index: 0 }, { index: 1 }, { index: 2, value: 2 }])
      expect(stderr).toMatch(/: 3 items, .*; all results are in out\.jsonl; to run again and record what was not: pawl resume r /)
      const sentence = /expected the store to take it within ([\d.]+) s, as the run was told to end, got ENOSPC: .*: make room, /
      expect(stderr).toMatch(sentence)
      return { took, tried: Number(sentence.exec(stderr)?.[1]) }
    }
    return { session, began, check }
  }

  // Real time, so they wait together.
  const name = 'writes its output soon after SIGTERM, and within --time-limit'
  test.skipIf(noRoot)(nameOf(name, noRoot), { timeout: 60_000 }, async () => {
    const signalled = await runOnFullDisk()
    const limited = await runOnFullDisk('--time-limit', '12s')
    await signalled.session.saying(/waiting/)
    const toldAt = performance.now() - signalled.began
    signalled.session.child.kill('SIGTERM')
    const [soon, inTime] = await Promise.all([signalled.check(), limited.check()])
    expect(soon.took - toldAt).toBeGreaterThan(3000)
    expect(soon.took - toldAt).toBeLessThan(10_000)
    expect(inTime.took).toBeLessThan(12_000)
    // It failed before the time was near, and had at least a second from then on.
    expect(inTime.tried).toBeGreaterThan(1)
  })
})

test.skipIf(noRoot)(nameOf('a disk that is full before the start asks for room, and runs nothing', noRoot), async () => {
  const { directory } = project({ 'task.js': TASK, 'in.jsonl': items(1) })
  const space = await newMountSpace()
  space.run(`mount -t tmpfs -o size=200k tmpfs ${space.point}`)
  space.run(`dd if=/dev/zero of=${space.point}/ballast bs=4k 2>/dev/null || true`)
  const [command = '', ...inside] = enter(space, directory)
  const args = [process.execPath, BIN, 'run', 'task.js', ...FLAGS, '--checkpoint', `${space.point}/runs`]
  const { status, stdout, stderr } = spawnSync(command, [...inside, ...args], { encoding: 'utf8' })
  expect({ status, stdout }).toEqual({ status: 75, stdout: '' })
  expect(stderr).toMatch(
    /^pawl: Cannot open the checkpoint of run 'r': .* ENOSPC: .*\. Nothing was run: make room, then run again\n$/,
  )
})

test.skipIf(noRoot)(nameOf('no room for an output is exit code 75, before anything runs', noRoot), async () => {
  const { directory } = project({ 'task.js': TASK, 'in.jsonl': items(1) })
  const space = await newMountSpace()
  space.run(`mount -t tmpfs -o nr_inodes=2 tmpfs ${space.point} && touch ${space.point}/other`)
  const [command = '', ...inside] = enter(space, directory)
  const args = [process.execPath, BIN, 'run', 'task.js', ...FLAGS, '--output', `${space.point}/out.jsonl`]
  const { status, stdout, stderr } = spawnSync(command, [...inside, ...args], { encoding: 'utf8' })
  expect({ status, stdout }).toEqual({ status: 75, stdout: '' })
  expect(stderr).toMatch(/^pawl: Cannot go on: ENOSPC: no space left on device, open '.*'\n$/)
})

test.skipIf(noRoot)(
  nameOf('an output that is a mount, which cannot be replaced, is refused before anything runs', noRoot),
  async () => {
    const { directory } = project({ 'task.js': TASK, 'in.jsonl': items(1), 'the out.jsonl': 'before' })
    const space = await newMountSpace()
    space.run(`mount --bind '${directory}/in.jsonl' '${directory}/the out.jsonl'`)
    const [command = '', ...inside] = enter(space, directory)
    const args = [process.execPath, BIN, 'run', 'task.js', ...FLAGS, '--output', 'the out.jsonl']
    const { status, stdout, stderr } = spawnSync(command, [...inside, ...args], { encoding: 'utf8' })
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toMatch(
      /^pawl: Cannot write output 'the out\.jsonl': expected a file that another can take the place of, got one/,
    )
  },
)

const noStrace = whyNot(['strace'])

test.skipIf(noStrace).each([
  ['fsync', 'EDQUOT', 'disk quota exceeded'],
  ['read', 'ESTALE', 'stale file handle'],
])(nameOf('what may pass, and Node has no name for, is exit code 75: %s %s', noStrace), (call, code, sentence) => {
  const { directory } = project({ 'task.js': 'export default ({ n }) => n', 'in.jsonl': items(2), 'out.jsonl': 'before' })
  const [strace = '', ...inject] = injecting(call, `error=${code}`)
  const paths = call === 'read' ? [`-P${join(directory, 'in.jsonl')}`] : []
  const args = [...inject, ...paths, process.execPath, BIN, 'run', 'task.js', '--input', 'in.jsonl', '--quiet']
  const { status, stderr } = spawnSync(strace, [...args, '--no-checkpoint', '--output', 'out.jsonl'], {
    cwd: directory,
    encoding: 'utf8',
  })
  expect({ status, stderr }).toMatchObject({
    status: 75,
    stderr: expect.stringMatching(`^pawl: Cannot go on: ${code}: ${sentence}, `),
  })
  expect(readFileSync(join(directory, 'out.jsonl'), 'utf8')).toBe('before')
})
