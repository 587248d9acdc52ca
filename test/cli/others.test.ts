import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { items, project } from './pawl.ts'

/** How long a claim from elsewhere is watched, in ms. */
const WATCH_MS = 15_000

/** Root reads whatever there is, unless it may not any more. */
const NO_MORE = ['-dac_override', '-dac_read_search'].join()
const OTHER = process.getuid?.() === 0 ? ['setpriv', `--inh-caps=${NO_MORE}`, `--bounding-set=${NO_MORE}`] : []

/** A project whose store has the runs `ours` and `theirs`, both complete, of which `part` has the mode `mode`. */
async function withTheirs(part: string, mode: number) {
  const it = project({ 'twice.js': 'export default ({ n }) => 2 * n', 'in.jsonl': items(4), 'more.jsonl': items(5) })
  for (const runId of ['theirs', 'ours'])
    expect((await it.pawl('run', 'twice.js', '--input', 'in.jsonl', '--run-id', runId, '--quiet')).code).toBe(0)
  const folder = join(it.directory, '.pawl', part.replace('/*', ''))
  const path = part.endsWith('/*') ? join(folder, ...readdirSync(folder)) : folder
  chmodSync(path, mode)
  const asOther = (...args: string[]) => it.start(args, '', OTHER).ended
  // Or it could not be removed.
  return { ...it, asOther, [Symbol.dispose]: () => chmodSync(path, 0o700) }
}

describe.each([
  ['a run folder', 'theirs', 0o000],
  ['a folder of a run', 'theirs/seg', 0o000],
  ['a manifest', 'theirs/run/*', 0o000],
  ['a folder of which only the names may be read', 'theirs/run', 0o400],
])('%s that this user may not read', (_, part, mode) => {
  test('is told by list and prune, which show and delete the others', async () => {
    using it = await withTheirs(part, mode)
    const { code, stdout, stderr } = await it.asOther('list')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/ours +│ complete +│ 4\/4/)
    expect(stdout).toMatch(/theirs +│ unreadable │ \?/)
    expect(stdout).toMatch(/\nrun 'theirs': Cannot read run 'theirs': expected permission to, got EACCES: permission denied, /)
    const { runs } = JSON.parse((await it.asOther('list', '--json')).stdout)
    expect(runs).toMatchObject([{ runId: 'ours' }, { runId: 'theirs', live: false, unreadable: expect.any(String) }])
    const pruned = await it.asOther('prune', '--older-than', '0')
    expect(pruned).toMatchObject({ code: 0, stdout: expect.stringMatching(/^ours .*\ndeleted 1 run, /) })
    expect(pruned.stderr).toMatch(/run 'theirs' stays: Cannot read run 'theirs'/)
  })

  test('keeps no run from beginning that has no name given', async () => {
    using it = await withTheirs(part, mode)
    const ended = await it.asOther('run', 'twice.js', '--input', 'more.jsonl', '--output', 'out.jsonl', '--quiet')
    expect(ended).toMatchObject({ code: 0 })
    expect(readFileSync(join(it.directory, 'out.jsonl'), 'utf8').split('\n')).toHaveLength(6)
  })

  test('cannot be gone on with, and says why', async () => {
    using it = await withTheirs(part, mode)
    const ended = await it.asOther('run', 'twice.js', '--input', 'in.jsonl', '--run-id', 'theirs')
    expect(ended).toMatchObject({ code: 75 })
    expect(ended.stderr).toMatch(/Cannot open the checkpoint of run 'theirs': expected the store to answer, got EACCES: /)
    const way =
      '. Nothing was run: give --checkpoint a directory that this user may write, or record nothing with --no-checkpoint'
    expect(ended.stderr).toContain(way)
  })
})

test('pawl prune watches runs of other machines, all at once, and deletes none that is at work, whatever their clocks say', {
  timeout: 120_000,
}, async () => {
  const { directory, pawl } = project({ 'twice.js': 'export default ({ n }) => 2 * n', 'in.jsonl': items(4) })
  const day = 86_400_000
  const before = (Date.now() - 60 * day) / 1000
  const claim = { writer: 'theirs', shard: null, startedAt: 0, isHeld: true, host: 'elsewhere', bootId: 'b', pid: 1 }
  const beat = (runId: string, count: number) => {
    const path = join(directory, '.pawl', runId, 'lease/theirs')
    mkdirSync(join(path, '..'), { recursive: true })
    const beatAt = Date.now() - day + 5000 * count
    writeFileSync(path, JSON.stringify({ ...claim, pidNamespace: 'n', processStart: '1', beatAt }))
    utimesSync(path, before, before) // Of a store whose clock is behind as well.
  }
  for (const runId of ['beats', 'silent', 'still']) {
    await pawl('run', 'twice.js', '--input', 'in.jsonl', '--run-id', runId, '--quiet')
    beat(runId, 0)
  }
  let count = 0
  const timer = setInterval(() => beat('beats', ++count), 5000)
  const began = performance.now()
  const [dry, pruned] = await Promise.all([
    pawl('prune', '--older-than', '0', '--dry-run'),
    pawl('prune', '--older-than', '0'),
  ]).finally(() => clearInterval(timer))
  expect(performance.now() - began).toBeGreaterThanOrEqual(WATCH_MS)
  expect(performance.now() - began).toBeLessThan(2 * WATCH_MS)
  expect(pruned).toMatchObject({ code: 0, stdout: expect.stringMatching(/^silent .*\nstill .*\ndeleted 2 runs, /) })
  for (const { stderr } of [dry, pruned]) {
    for (const runId of ['beats', 'silent', 'still']) expect(stderr).toContain(`Run '${runId}' was last at work in process 1`)
    expect(stderr).toContain("run 'beats' stays: a process is at work on it")
  }
  expect(readdirSync(join(directory, '.pawl'))).toEqual(['beats'])
})

test('a glob that leads into a directory that this user may not read says what it leaves out', async () => {
  const { start, directory } = project({ 't.js': 'export default (path) => path', 'in/ours/a.txt': '', 'in/theirs/b.txt': '' })
  const closed = join(directory, 'in/theirs')
  chmodSync(closed, 0)
  onTestFinished(() => chmodSync(closed, 0o700))
  const { code, stdout, stderr } = await start(['run', 't.js', '--input', 'in/*/*.txt', '--quiet'], '', OTHER).ended
  expect({ code, stdout }).toEqual({ code: 0, stdout: '{"index":0,"value":"in/ours/a.txt"}\n' })
  expect(stderr).toBe('pawl: warning: what matches in/*/*.txt in in/theirs is left out: this user may not read it\n')
})

test('an output that is a pipe which this user may not write is refused before anything runs', async () => {
  const { start, directory } = project({ 't.js': 'export default () => console.log("ran")', 'in.jsonl': items(1) })
  expect(spawnSync('mkfifo', ['-m', '444', join(directory, 'pipe')]).status).toBe(0)
  const { code, stderr } = await start(['run', 't.js', '--input', 'in.jsonl', '--output', 'pipe', '--quiet'], '', OTHER).ended
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: expect.stringContaining("'pipe': expected a pipe or a device that may be written, got EACCES: permission denied"),
  })
  expect(stderr).not.toContain('ran')
})

test.skipIf(process.getuid?.() !== 0)(
  'an output that only another user may replace, as in /tmp, is refused before anything runs',
  async () => {
    const { directory, start } = project({
      'twice.js': 'export default ({ n }) => 2 * n',
      'in.jsonl': items(4),
      'theirs.jsonl': '',
    })
    chmodSync(dirname(directory), 0o711) // It is of this test run: see test/temporary.ts.
    chmodSync(directory, 0o1777)
    const asNobody = ['setpriv', '--reuid=65534', '--clear-groups']
    const run = (output: string) =>
      start(['run', 'twice.js', '--input', 'in.jsonl', '--no-checkpoint', '--quiet', '--output', output], '', asNobody).ended
    expect(await run('theirs.jsonl')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^pawl: Cannot write output 'theirs\.jsonl': .*, got one of another user in a directory /),
    })
    for (const _ of ['new', 'its own']) expect(await run('mine.jsonl')).toMatchObject({ code: 0, stderr: '' })
  },
)
