import { constants, isUtf8 } from 'node:buffer'
import { plural } from '../errors.ts'
import type { Delimiter } from '../items/file-items.ts'
import { formatBytes } from './terminal.ts'

/** What is wrong with a line of an input, as its user is told. */

const LF = 0x0a
const CR = 0x0d

export const BLANK_LINE = 'expected a JSON value, got a blank line, which may stand at the end only'

export const NO_UTF8 = 'expected UTF-8, got other bytes. Save it as UTF-8, or convert it with iconv'

/** Bytes of a line at most: V8 has no longer string. */
export const MAX_LINE = constants.MAX_STRING_LENGTH

/** A line, or a row, of more than `longest` bytes. */
export function explainLong(part: 'line' | 'row', longest: number): string {
  return `expected a ${part} of at most ${formatBytes(longest)}, got a longer one`
}

/** Lines of what is often taken for JSONL, and what makes JSONL of it. The first that fits is told. */
const ADVICE = [
  {
    beginning: /^\s*\[/,
    advice: 'An item has to be one line: \'jq -c ".[]"\' makes such lines of JSON that is written over many',
  },
  { beginning: /^\s*\{\s*$/, advice: "An item has to be one line: 'jq -c .' makes such lines of JSON that is written over many" },
  { beginning: /^\s*[^\s{}[\]"]/, advice: "Lines of plain text are items in a FILE.txt; 'jq -R .' makes JSON of each" },
]

/** Why `line` is no JSON, which `error` found. */
export function explainNoJson(line: string, error: unknown): string {
  const shown = line.length > 60 ? `${line.slice(0, 60)}…` : line
  const found = ADVICE.find(({ beginning }) => beginning.test(line))
  return `expected a JSON value, got ${shown} (${(error as Error).message})${found ? `. ${found.advice}` : ''}`
}

/** A row of CSV with other fields than the first row has names. */
export function explainFields(names: readonly string[], got: string): string {
  const hint = remarkOnFields(names)
  return `expected ${plural(names.length, 'field')} as in the first row, got ${got}${hint === undefined ? '' : `. ${hint}`}`
}

/** What to say of CSV whose fields seem to be parted by something else than commas; undefined of any other. */
export function remarkOnFields([name = '', ...others]: readonly string[]): string | undefined {
  if (others.length > 0 || !/[;\t|]/.test(name)) return undefined
  return `Commas part fields: the first row names one, '${name}'`
}

/** Which line of `bytes`, from 1, is not UTF-8. */
export function findBadLine(bytes: Uint8Array): number {
  let line = 1
  for (let start = 0; ; line++) {
    const end = bytes.indexOf(LF, start)
    if (end < 0 || !isUtf8(bytes.subarray(start, end))) return line
    start = end + 1
  }
}

/** Which line of `bytes` from the byte `from` on, counted from 1, has more than `longest` bytes; undefined: none. */
export function findLongLine(bytes: Uint8Array, from: number, longest: number): number | undefined {
  for (let start = from, line = 1; start < bytes.length; line++) {
    const end = bytes.indexOf(LF, start) + 1 || bytes.length
    if (end - start > longest) return line
    start = end
  }
  return undefined
}

/**
 * How many lines of CSV end in `bytes` before `to`, as an editor counts them: within quotes as well; at a lone CR where rows end
 * in one.
 */
export function countBreaks(bytes: Uint8Array, from: number, to: number, delimiter: Delimiter): number {
  let count = 0
  for (let at = bytes.indexOf(LF, from); at >= 0 && at < to; at = bytes.indexOf(LF, at + 1)) count++
  if (delimiter !== '\r') return count
  for (let at = bytes.indexOf(CR, from); at >= 0 && at < to; at = bytes.indexOf(CR, at + 1)) if (bytes[at + 1] !== LF) count++
  return count
}
