import { parse } from 'csv-parse/sync'
import { type FileFormat, toObject } from '../file-items.ts'
import { UsageError } from './failure.ts'
import type { Findings } from './scan.ts'

const QUOTE = 0x22
const LF = 0x0a
const CR = 0x0d

/** What ends the rows, as the first row tells; undefined when it does not end in `bytes`, which may go on when not `isWhole`. */
export function findDelimiter(bytes: Uint8Array, isWhole: boolean): string | undefined {
  let isQuoted = false
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if (byte === QUOTE) isQuoted = !isQuoted
    else if (isQuoted) continue
    else if (byte === LF) return '\n'
    else if (byte !== CR) continue
    else if (at + 1 < bytes.length) return bytes[at + 1] === LF ? '\r\n' : '\r'
    else return isWhole ? '\r' : undefined
  }
  return undefined
}

/** One past each row that `delimiter` ends, from the byte `from` on, where a row begins. */
export function listRowEnds(bytes: Uint8Array, from: number, delimiter: string): number[] {
  const ends: number[] = []
  const last = delimiter === '\r' ? CR : LF
  let isQuoted = false
  for (let at = from; at < bytes.length; at++) {
    const byte = bytes[at]
    if (byte === QUOTE) isQuoted = !isQuoted
    else if (byte === last && !isQuoted && (delimiter.length === 1 || bytes[at - 1] === CR)) ends.push(at + 1)
  }
  return ends
}

/** Something is wrong with a row. Lines count from 1. */
interface Fault {
  readonly line: number
  readonly problem: string
}

/** Calls `onRow` with each row of `text` and the line it ends on, until it says false. */
export function eachRow(
  text: string,
  delimiter: string,
  onRow: (row: readonly string[], line: number) => boolean,
): Fault | undefined {
  let ended = 0
  let goesOn = true
  const onRecord = (row: string[], { lines }: { lines: number }) => {
    ended = lines
    goesOn &&= onRow(row, lines)
    return null
  }
  if (isPlain(text, delimiter)) {
    const rows = (text.endsWith(delimiter) ? text.slice(0, -delimiter.length) : text).split(delimiter)
    if (text !== '') rows.every((row, at) => onRow(row.split(','), at + 1))
    return undefined
  }
  try {
    parse(text, { record_delimiter: delimiter, relax_column_count: true, on_record: onRecord })
  } catch (error) {
    if (!goesOn) return undefined
    if (!isCsvError(error)) throw error
    const isOpen = error.code === 'CSV_QUOTE_NOT_CLOSED'
    return isOpen
      ? { line: ended + 1, problem: 'expected every quote of the row that begins there to be closed, got one that is not' }
      : { line: error.lines, problem: error.message }
  }
  return undefined
}

/** Nothing in it needs a parser. */
function isPlain(text: string, delimiter: string): boolean {
  return !text.includes('"') && !/[\r\n]/.test(text.replaceAll(delimiter, ''))
}

/**
 * The first row of `bytes`, which begins at the byte `from`: the names of the columns, where it ends, and how many lines it takes.
 *
 * @throws UsageError
 */
export function readHeader(bytes: Buffer, from: number, path: string) {
  const delimiter = findDelimiter(bytes, true) ?? '\n'
  const end = listRowEnds(bytes, from, delimiter)[0] ?? bytes.length
  let names: readonly string[] = []
  let lines = 0
  const fault = eachRow(bytes.toString('utf8', from, end), delimiter, (row, line) => {
    names = row
    lines = line
    return false
  })
  const twice = names.find((name, at) => names.indexOf(name) !== at)
  if (fault) throw new UsageError(`Cannot read ${path}, line ${fault.line}: ${fault.problem}`)
  if (twice !== undefined)
    throw new UsageError(`Cannot read ${path}, line 1: expected a name of its own for each column, got '${twice}' twice`)
  return { format: { kind: 'csv' as const, names, delimiter }, end, lines }
}

/** The task of scan.ts for CSV. */
export function scanRows(bytes: Buffer, from: number, format: FileFormat & { kind: 'csv' }, found: Findings): void {
  const { names, delimiter } = format
  const ends = listRowEnds(bytes, from, delimiter)
  const explain = (got: string) => `expected ${names.length} fields as in the first row, got ${got}`
  const blankLine = explain('a blank line')
  let count = 0
  const fault = eachRow(bytes.toString('utf8', from), delimiter, (row, line) => {
    const end = ends[count++] ?? bytes.length
    found.lines = line
    if (row.length === 1 && row[0] === '') found.addBlank(line)
    else if (row.length !== names.length) return found.fail(line, explain(`${row.length}`), blankLine)
    else return found.add(found.isKeyed ? toObject(names, row) : null, end, blankLine)
    return true
  })
  if (fault) found.fail(fault.line, fault.problem)
}

function isCsvError(error: unknown): error is Error & { lines: number; code?: string } {
  return error instanceof Error && 'lines' in error && typeof error.lines === 'number'
}
