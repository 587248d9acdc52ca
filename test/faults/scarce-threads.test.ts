import { execFile, spawnSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Outcome, readResults } from 'pawl'
import { describe, expect, test } from 'vitest'
import { project } from '../cli/pawl.ts'
import { range } from '../execute/calls.ts'

const FIXTURES = join(import.meta.dirname, '../fixtures')
const PROGRAM = join(FIXTURES, 'programs/scarce-run.mjs')

/** Which threads are refused, each [first, last] as they are asked for. */
type Refused = readonly (readonly [number, number?])[]

const environment = (refused: Refused) => ({
  NODE_OPTIONS: `--import=${pathToFileURL(join(FIXTURES, 'scarce-threads.mjs')).href}`,
  REFUSED_THREADS: JSON.stringify(refused),
})

interface Work {
  readonly items: readonly (number | string)[]
  readonly checkpoint?: string
  readonly room?: number
}

/** How the run of the program went. `wrapper`: a command that starts the one behind it. */
async function run(work: Work, env: NodeJS.ProcessEnv, wrapper: readonly string[] = []) {
  const [file = '', ...args] = [...wrapper, process.execPath, PROGRAM, JSON.stringify(work)]
  const options = { env: { ...process.env, ...env }, timeout: 40_000, killSignal: 'SIGKILL' } as const
  const { code, stdout, stderr } = await new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) => {
    execFile(file, args, options, (error, stdout, stderr) => resolve({ code: error?.code ?? error, stdout, stderr }))
  })
  expect({ code, stderr }).toEqual({ code: null, stderr: '' })
  return JSON.parse(stdout)
}

const SHORT = {
  code: 'WORKERS_SHORT',
  message: expect.stringMatching(/^Cannot start all workers: .*pids\.max.*ulimit -u.*'workers'$/),
}

/** Here the threads are refused by a preloaded module, so that it is known which: what is said of the system is true of the last tests. */
describe('without room for all threads', () => {
  test('a run goes on with those it has, says so once, and does not ask all the time', async () => {
    const ended = await run({ items: range(150) }, environment([[3]]))
    expect(ended).toMatchObject({ status: 'complete', stats: { succeeded: 150, crashes: 0 }, threads: 2, warnings: [SHORT] })
    expect(ended.asked).toBeGreaterThan(3)
    expect(ended.asked).toBeLessThan(10)
  })

  test('it has more as soon as there is room', async () => {
    const ended = await run({ items: ['more'] }, environment([[2, 4]]))
    expect(ended).toMatchObject({ status: 'complete', warnings: [SHORT] })
    expect(ended.threads).toBeGreaterThan(1)
  })

  test('a thread that is lost is replaced a little later, be it the only one', async () => {
    const refused = [[2, 4]] as const // With no warning: nothing goes on in the meantime.
    const ended = await run({ items: ['exit', ...range(20)] }, environment(refused))
    expect(ended).toMatchObject({ status: 'complete', stats: { succeeded: 20, failed: 1, crashes: 1 }, warnings: [] })
  })

  test('a run that has lost its only thread ends with all that it did on record', async () => {
    const checkpoint = mkdtempSync(join(tmpdir(), 'pawl-'))
    const ended = await run({ items: [...range(20), 'exit', ...range(20)], checkpoint }, environment([[2]]))
    expect(ended).toMatchObject({
      code: 'ERR_PAWL_ABORTED',
      message: expect.stringMatching(/^Cannot start a worker: .*pids\.max.*ulimit -u.*run it again$/),
      cause: 'ERR_WORKER_INIT_FAILED',
      status: 'partial',
    })
    const recorded: Outcome<unknown>[] = []
    for await (const outcome of readResults(checkpoint, 'run')) recorded.push(outcome)
    expect(recorded.filter(({ status }) => status === 'fulfilled')).toHaveLength(20)
    expect(ended.stats).toMatchObject({ succeeded: 20 })
  })

  test.each(['run', 'plan'])('pawl %s without any thread says what to do, and exits with 75', async (command) => {
    const { start } = project({ 'task.js': 'export default (item) => item', 'items.txt': '1\n2\n3\n' })
    const wrapper = ['env', ...Object.entries(environment([[1]])).map((pair) => pair.join('='))]
    const { code, stderr } = await start([command, 'task.js', '--input', 'items.txt'], undefined, wrapper).ended
    expect({ code, stderr }).toEqual({
      code: 75,
      stderr: expect.stringMatching(/Cannot start a worker: .*pids\.max.*ulimit -u/),
    })
    if (command === 'run') expect(stderr).toMatch(/go on with: pawl resume /)
  })
})

/** Whom nobody else is: only of such a user is it known how many threads it has. */
const USER = String(200_000 + process.pid)

const AS_USER = ['setpriv', `--reuid=${USER}`, `--regid=${USER}`, '--clear-groups']

/** Whether a process may be somebody else's, and that user may read what is here. */
function canLimit(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false
  const [file = '', ...args] = [...AS_USER, 'prlimit', '--nproc=99', process.execPath, PROGRAM, '{"items":[]}']
  return spawnSync(file, args).status === 0
}

const isLimited = canLimit()

describe(`a limit of the system${isLimited ? '' : ' (needs root, setpriv, prlimit, and a checkout that all may read)'}`, () => {
  const runWith = (room: number, items: Work['items']) => run({ items, room }, {}, AS_USER)

  test.skipIf(!isLimited).each([1, 2])('that leaves room for %i threads leaves a run as many', async (room) => {
    const ended = await runWith(room, range(100))
    expect(ended).toMatchObject({ status: 'complete', stats: { succeeded: 100 }, threads: room, warnings: [SHORT] })
  })

  test.skipIf(!isLimited)('that leaves none ends it with what to do', async () => {
    const ended = await runWith(0, range(100))
    expect(ended).toMatchObject({ code: 'ERR_PAWL_ABORTED', cause: 'ERR_WORKER_INIT_FAILED', status: 'partial' })
  })

  test.skipIf(!isLimited)('that leaves room for one takes no run down whose thread ends', async () => {
    const ended = await runWith(1, ['exit', ...range(30)])
    expect(ended).toMatchObject({ status: 'complete', stats: { succeeded: 30, failed: 1 }, threads: 1 })
  })
})
