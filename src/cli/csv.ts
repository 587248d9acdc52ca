import type { Readable } from 'node:stream'
import { parse } from 'csv-parse'
import type { Json } from '../types.ts'
import { UsageError } from './failure.ts'

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
  const parser = bytes.pipe(parse({ bom: true, info: true, relax_column_count: true }))
  bytes.once('error', (error) => parser.destroy(error))
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
    throw isCsvError(error) ? new UsageError(`Cannot read ${path}, line ${error.lines}: ${error.message}`) : error
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

function isCsvError(error: unknown): error is Error & { lines: number } {
  return error instanceof Error && 'lines' in error && typeof error.lines === 'number'
}
