import { parse } from 'csv-parse/sync'
import { type Delimiter, type FileFormat, rowEnds, toObject } from '../items/file-items.ts'
import { UsageError } from './failure.ts'
import { countBreaks, explainFields, explainLong } from './fault.ts'
import type { Findings } from './findings.ts'

const QUOTE = 0x22
const LF = 0x0a
const CR = 0x0d

/** What ends the rows, as the first row tells; undefined when it does not end in `bytes`, which may go on when not `isWhole`. */
export function findDelimiter(bytes: Uint8Array, isWhole: boolean): Delimiter | undefined {
  let isQuoted = false
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if (byte === QUOTE) isQuoted = !isQuoted
    else if (isQuoted) continue
    else if (byte === LF) return '\n'
    else if (byte !== CR) continue
    else if (at + 1 < bytes.length) return bytes[at + 1] === LF ? '\n' : '\r'
    else return isWhole ? '\r' : undefined
  }
  return undefined
}

/** One past each row that `delimiter` ends, from the byte `from` on, where a row begins. */
export function listRowEnds(bytes: Uint8Array, from: number, delimiter: Delimiter): number[] {
  const ends: number[] = []
  const last = delimiter === '\r' ? CR : LF
  let isQuoted = false
  for (let at = from; at < bytes.length; at++) {
    const byte = bytes[at]
    if (byte === QUOTE) isQuoted = !isQuoted
    else if (byte === last && !isQuoted) ends.push(at + 1)
  }
  return ends
}

/** What csv-parse says of quotes, with lines that it counts in its own way, in words of ours. */
const QUOTE_FAULTS: Record<string, string> = {
  CSV_QUOTE_NOT_CLOSED: 'expected every quote of the row that begins there to be closed, got one that is not',
  CSV_INVALID_CLOSING_QUOTE:
    'expected a comma or the end of the row after the quote that closes a field, got something else. A quote within a field is written twice',
  INVALID_OPENING_QUOTE:
    'expected a field with a quote in it to stand in quotes, and the quote to be written twice, got a quote within a bare field',
}

/**
 * Calls `onRow` with each row of `text`, until it says false. What is wrong with the row after those it was given; undefined:
 * nothing.
 */
export function eachRow(text: string, delimiter: Delimiter, onRow: (row: readonly string[]) => boolean): string | undefined {
  const plain = plainRows(text, delimiter)
  if (plain) {
    plain.every((row) => onRow(row.split(',')))
    return undefined
  }
  let goesOn = true
  const onRecord = (row: string[]) => {
    goesOn &&= onRow(row)
    return null
  }
  try {
    parse(text, { record_delimiter: rowEnds(delimiter), relax_column_count: true, on_record: onRecord })
  } catch (error) {
    const problem = error instanceof Error && 'code' in error ? QUOTE_FAULTS[String(error.code)] : undefined
    if (problem === undefined) throw error
    return goesOn ? problem : undefined
  }
  return undefined
}

/** The rows of a text in which nothing needs a parser; undefined of any other. */
function plainRows(text: string, delimiter: Delimiter): string[] | undefined {
  const lines = delimiter === '\n' && text.includes('\r') ? text.replaceAll('\r\n', '\n') : text
  if (lines.includes('"') || lines.includes(delimiter === '\n' ? '\r' : '\n')) return undefined
  return lines === '' ? [] : (lines.endsWith(delimiter) ? lines.slice(0, -1) : lines).split(delimiter)
}

/**
 * The first row of `bytes`, which begins at the byte `from`: the names of the columns, where it ends, and how many lines it
 * takes.
 *
 * @throws UsageError
 */
export function readHeader(bytes: Buffer, from: number, path: string, longest: number) {
  const delimiter = findDelimiter(bytes, true) ?? '\n'
  const end = listRowEnds(bytes, from, delimiter)[0] ?? bytes.length
  if (end - from > longest) throw new UsageError(`Cannot read ${path}, line 1: ${explainLong('row', longest / 2)}`)
  let names: readonly string[] = []
  const problem = eachRow(bytes.toString('utf8', from, end), delimiter, (row) => {
    names = row
    return false
  })
  const twice = names.find((name, at) => names.indexOf(name) !== at)
  if (problem) throw new UsageError(`Cannot read ${path}, line 1: ${problem}`)
  if (names.length === 1 && names[0] === '' && bytes[from] !== QUOTE && bytes.subarray(end).some((it) => it !== LF && it !== CR))
    throw new UsageError(`Cannot read ${path}, line 1: expected the names of the columns, got a blank line`)
  if (twice !== undefined) throw new UsageError(`Cannot read ${path}, line 1: ${explainTwice(names, twice)}`)
  return { format: { kind: 'csv' as const, names, delimiter }, end, lines: countBreaks(bytes, from, end, delimiter) }
}

/** Columns named in a message: a spreadsheet has up to 16,384. */
const MOST_COLUMNS = 5

/** Spreadsheets leave columns without a name behind, `,,`. */
function explainTwice(names: readonly string[], twice: string): string {
  const columns = names.flatMap((name, at) => (name === twice ? [at + 1] : []))
  const told = columns.slice(0, columns.length > MOST_COLUMNS ? MOST_COLUMNS : -1)
  const last = told.length === MOST_COLUMNS ? `${columns.length - told.length} more` : columns.at(-1)
  const got = `${twice === '' ? 'none' : `'${twice}'`} for columns ${told.join(', ')} and ${last}`
  return `expected a name of its own for each column, got ${got}. Name each in the first row, or take it out of all rows`
}

/** The line, from 1, that the longest of the rows from the byte `from` on begins on. */
export function findLongestRow(bytes: Buffer, from: number, delimiter: Delimiter): number {
  let [start, longest] = [from, 0]
  let begin = from
  for (const end of [...listRowEnds(bytes, from, delimiter), bytes.length]) {
    if (end - begin > longest) [start, longest] = [begin, end - begin]
    begin = end
  }
  return countBreaks(bytes, from, start, delimiter) + 1
}

/** The task of scan.ts for CSV. A fault has the line its row begins on. */
export function scanRows(bytes: Buffer, from: number, format: FileFormat & { kind: 'csv' }, found: Findings): void {
  const { names, delimiter } = format
  const ends = listRowEnds(bytes, from, delimiter)
  const blankLine = explainFields(names, 'a blank line')
  let count = 0
  const lineOfRow = (place: number) => countBreaks(bytes, from, ends[place - 1] ?? from, delimiter) + 1
  const problem = eachRow(bytes.toString('utf8', from), delimiter, (row) => {
    const place = count++
    const isBlank = row.length === 1 && row[0] === '' && bytes[ends[place - 1] ?? from] !== QUOTE
    if (isBlank) found.addBlank(() => lineOfRow(place))
    else if (row.length !== names.length) return found.fail(lineOfRow(place), explainFields(names, `${row.length}`), blankLine)
    else return found.add(found.isKeyed ? toObject(names, row) : null, ends[place] ?? bytes.length, blankLine)
    return true
  })
  if (problem) found.fail(lineOfRow(count), problem)
  found.lines = countBreaks(bytes, from, bytes.length, delimiter)
}
