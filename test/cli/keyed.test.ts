import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { lines, project } from './pawl.ts'

const TASK = `
export default async ({ id, is }) => {
  if (is === 'bad') throw new Error(id + ' is bad')
  if (is === 'stuck') await new Promise(() => setInterval(() => {}, 1000))
  return id + '!'
}`
const RUN = ['run', 'task.js', '--input', 'in.jsonl', '--key', 'id', '--run-id', 'keyed', '--max-failures', '9', '--quiet']

/** JSONL of items with these ids; `bad:x` fails, `stuck:x` never ends. */
function inputOf(...ids: string[]): string {
  return ids
    .map((it) => `${JSON.stringify(it.includes(':') ? { id: it.split(':')[1], is: it.split(':')[0] } : { id: it })}\n`)
    .join('')
}

const valuesOf = (...ids: (string | undefined)[]) =>
  ids.flatMap((id, index) => (id === undefined ? [] : [{ index, value: `${id}!` }]))

function keyedProject(...ids: string[]) {
  const it = project({ 'task.js': TASK, 'in.jsonl': inputOf(...ids) })
  const status = async () => {
    const [{ status, done, total, failures }] = JSON.parse((await it.pawl('list', '--json')).stdout).runs
    return { status, done, total, failures }
  }
  const exported = async () => lines((await it.pawl('export', 'keyed')).stdout)
  return { ...it, status, exported }
}

describe('a run with --key whose input changed', () => {
  test('is exported, listed, inspected and verified as its last session has it, with the same lines as its output', async () => {
    const { put, pawl, status, exported, directory } = keyedProject('a', 'b', 'bad:c', 'd', 'bad:e')
    expect(await pawl(...RUN)).toMatchObject({ code: 0, stderr: '' })
    put('in.jsonl', inputOf('new', 'd', 'bad:c', 'a'))
    const { code, stdout } = await pawl(...RUN)
    expect(code).toBe(0)
    expect(lines(stdout)).toEqual(valuesOf('new', 'd', undefined, 'a'))
    expect(await exported()).toEqual(lines(stdout))
    expect(await status()).toEqual({ status: 'complete', done: 4, total: 4, failures: 1 })
    expect((await pawl('inspect', 'keyed')).stdout).toMatch(/^done +4\/4, 1 failed$/m)
    expect(await pawl('verify', 'keyed')).toMatchObject({ code: 0 })
    expect((await pawl('failures', 'keyed')).stdout).toMatch(/^item 2 \(key c\): error after 1 attempt,/)
    expect(JSON.parse((await pawl('failures', 'keyed', '--json')).stdout).failures).toMatchObject([{ index: 2, key: 'c' }])

    put('in.jsonl', inputOf('c', 'e', 'a', 'b'))
    const again = await pawl('resume', 'keyed', '--failed-only', '--output', 'out.jsonl', '--json')
    expect(again.code).toBe(0)
    expect(JSON.parse(again.stdout).stats).toMatchObject({ dispatched: 2, restored: 2 })
    expect(lines(readFileSync(join(directory, 'out.jsonl'), 'utf8'))).toEqual(valuesOf('c', 'e', 'a', 'b'))
    expect(await exported()).toEqual(valuesOf('c', 'e', 'a', 'b'))
    expect(await status()).toEqual({ status: 'complete', done: 4, total: 4, failures: 0 })
  })

  test('is exported whole when shards worked on it', async () => {
    const { put, pawl, status, exported } = keyedProject('a', 'b', 'c', 'd', 'e')
    await pawl(...RUN)
    const ids = ['z', 'e', 'y', 'c', 'b', 'x']
    put('in.jsonl', inputOf(...ids))
    const shards = await Promise.all(['1/2', '2/2'].map((shard) => pawl(...RUN, '--shard', shard)))
    expect(shards.map(({ code }) => code)).toEqual([0, 0])
    expect(shards.flatMap(({ stdout }) => lines(stdout))).toHaveLength(6)
    expect(await exported()).toEqual(valuesOf(...ids))
    expect(await status()).toEqual({ status: 'complete', done: 6, total: 6, failures: 0 })
  })

  test('is exported as a session has it that was killed, and goes on', async () => {
    const { put, pawl, start, status, exported } = keyedProject('a', 'b', 'c')
    await pawl(...RUN)
    put('in.jsonl', inputOf('new', 'c', 'stuck:d', 'a'))
    const killed = start([...RUN, '--checkpoint-every', '1', '--workers', '1', '--chunk-size', '1'], '')
    const left = valuesOf('new', 'c', undefined, 'a')
    for (let found: unknown[] = []; JSON.stringify(found) !== JSON.stringify(left); found = await exported());
    killed.child.kill('SIGKILL')
    expect(await killed.ended).toMatchObject({ signal: 'SIGKILL' })
    expect(await exported()).toEqual(left)
    expect(await status()).toEqual({ status: 'partial', done: 3, total: 4, failures: 0 })
    expect(await pawl('verify', 'keyed')).toMatchObject({ code: 0 })
    put('in.jsonl', inputOf('c', 'd', 'b'))
    expect((await pawl('resume', 'keyed', '--quiet')).code).toBe(0)
    expect(await exported()).toEqual(valuesOf('c', 'd', 'b'))
  })

  test('and is begun without --key, or one without it with --key, is told that it is the key', async () => {
    const { pawl } = keyedProject('a')
    await pawl(...RUN)
    const without = RUN.filter((it) => it !== '--key' && it !== 'id')
    const refused = await pawl(...without)
    expect(refused.code).toBe(2)
    expect(refused.stderr).toMatch(
      /expected items told apart by --key 'id', .*got items told apart by their index, without --key\. Give --key as before;/,
    )
    await pawl(...without, '--run-id', 'other')
    const other = await pawl(...RUN, '--run-id', 'other')
    expect(other.code).toBe(2)
    expect(other.stderr).toMatch(/told apart by their index, .*got items told apart by --key 'id'\. Leave out --key;/)
  })
})
