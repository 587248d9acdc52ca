import { spawnSync } from 'node:child_process'
import { closeSync, constants, createReadStream, createWriteStream, openSync, readdirSync, readlinkSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, onTestFinished, test } from 'vitest'
import { BIN, items, lines, project } from './pawl.ts'

const noPipes = spawnSync('mkfifo', ['--version']).status !== 0

/** Of two signals that wait the system hands over which it likes first. */
const SECOND = [130, 143]

/** A project with named pipes in it. */
function pipes(...names: string[]) {
  const created = project({
    'long.js': 'export default ({ n }) => ({ n, text: "x".repeat(100) })',
    'in.jsonl': items(20_000),
  })
  const paths = names.map((name) => join(created.directory, name))
  expect(spawnSync('mkfifo', paths).status).toBe(0)
  return { ...created, paths }
}

/** Whether the process has opened `path`. */
function hasOpen(pid: number | undefined, path: string): boolean {
  const folder = `/proc/${pid}/fd`
  return readdirSync(folder).some((fd) => {
    try {
      return readlinkSync(join(folder, fd)) === path
    } catch {
      return false // Closed meanwhile.
    }
  })
}

describe.skipIf(noPipes || process.platform !== 'linux')('a named pipe', () => {
  test.each(['SIGINT', 'SIGTERM'] as const)('as input that nobody writes ends with %s', async (signal) => {
    const { start, paths } = pipes('pipe.jsonl')
    const [path = ''] = paths
    const { child, ended } = start(['run', 'long.js', '--input', 'pipe.jsonl', '--json'])
    await expect.poll(() => hasOpen(child.pid, path), { timeout: 20_000 }).toBe(true)
    child.kill(signal)
    const { code, stdout } = await ended
    expect({ code, ...JSON.parse(stdout) }).toMatchObject({
      code: 75,
      error: { code: 'ERR_PAWL_ABORTED', message: expect.stringContaining(`(${signal} received). Nothing was run`) },
    })
  })

  test('as input of which the end does not come ends with --time-limit', async () => {
    const { start, paths } = pipes('pipe.jsonl')
    const writer = createWriteStream(paths[0] as string)
    writer.on('error', () => {}) // Its reader has gone.
    onTestFinished(() => void writer.destroy())
    writer.write(items(10))
    const { code, stderr } = await start(['run', 'long.js', '--input', 'pipe.jsonl', '--time-limit', '500ms']).ended
    expect({ code, stderr }).toMatchObject({ code: 75, stderr: expect.stringContaining('the time limit of 500ms is near') })
  })

  test('as output that nobody reads ends with a signal, and the results are on record', async () => {
    const { start, pawl } = pipes('out')
    const { child, ended } = start(['run', 'long.js', '--input', 'in.jsonl', '--output', 'out', '--run-id', 'r'])
    const status = async () => JSON.parse((await pawl('list', '--json')).stdout).runs[0]?.status
    await expect.poll(status, { timeout: 20_000 }).toBe('complete')
    child.kill('SIGTERM')
    expect(await ended).toMatchObject({
      code: 75,
      stderr: expect.stringContaining(
        "Cannot write output 'out': expected somebody to read it, got a request to stop (SIGTERM received). All results are on record; to write them: pawl export r",
      ),
    })
    expect(lines((await pawl('export', 'r')).stdout)).toHaveLength(20_000)
  })

  test('as output that nobody goes on reading keeps the process from no second signal, and the results are on record', async () => {
    const { start, pawl, paths } = pipes('out')
    const reader = openSync(paths[0] as string, constants.O_RDONLY | constants.O_NONBLOCK)
    onTestFinished(() => closeSync(reader))
    const readByte = () => {
      try {
        return readSync(reader, Buffer.alloc(1))
      } catch {
        return 0 // Nothing is there yet.
      }
    }
    const { child, ended } = start(['run', 'long.js', '--input', 'in.jsonl', '--output', 'out', '--run-id', 'r'])
    await expect.poll(readByte, { timeout: 20_000 }).toBe(1)
    child.kill('SIGINT')
    child.kill('SIGTERM')
    expect(SECOND).toContain((await ended).code)
    expect(JSON.parse((await pawl('list', '--json')).stdout).runs).toMatchObject([{ runId: 'r', status: 'complete' }])
  })

  test.each(['run', 'export'])('as output whose reader goes away is an end that is told, and no error (%s)', async (command) => {
    const { start, pawl, paths } = pipes('out')
    const run = ['run', 'long.js', '--input', 'in.jsonl', '--run-id', 'r', '--quiet', '--output']
    if (command === 'export') await pawl(...run, 'results.jsonl')
    const { ended } = start(command === 'export' ? ['export', 'r', '--output', 'out'] : [...run, 'out'])
    for await (const part of createReadStream(paths[0] as string)) if (part.length > 0) break
    const { code, stderr } = await ended
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: "pawl: nobody reads 'out' any more: the rest of the results was not written there\n",
    })
    expect(lines((await pawl('export', 'r')).stdout)).toHaveLength(20_000)
  })

  test('as input and output takes part after part, and waits for whoever comes late', async () => {
    const { start, pawl, paths } = pipes('pipe.jsonl', 'out')
    const [input = '', output = ''] = paths
    const { ended } = start(['run', 'long.js', '--input', 'pipe.jsonl', '--output', 'out', '--run-id', 'r'])
    const writer = createWriteStream(input)
    const given = items(150_000) // More than a block.
    for (let at = 0; at < given.length; at += 99_991) writer.write(given.slice(at, at + 99_991))
    writer.end()
    const status = async () => JSON.parse((await pawl('list', '--json')).stdout).runs[0]?.status
    await expect.poll(status, { timeout: 20_000 }).toBe('complete')
    const written = lines(await text(createReadStream(output)))
    expect((await ended).code).toBe(0)
    expect(written).toHaveLength(150_000)
    expect(written.at(-1)).toEqual({ index: 149_999, value: { n: 149_999, text: 'x'.repeat(100) } })
  })
})

describe.skipIf(process.platform !== 'linux')('stdin and what a shell has open', () => {
  /** What a command of bash comes to. */
  const bash = (command: string) => {
    const { directory } = project({ 't.js': 'export default (n) => n', 'dir/in.jsonl': '1\n' })
    const env = { ...process.env, PAWL: `${process.execPath} ${BIN}` }
    return spawnSync('bash', ['-c', command], { cwd: directory, env, encoding: 'utf8' })
  }

  test('a directory as stdin is refused', () => {
    const { status, stderr } = bash('$PAWL run t.js --input - < dir')
    expect({ status, stderr }).toEqual({ status: 2, stderr: 'pawl: Cannot read stdin: expected JSONL, got a directory\n' })
  })

  test('a pipe without a name of its own is to be stdin', () => {
    const { status, stderr } = bash('$PAWL run t.js --input <(cat dir/in.jsonl)')
    expect(status).toBe(2)
    expect(stderr).toMatch(
      /^pawl: Cannot use input '\/dev\/fd\/\d+': expected stdin \('COMMAND \| pawl run … --input -' reads JSONL from it\), or a pipe /,
    )
  })
})
