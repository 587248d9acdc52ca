import { Readable } from 'node:stream'
import { parse } from 'csv-parse'
import type { Json } from '../types.ts'
import { UsageError } from './failure.ts'
import { readText } from './lines.ts'

/** What csv-parse gives with `info`: the fields of a row, and the line it ends on. */
interface Row {
  readonly record: readonly string[]
  readonly info: { readonly lines: number }
}

/**
 * The rows of a CSV file as objects of strings, named by the first row. Blank lines are left out at the end only.
 *
 * @throws UsageError, with the line, for a row with more or fewer fields, an unclosed quote, a name that stands twice.
 */
export async function readCsv(bytes: Readable, path: string): Promise<Json[]> {
  let ended = 0
  // Called while it parses: of what an error was preceded by, a reader gets to see no more.
  const onRecord = (row: Row): Row => {
    ended = row.info.lines
    return row
  }
  const text = Readable.from(readText(bytes, path))
  const parser = text.pipe(parse({ bom: true, info: true, relax_column_count: true, on_record: onRecord as never }))
  text.once('error', (error) => parser.destroy(error))
  const items: Json[] = []
  let names: readonly string[] | undefined
  let blank = 0
  try {
    for await (const { record, info } of parser as AsyncIterable<Row>) {
      if (!names) names = checkNames(record, path)
      else if (record.length === 1 && record[0] === '') blank ||= info.lines
      else if (blank || record.length !== names.length) {
        const [line, got] = blank ? [blank, 'a blank line'] : [info.lines, `${record.length}`]
        throw new UsageError(`Cannot read ${path}, line ${line}: expected ${names.length} fields as in the first row, got ${got}`)
      } else items.push(toObject(names, record))
    }
  } catch (error) {
    if (!isCsvError(error)) throw error
    const isOpen = error.code === 'CSV_QUOTE_NOT_CLOSED'
    const [line, problem] = isOpen
      ? [ended + 1, 'expected every quote of the row that begins there to be closed, got one that is not']
      : [error.lines, error.message]
    throw new UsageError(`Cannot read ${path}, line ${line}: ${problem}`)
  }
  return items
}

function checkNames(names: readonly string[], path: string): readonly string[] {
  const twice = names.find((name, at) => names.indexOf(name) !== at)
  if (twice === undefined) return names
  throw new UsageError(`Cannot read ${path}, line 1: expected a name of its own for each column, got '${twice}' twice`)
}

/** fromEntries makes own properties of whatever name, also of `__proto__`. */
function toObject(names: readonly string[], record: readonly string[]): Json {
  return Object.fromEntries(names.map((name, at) => [name, record[at]]))
}

function isCsvError(error: unknown): error is Error & { lines: number; code?: string } {
  return error instanceof Error && 'lines' in error && typeof error.lines === 'number'
}
