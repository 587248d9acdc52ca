import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'csv-parse/sync'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { eachRow, findDelimiter, listRowEnds } from '../../src/cli/csv.ts'
import { readInput } from '../../src/cli/input.ts'

const text = (unit: string[]) => fc.string({ unit: fc.constantFrom(...unit), maxLength: 30 })
const rowsOf = (content: string, delimiter: '\n' | '\r') => {
  const rows: (readonly string[])[] = []
  const problem = eachRow(content, delimiter, (row) => rows.push(row) > 0)
  return { rows, problem }
}
/** What csv-parse makes of it; undefined for what it refuses. */
const parsed = (content: string, record_delimiter: string[]) => {
  try {
    return parse(content, { relax_column_count: true, record_delimiter }) as string[][]
  } catch {
    return undefined
  }
}

test.each([
  ['without quotes', ['a', ',', '\n', '\r', ' ']],
  ['with quotes', ['a', ',', '\n', '\r\n', '"', '"a",', '"\n"']],
])('eachRow() gives the rows that csv-parse gives of text %s', (_, unit) => {
  const property = fc.property(text(unit), (content) => {
    const delimiter = findDelimiter(Buffer.from(content), true) ?? '\n'
    const expected = parsed(content, delimiter === '\r' ? ['\r'] : ['\r\n', '\n'])
    const { rows, problem } = rowsOf(content, delimiter)
    expect(problem === undefined).toBe(expected !== undefined)
    if (expected) expect(rows).toEqual(expected)
  })
  fc.assert(property, { numRuns: 2000 })
})

test('listRowEnds() cuts where rows end, so that pieces have the rows of the whole', () => {
  const field = text(['a', 'é', ',', '"', '\n', '\r\n', '\r']).map((it) => `"${it.replaceAll('"', '""')}"`)
  const property = fc.property(
    fc.array(fc.array(field, { minLength: 1 }), { minLength: 1 }),
    fc.constantFrom('\n', '\r\n', '\r'),
    (rows, end) => {
      const bytes = Buffer.from(rows.map((row) => row.join(',') + end).join(''))
      const delimiter = end === '\r' ? end : '\n'
      expect(findDelimiter(bytes, false)).toBe(end === '\r' && rows.length === 1 ? undefined : delimiter)
      const ends = listRowEnds(bytes, 0, delimiter)
      const whole = rowsOf(bytes.toString(), delimiter).rows
      expect(whole).toHaveLength(rows.length)
      expect(ends.map((it, at) => rowsOf(bytes.toString('utf8', ends[at - 1] ?? 0, it), delimiter).rows[0])).toEqual(whole)
    },
  )
  fc.assert(property)
})

test('rows of one file may end in a newline with a carriage return before it, or without', async () => {
  const end = fc.constantFrom('\n', '\r\n')
  const field = fc.oneof(
    text(['a', 'é']),
    text(['a', ',', '\n', '\r\n']).map((it) => `"${it}"`),
  )
  const row = fc.tuple(field, field, end)
  const directory = await mkdtemp(join(tmpdir(), 'pawl-csv-'))
  const property = fc.asyncProperty(end, fc.array(row), fc.boolean(), async (headEnd, rows, isEnded) => {
    const path = join(directory, 'in.csv')
    const content = `a,b${headEnd}${rows.map(([a, b, rowEnd]) => `${a},${b}${rowEnd}`).join('')}`
    await writeFile(path, isEnded ? content : content.replace(/\r?\n$/, ''))
    const bare = (it: string) => (it.startsWith('"') ? it.slice(1, -1) : it)
    const expected = rows.map(([a, b]) => ({ a: bare(a), b: bare(b) }))
    const { items } = await readInput(path)
    expect(items).toEqual(expected)
  })
  await fc.assert(property, { numRuns: 300 })
  await writeFile(join(directory, 'one.csv'), 'n\r\n1\n2\r\n\n\r\n')
  expect((await readInput(join(directory, 'one.csv'))).items).toEqual([{ n: '1' }, { n: '2' }])
})

const quoted = text(['a', ',', '""', '\n', '\r\n']).map((it) => `"${it}"`)
/** As an editor shows it: the line on which the end of `before` stands. */
const lineAfter = (before: string) => before.split(/\r\n|\n|\r/).length

test.each([
  ['too short', '1', 'expected 2 fields as in the first row, got 1'],
  ['too long, over several lines', '1,2,"a\r\nb\nc"', 'expected 2 fields as in the first row, got 3'],
  ['blank', '', 'got a blank line'],
  ['with a quote in a bare field', '1,a"b', 'got a quote within a bare field'],
  ['with text after a closing quote', '1,"a"b', 'got something else'],
  ['with a quote that is not closed', '1,"a\r\n', 'to be closed, got one that is not'],
])('a row that is %s is refused by the line it begins on', async (_, bad, problem) => {
  const directory = await mkdtemp(join(tmpdir(), 'pawl-csv-'))
  const property = fc.asyncProperty(
    fc.constantFrom('\n', '\r\n', '\r'),
    fc.constantFrom('', '\ufeff'),
    fc.array(fc.tuple(quoted, quoted)),
    fc.constantFrom('a,b', '"a\n","b\r\nc"'),
    async (end, mark, rows, head) => {
      const before = mark + [head, ...rows.map((row) => row.join(','))].map((it) => it + end).join('')
      const path = join(directory, 'in.csv')
      await writeFile(path, `${before}${bad}${end}5,6${end}`)
      const line = lineAfter(before)
      await expect(readInput(path)).rejects.toThrow(new RegExp(`^Cannot read .*in\\.csv, line ${line}: .*${problem}`))
    },
  )
  await fc.assert(property, { numRuns: 50 })
})

test('what a key has to say of a row is said with its line', async () => {
  const path = join(await mkdtemp(join(tmpdir(), 'pawl-csv-')), 'in.csv')
  await writeFile(path, '\ufeffid,"n\r\n"\r\n1,"a\nb"\r\n2,"c\r\nd"\r\n3,4\r\n')
  const { placeOf } = await readInput(path, { field: 'id' })
  expect([0, 1, 2].map(placeOf)).toEqual(['line 3', 'line 5', 'line 7'])
  await expect(readInput(path, { field: 'm' })).rejects.toThrow("for item 0 (line 3): expected a string or a number in field 'm'")
})
