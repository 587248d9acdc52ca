import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, renameSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { describeLeft } from '../../src/cli/next-steps.ts'
import { checkTarget, writeLines } from '../../src/cli/output.ts'
import { items, project } from './pawl.ts'

const built = new URL('../../build/cli/output.js', import.meta.url)

test('what ends the process while results are written, as a second signal does, leaves nothing beside the output', async () => {
  const { directory } = project()
  const leftovers = () => readdirSync(directory).filter((name) => name.endsWith('.tmp')).length
  const listeners = process.listeners('exit')
  const seen: number[] = []
  const lines = function* () {
    yield 'x'.repeat(100_000) // More than is gathered before it is written.
    seen.push(leftovers())
    for (const listener of process.listeners('exit')) if (!listeners.includes(listener)) listener(143)
    seen.push(leftovers())
  }
  await expect(writeLines(join(directory, 'out.jsonl'), lines())).rejects.toMatchObject({ code: 'ENOENT' })
  expect(seen).toEqual([1, 0])
  expect(process.listeners('exit')).toEqual(listeners)
})

/** A process that has written the half of `directory`/out.jsonl. */
async function startWriting(directory: string, put: (name: string, content: string) => void) {
  put(
    'write.js',
    `import { writeLines } from ${JSON.stringify(built)}
     setInterval(() => {}, 1e9)
     await writeLines('out.jsonl', (async function* () {
       yield 'x'.repeat(100_000)
       console.log('waits')
       await new Promise(() => {})
     })())`,
  )
  const child = spawn(process.execPath, ['write.js'], { cwd: directory, stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  return child
}

const leftovers = (directory: string) => readdirSync(directory).filter((name) => name.endsWith('.tmp'))

test.each(['SIGINT', 'SIGTERM'] as const)(
  '%s, where nobody else hears it, ends the process and leaves nothing either',
  async (name) => {
    const { directory, put } = project()
    const child = await startWriting(directory, put)
    expect(leftovers(directory)).toHaveLength(1)
    child.kill(name)
    expect(await once(child, 'exit')).toEqual([null, name])
    expect(readdirSync(directory).sort()).toEqual(['package.json', 'write.js'])
  },
)

test('an output may have a name as long as the file system takes, and one that is longer is refused before anything runs', async () => {
  const { directory, pawl } = project({ 't.js': 'export default ({ n }) => n', 'in.jsonl': items(1) })
  const name = `${'結'.repeat(82)}.jsonl`
  expect(await pawl('run', 't.js', '--input', 'in.jsonl', '--output', name)).toMatchObject({ code: 0 })
  expect(readFileSync(join(directory, name), 'utf8')).toBe('{"index":0,"value":0}\n')
  await expect(checkTarget(join(directory, 'x'.repeat(300)))).rejects.toThrow('ENAMETOOLONG')
})

test('an output without a time, as in images of containers, is said to be left as it was, and no more', () => {
  const { directory } = project({ 'out.jsonl': '' })
  const output = join(directory, 'out.jsonl')
  const left = () => describeLeft({ output } as Parameters<typeof describeLeft>[0])
  utimesSync(output, 0, 0)
  expect(left()).toEqual([`${output} is left as it was`])
  utimesSync(output, 1e9, 1e9)
  expect(left()).toEqual([expect.stringMatching(/out\.jsonl is left as it was written at 2001-09-\d\d /)])
})

describe('what a process that was killed while it wrote left beside its output', () => {
  test('goes with the next that writes there, but not while the process lives', async () => {
    const { directory, put } = project()
    const child = await startWriting(directory, put)
    const [aside] = leftovers(directory)
    put(`${aside?.replace('out.jsonl', 'other.jsonl')}`, '')
    put('.out.jsonl.mine.tmp', '')
    const others = ['.out.jsonl.mine.tmp', aside?.replace('out.jsonl', 'other.jsonl')].sort()
    await checkTarget(join(directory, 'out.jsonl'))
    expect(leftovers(directory).sort()).toEqual([...others, aside].sort())
    child.kill('SIGKILL')
    await once(child, 'exit')
    await checkTarget(join(directory, 'out.jsonl'))
    expect(leftovers(directory).sort()).toEqual(others)
  })

  test('of a process elsewhere, of which nobody here knows whether it lives, goes when it is a day old', async () => {
    const { directory, put } = project()
    const child = await startWriting(directory, put)
    const [aside = ''] = leftovers(directory)
    const elsewhere = join(directory, aside.replace(/[0-9a-f]{8}-/, '00000000-'))
    renameSync(join(directory, aside), elsewhere)
    child.kill('SIGKILL')
    await once(child, 'exit')
    await checkTarget(join(directory, 'out.jsonl'))
    expect(leftovers(directory)).toHaveLength(1)
    const yesterday = Date.now() / 1000 - 90_000
    utimesSync(elsewhere, yesterday, yesterday)
    await checkTarget(join(directory, 'out.jsonl'))
    expect(leftovers(directory)).toEqual([])
  })
})
