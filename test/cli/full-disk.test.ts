import { execFile, spawnSync } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { newMountSpace } from '../crash/mounts.ts'
import { nameOf, whyNot } from '../crash/tools.ts'
import { BIN, items, lines, project } from './pawl.ts'

const noLimits = whyNot(['prlimit'])
const noRoot = whyNot(['unshare', 'nsenter', 'mount'], true)

/** Item 13 has a result that no file may hold. Item 1 fails and is recorded, as it comes before; those from 31 on fail and are not. */
const TASK = `
export default ({ n }) => {
  if (n === 1 || n > 30) throw new RangeError('no ' + n)
  return n === 13 ? 'x'.repeat(30_000) : n
}`
const FLAGS = ['--input', 'in.jsonl', '--run-id', 'r', '--quiet', '--checkpoint-interval', '1h']
const LIMITS = ['--fsize=20000', process.execPath, BIN, 'run', 'task.js', ...FLAGS, '--workers', '1', '--chunk-size', '1']

// A record that no file may hold is given up at once, a full disk after 30 s.
describe('failures of which no record can be written are told', () => {
  const runLimited = async (...more: string[]) => {
    const { directory, pawl } = project({ 'task.js': TASK, 'in.jsonl': items(60) })
    const ended = await promisify(execFile)('prlimit', [...LIMITS, ...more], { cwd: directory }).catch((error) => error)
    const { code, stdout, stderr } = ended as { code: number; stdout: string; stderr: string }
    expect(code).toBe(75)
    expect(stderr).toMatch(/^pawl: Cannot write the checkpoint of run 'r': .* EFBIG/m)
    const recorded = JSON.parse((await pawl('failures', 'r', '--json')).stdout).failures
    expect(recorded).toMatchObject([{ index: 1, reason: { message: 'no 1' } }])
    return { stdout, stderr }
  }
  const linesOf = (indices: readonly number[], suffix = (_: number) => '') =>
    indices.map((n) => `pawl: item ${n}${suffix(n)}: error after 1 attempt: RangeError: no ${n}\n`).join('')

  test.skipIf(noLimits).each(['', 'n'])(
    nameOf('those that are tolerated, the first 20 a line each and then how many more, key %j', noLimits),
    async (key) => {
      const { stdout, stderr } = await runLimited('--max-failures', '40', ...(key === '' ? [] : ['--key', key]))
      expect(lines(stdout)).toHaveLength(30)
      const told = Array.from({ length: 20 }, (_, at) => 31 + at)
      expect(stderr).toContain(
        `pawl: 29 failures of this session are not on record:\n${linesOf(told)}pawl: and 9 more\npawl: run r: `,
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

  test.skipIf(noLimits).each(['5', '10%'])(
    nameOf('those that ended the run, and that they did: --max-failures %s', noLimits),
    async (most) => {
      const { stdout, stderr } = await runLimited('--max-failures', most)
      expect(stdout).toBe('')
      const [, failed] = /^pawl: more items failed than --max-failures tolerates: (\d+)$/m.exec(stderr) ?? []
      const told = Array.from({ length: Number(failed) - 1 }, (_, at) => 31 + at)
      expect(told.length).toBeGreaterThanOrEqual(5)
      expect(stderr).toContain(`pawl: ${told.length} failures of this session are not on record:\n${linesOf(told)}pawl: run r: `)
      expect(stderr).toMatch(/; go on with: pawl resume r\n$/)
    },
  )
})

test.skipIf(noRoot)(nameOf('a disk that is full before the start asks for room, and runs nothing', noRoot), async () => {
  const { directory } = project({ 'task.js': TASK, 'in.jsonl': items(1) })
  const space = await newMountSpace()
  space.run(`mount -t tmpfs -o size=200k tmpfs ${space.point}`)
  space.run(`dd if=/dev/zero of=${space.point}/ballast bs=4k 2>/dev/null || true`)
  const [enter, ...inside] = space.inside
  const command = `cd '${directory}' && exec "$@"`
  const args = [
    'sh',
    '-c',
    command,
    'sh',
    process.execPath,
    BIN,
    'run',
    'task.js',
    ...FLAGS,
    '--checkpoint',
    `${space.point}/runs`,
  ]
  const { status, stdout, stderr } = spawnSync(enter as string, [...inside, ...args], { encoding: 'utf8' })
  expect({ status, stdout }).toEqual({ status: 75, stdout: '' })
  expect(stderr).toMatch(
    /^pawl: Cannot open the checkpoint of run 'r': .* ENOSPC: .*\. Nothing was run: make room, then run again\n$/,
  )
})
