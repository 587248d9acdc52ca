import { parse } from 'csv-parse/sync'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { eachRow, findDelimiter, listRowEnds } from '../../src/cli/csv.ts'

const text = (unit: string[]) => fc.string({ unit: fc.constantFrom(...unit), maxLength: 30 })
const rowsOf = (content: string, delimiter: string) => {
  const rows: { row: readonly string[]; line: number }[] = []
  const fault = eachRow(content, delimiter, (row, line) => rows.push({ row, line }) > 0)
  return { rows, fault }
}
/** What csv-parse makes of it, with the lines that rows end on; undefined for what it refuses. */
const parsed = (content: string) => {
  try {
    const found = parse(content, { info: true, relax_column_count: true }) as unknown as {
      record: string[]
      info: { lines: number }
    }[]
    return found.map(({ record, info }) => ({ row: record, line: info.lines }))
  } catch {
    return undefined
  }
}

test.each([
  ['without quotes', ['a', ',', '\n', '\r', ' ']],
  ['with quotes', ['a', ',', '\n', '\r\n', '"', '"a",', '"\n"']],
])('eachRow() gives the rows and lines that csv-parse gives of text %s', (_, unit) => {
  const property = fc.property(text(unit), (content) => {
    const expected = parsed(content)
    const { rows, fault } = rowsOf(content, findDelimiter(Buffer.from(content), true) ?? '\n')
    expect(fault === undefined).toBe(expected !== undefined)
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
      expect(findDelimiter(bytes, false)).toBe(end === '\r' && rows.length === 1 ? undefined : end)
      const ends = listRowEnds(bytes, 0, end)
      const whole = rowsOf(bytes.toString(), end).rows.map(({ row }) => row)
      expect(whole).toHaveLength(rows.length)
      expect(ends.map((it, at) => rowsOf(bytes.toString('utf8', ends[at - 1] ?? 0, it), end).rows[0]?.row)).toEqual(whole)
    },
  )
  fc.assert(property)
})
