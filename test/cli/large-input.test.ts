import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileStore, inspectRun } from 'pawl'
import { describe, expect, test } from 'vitest'
import { readInput } from '../../src/cli/input.ts'
import { lines, project } from './pawl.ts'

/** Inputs of more than one block, which workers scan and parse. */

const COUNT = 30_000
const PAD = 'x'.repeat(60)
const jsonl = (count = COUNT) => Array.from({ length: count }, (_, n) => `{"n":${n},"pad":"é${PAD}"}`)
const BAD = { line: COUNT - 10, at: COUNT - 11 }

const TASKS = {
  'n.js': 'export default ({ n }) => Number(n)',
  'whole.js': 'export default (item) => item',
  'says.js': "import { appendFileSync } from 'node:fs'\nexport default ({ n }) => { appendFileSync('ran', `${n} `); return n }",
}

const RUN = ['run', 'n.js', '--input', 'in.jsonl', '--run-id', 'r', '--quiet']
const numbers = (count = COUNT) => Array.from({ length: count }, (_, index) => ({ index, value: index }))

describe('pawl run with an input of several blocks', () => {
  test.each([
    ['JSONL', 'in.jsonl', `${jsonl().join('\n')}\n`],
    ['JSONL with CRLF, a byte order mark, blank lines at the end', 'in.jsonl', `\ufeff${jsonl().join('\r\n')}\r\n\r\n \n`],
    ['JSONL without a last newline', 'in.ndjson', jsonl().join('\n')],
    ['JSONL of which one line is longer than two blocks', 'in.jsonl', `"${'y'.repeat(2_500_000)}"\n1\n${jsonl().join('\n')}\n`],
    ['text', 'in.txt', `\ufeff${jsonl().join('\r\n')}\n\n${PAD}\r`],
    [
      'CSV',
      'in.csv',
      `n,pad\n${jsonl()
        .map((_, n) => `${n},${PAD}`)
        .join('\n')}\n`,
    ],
    [
      'CSV with quotes, newlines in them, CRLF',
      'in.csv',
      `\ufeffn,"p\r\nq"\r\n${jsonl()
        .map((_, n) => `${n},"a ""\r\n"" ${PAD}"`)
        .join('\r\n')}`,
    ],
    [
      'CSV of which some rows end in CRLF, and some have quotes',
      'in.csv',
      `n,pad\r\n${jsonl()
        .map((_, n) => `${n},${n % 999 === 0 ? `"${PAD}"` : PAD}${n % 3 === 0 ? '\r' : ''}\n`)
        .join('')}`,
    ],
    [
      'CSV that CR ends',
      'in.csv',
      `n,pad\r${jsonl()
        .map((_, n) => `${n},"a\n\r${PAD}"`)
        .join('\r')}\r\r`,
    ],
  ])('gives each item of %s to the task', async (_, name, content) => {
    const { pawl, put, directory } = project(TASKS)
    put(name, content)
    const { code, stdout, stderr } = await pawl('run', 'whole.js', '--input', name, '--no-checkpoint', '--quiet')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const expected = name.endsWith('.csv')
      ? jsonl().length
      : content
          .replace(/^\ufeff/, '')
          .replace(/\r?\n$/, '')
          .split('\n')
    const got = lines(stdout).map((it) => (it as { value: unknown }).value)
    if (typeof expected === 'number') {
      expect(got.length).toBe(expected)
      expect(got.map((it) => (it as { n: string }).n)).toEqual(Array.from({ length: expected }, (__, n) => String(n)))
      expect(new Set(got.map((it) => JSON.stringify(Object.values(it as object)[1]))).size).toBe(1)
      expect(JSON.stringify(got[0])).toContain(PAD)
    } else if (name === 'in.txt') expect(got).toEqual(expected.map((line) => line.replace(/\r$/, '')))
    else expect(got).toEqual(expected.filter((line) => line.trim() !== '').map((line) => JSON.parse(line)))
    const { items } = await readInput(join(directory, name)) // All of it read by one thread.
    expect(items).toHaveLength(got.length)
    expect([...(items as unknown[])]).toEqual(got)
  })

  const late = (line: string, ends = '\n') => jsonl().with(BAD.at, line).join(ends)
  const csv = (row: string) =>
    `n,pad\n${jsonl()
      .map((_, n) => (n === BAD.at ? row : `${n},"\n${PAD}"`))
      .join('\n')}\n`
  test.each([
    ['no JSON', 'in.jsonl', late('{bad'), `in.jsonl, line ${BAD.line}: expected a JSON value, got {bad (`],
    ['a blank line', 'in.jsonl', late(''), `in.jsonl, line ${BAD.line}: expected a JSON value, got a blank line`],
    [
      'blank lines over the end of a block',
      'in.jsonl',
      `1\n${'\n'.repeat(3_000_000)}1\n`,
      'in.jsonl, line 2: expected a JSON value, got a blank',
    ],
    [
      'no UTF-8',
      'in.jsonl',
      Buffer.from(late('"\xff"').replaceAll('é', 'e'), 'latin1'),
      `in.jsonl, line ${BAD.line}: expected UTF-8`,
    ],
    [
      'no UTF-8',
      'in.txt',
      Buffer.from(late('\xff', '\r\n').replaceAll('é', 'e'), 'latin1'),
      `in.txt, line ${BAD.line}: expected UTF-8`,
    ],
    ['a row too short', 'in.csv', csv('1'), `in.csv, line ${2 * BAD.line}: expected 2 fields as in the first row, got 1`],
    [
      'a row of CSV that is blank',
      'in.csv',
      csv(''),
      `in.csv, line ${2 * BAD.line}: expected 2 fields as in the first row, got a blank`,
    ],
    [
      'a quote in a row',
      'in.csv',
      csv('1,a"b'),
      `in.csv, line ${2 * BAD.line}: expected a field with a quote in it to stand in quotes`,
    ],
    ['an open quote', 'in.csv', csv('1,"a').replace(/"\n[^"]*"\n$/, '2\n'), `in.csv, line `],
  ])('refuses %s in %s by its line, and nothing has run', async (_, name, content, message) => {
    const { pawl, directory } = project(TASKS)
    writeFileSync(join(directory, name), content)
    const { code, stdout, stderr } = await pawl('run', 'says.js', '--input', name)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(`pawl: Cannot read ${message}`)
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(readdirSync(directory).sort()).toEqual([...Object.keys(TASKS), name, 'package.json'].sort())
    await expect(readInput(join(directory, name))).rejects.toThrow(message.slice(message.indexOf(', line')))
  })

  test('an edit of the input is a mismatch, wherever it is and though it is as long as before', async () => {
    const { pawl, put } = project({ ...TASKS, 'in.jsonl': jsonl().join('\n') })
    expect((await pawl(...RUN)).code).toBe(0)
    put(
      'in.jsonl',
      jsonl()
        .with(BAD.at, jsonl()[BAD.at]?.replace('xx', 'xy') as string)
        .join('\n'),
    )
    const { code, stderr } = await pawl(...RUN)
    expect(code).toBe(2)
    expect(stderr).toContain('the same bytes of in.jsonl')
    put('in.jsonl', jsonl().join('\n'))
    expect((await pawl(...RUN, '--json')).stdout).toContain(`"restored":${COUNT}`)
  })

  test.each([
    ['of one block', 10],
    ['of several', COUNT],
  ])('an input %s has the same digest whoever reads it', async (_, count) => {
    const { pawl, directory } = project({ ...TASKS, 'in.jsonl': jsonl(count).join('\n') })
    expect((await pawl(...RUN)).code).toBe(0)
    const { identity } = await inspectRun(fileStore(join(directory, '.pawl')), 'r')
    const { itemsDigest } = await readInput(join(directory, 'in.jsonl'))
    expect(itemsDigest).toMatch(/^[0-9a-f]{32}$/)
    expect(identity?.items).toEqual({ kind: 'array', count, digest: itemsDigest })
  })

  test('goes on after SIGKILL with what is not finished', async () => {
    const slow =
      "export default async ({ n }) => { await 0; const end = performance.now() + 0.05; while (performance.now() < end); if (n === 20000) console.log('far'); return n }"
    const { pawl, start } = project({ 'n.js': slow, 'in.jsonl': jsonl().join('\n') })
    const run = start([...RUN, '--checkpoint-interval', '20ms', '--chunk-size', '777'])
    await run.saying(/far/)
    run.child.kill('SIGKILL')
    await run.ended
    const { code, stdout } = await pawl('resume', 'r', '--json', '--output', 'out.jsonl', '--quiet')
    expect(code).toBe(0)
    const { stats } = JSON.parse(stdout)
    expect(stats.restored).toBeGreaterThan(0)
    expect(stats.restored + stats.dispatched).toBe(COUNT)
  })

  test('runs the items left over, however they lie', async () => {
    const odd =
      "import { existsSync } from 'node:fs'\nconst isWhole = existsSync('whole')\nexport default ({ n }) => { if (!isWhole && n % 3 === 1) throw new Error(`no ${n}`); return n }"
    const { pawl, put } = project({ 'n.js': odd, 'in.jsonl': jsonl().join('\n') })
    const first = await pawl(...RUN, '--max-failures', '1', '--json')
    expect(first.code).toBe(1)
    const tolerant = await pawl(...RUN, '--max-failures', '50%', '--json', '--output', 'out.jsonl')
    const { failures } = JSON.parse(tolerant.stdout)
    expect(failures).toHaveLength(COUNT / 3)
    for (const { index, item } of failures) expect(item).toEqual({ n: index, pad: `é${PAD}` })
    put('whole', '')
    const { code, stdout } = await pawl(...RUN)
    expect(code).toBe(0)
    expect(lines(stdout)).toEqual(numbers())
  })

  test('an item that ends its worker fails with what it is', async () => {
    const deadly = 'export default ({ n }) => { if (n === 29000) process.exit(3); return n }'
    const { pawl } = project({ 'n.js': deadly, 'in.jsonl': jsonl().join('\n') })
    const { code, stdout } = await pawl(...RUN, '--max-failures', '1', '--json', '--output', 'out.jsonl')
    expect(code).toBe(0)
    const { failures, stats } = JSON.parse(stdout)
    expect(stats.succeeded).toBe(COUNT - 1)
    expect(failures).toEqual([expect.objectContaining({ index: 29_000, kind: 'crash', item: { n: 29_000, pad: `é${PAD}` } })])
    expect((await pawl('failures', 'r')).stdout).toContain('29000')
  })

  test('what becomes of the file while the run is at work is nothing to it', async () => {
    const slow =
      "export default ({ n }) => { if (n === 0) console.log('begun'); const end = performance.now() + 0.03; while (performance.now() < end); return n }"
    const { start, directory } = project({ 'n.js': slow, 'in.jsonl': jsonl().join('\n') })
    const run = start(RUN)
    await run.saying(/begun/)
    writeFileSync(join(directory, 'in.jsonl'), '{"n":-1}\n'.repeat(COUNT))
    rmSync(join(directory, 'in.jsonl'))
    const { code, stdout } = await run.ended
    expect(code).toBe(0)
    expect(lines(stdout)).toEqual(numbers())
  })

  test('--key: items may come, go and move', async () => {
    const { pawl, put } = project({ ...TASKS, 'in.jsonl': jsonl().join('\n') })
    expect((await pawl(...RUN, '--key', 'n')).code).toBe(0)
    put('in.jsonl', [...jsonl(COUNT + 5).reverse(), '{"n":99999}'].slice(3).join('\n'))
    const { stdout } = await pawl(...RUN, '--key', 'n', '--json', '--output', 'out.jsonl')
    expect(JSON.parse(stdout).stats).toMatchObject({ restored: COUNT, dispatched: 3 })
  })

  test('--key: an item without one is told before anything runs, and so are two of one key', async () => {
    const { pawl, put, directory } = project({ ...TASKS, 'in.jsonl': jsonl().with(BAD.at, '{"m":1}').join('\n') })
    const run = ['run', 'says.js', '--input', 'in.jsonl', '--key', 'n', '--run-id', 'r']
    const keyless = await pawl(...run)
    expect(keyless.code).toBe(2)
    expect(keyless.stderr).toContain(
      `Cannot use '--key n' for item ${BAD.at} (line ${BAD.line}): expected a string or a number in field 'n', got no such field`,
    )
    put('in.jsonl', jsonl().with(BAD.at, '{"n":7}').join('\n'))
    const twice = await pawl(...run)
    expect(twice.code).toBe(2)
    expect(twice.stderr).toBe(
      `pawl: Cannot use '--key n': expected a key of its own for each item, not one for both item 7 (line 8) and item ${BAD.at} (line ${BAD.line}), got '7'\n`,
    )
    expect(existsSync(join(directory, 'ran'))).toBe(false)
  })

  test('--shard and plan take it, too', async () => {
    const { pawl } = project({ ...TASKS, 'in.jsonl': jsonl().join('\n') })
    const counts = []
    for (const shard of ['1/2', '2/2']) {
      const { stdout } = await pawl(...RUN, '--shard', shard, '--json', '--output', 'out.jsonl')
      counts.push(JSON.parse(stdout).stats.dispatched)
    }
    expect(Math.min(...counts)).toBeGreaterThan(0)
    expect(counts[0] + counts[1]).toBe(COUNT)
    expect(lines((await pawl('export', 'r')).stdout)).toEqual(numbers())
    expect(JSON.parse((await pawl('plan', 'n.js', '--input', 'in.jsonl', '--json')).stdout)).toMatchObject({ mode: 'threads' })
  })
})

describe('a request to stop while an input of several blocks is read', () => {
  const content = `${jsonl().join('\n')}\n`

  test('is heeded before it is read to its end', async () => {
    const { pawl, put, directory } = project(TASKS)
    put('in.jsonl', content)
    const { code, stderr } = await pawl(...RUN, '--time-limit', '1ms')
    expect({ code, stderr: stderr.split('\n').slice(1) }).toEqual({
      code: 75,
      stderr: [
        'pawl: Cannot begin the run: expected to read in.jsonl to its end, got a request to stop (the time limit of 1ms is near). Nothing was run: run it again',
        '',
      ],
    })
    expect(stderr).toMatch(/^pawl: no item settled in this session, and with --time-limit 1ms none may in the next/)
    expect(existsSync(join(directory, '.pawl'))).toBe(false)
  })
})

test('an empty input is a run of nothing', async () => {
  const { pawl, put } = project(TASKS)
  for (const name of ['in.jsonl', 'in.txt', 'in.csv']) {
    put(name, '')
    const stderr = `pawl: ${name} holds no items\n`
    expect(await pawl('run', 'n.js', '--input', name, '--quiet')).toMatchObject({ code: 0, stdout: '', stderr })
  }
  put('names.csv', 'a,b\n')
  expect(await pawl('run', 'n.js', '--input', 'names.csv', '--quiet')).toMatchObject({ code: 0, stdout: '' })
})
