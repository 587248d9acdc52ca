import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import { type FileFormat, stripEnd } from '../items/file-items.ts'
import type { Json } from '../types.ts'
import { BLANK_LINE, explainLong, explainNoJson, findBadLine, findLongLine, NO_UTF8 } from './fault.ts'
import { readKey } from './key.ts'

/**
 * Looks at every line of a block of an input file: the task of a run of our own, so that workers do it, and a function that
 * the main thread calls for a file that is not worth a thread. Lines count from 1 within the block.
 */

/** A block as it comes from the file. */
export interface Stretch {
  /** In shared memory. */
  readonly bytes: Uint8Array
  /** Where the first item begins, after a byte order mark and the names of columns, and how many lines that takes. */
  readonly from: number
  readonly line: number
  readonly format: FileFormat
  /** The field that is the key. */
  readonly field: string | undefined
  /** See `FileOptions`. */
  readonly longest: number
}

/** What there is in a block. */
export interface Scanned {
  /** See `Block`. Only the items before the first blank line. */
  readonly starts: Uint32Array
  readonly lines: number
  /** The first of the blank lines at the end; 0 when there is none. */
  readonly blank: number
  /** Of all bytes, in hex. */
  readonly digest: string
  readonly fault: { readonly line: number; readonly problem: string } | undefined
  readonly keys: readonly string[] | undefined
  /** The first item without a usable key, and what it has instead. */
  readonly keyless: { readonly place: number; readonly got: string } | undefined
}

export default async function scan(stretch: Stretch): Promise<Scanned> {
  const { bytes, longest } = stretch
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const digest = createHash('sha256').update(view).digest('hex')
  const found = new Findings(stretch)
  const tooLong = bytes.length > longest ? await findLong(view, stretch) : undefined
  if (tooLong) found.fail(tooLong.line, tooLong.problem)
  else if (!isUtf8(view)) found.fail(findBadLine(view) - stretch.line, NO_UTF8)
  else if (stretch.format.kind === 'csv') (await import('./csv.ts')).scanRows(view, stretch.from, stretch.format, found)
  else scanLines(view, stretch.from, stretch.format.kind, found)
  return found.end(digest)
}

/** Of a block that is no string, the line that is none; of CSV, whose rows are read together, the one that makes it so long. */
async function findLong(bytes: Buffer, { from, format, longest }: Stretch): Promise<Scanned['fault']> {
  if (format.kind === 'csv') {
    const { findLongestRow } = await import('./csv.ts')
    return { line: findLongestRow(bytes, from, format.delimiter), problem: explainLong('row', longest / 2) }
  }
  const line = findLongLine(bytes, from, longest)
  return line === undefined ? undefined : { line, problem: explainLong('line', longest) }
}

/** What is found in a block, line by line. */
export class Findings {
  lines = 0
  readonly isKeyed: boolean
  #fault: Scanned['fault']
  #blank = 0
  readonly #starts: number[]
  readonly #field: string | undefined
  readonly #keys: string[] = []
  #keyless: Scanned['keyless']

  constructor({ from, field }: Stretch) {
    this.#starts = [from]
    this.#field = field
    this.isKeyed = field !== undefined
  }

  /** An item, looked at when it `isKeyed`, that ends at the byte `end`. False: nothing further counts, as with `fail`. */
  add(item: Json, end: number, blankLine: string): boolean {
    if (this.#blank > 0) return this.fail(this.#blank, blankLine)
    if (this.#field !== undefined && !this.#keyless) {
      const key = readKey(item, this.#field)
      if (typeof key === 'string') this.#keys.push(key)
      else this.#keyless = { place: this.#starts.length - 1, got: key.got }
    }
    this.#starts.push(end)
    return true
  }

  /** `lineOf` is asked for the first one only. */
  addBlank(lineOf: () => number): void {
    this.#blank ||= lineOf()
  }

  /** Nothing can be read from `line`. A blank line before it goes first, when told what to say of that. */
  fail(line: number, problem: string, blankLine?: string): false {
    this.#fault ??= blankLine !== undefined && this.#blank > 0 ? { line: this.#blank, problem: blankLine } : { line, problem }
    return false
  }

  end(digest: string): Scanned {
    const starts = new Uint32Array(new SharedArrayBuffer(this.#starts.length * Uint32Array.BYTES_PER_ELEMENT))
    starts.set(this.#starts)
    return {
      starts,
      lines: this.lines,
      blank: this.#blank,
      digest,
      fault: this.#fault,
      keys: this.isKeyed ? this.#keys : undefined,
      keyless: this.#keyless,
    }
  }
}

function scanLines(bytes: Buffer, from: number, kind: 'jsonl' | 'text', found: Findings): void {
  for (let at = from; at < bytes.length; ) {
    const end = bytes.indexOf(0x0a, at) + 1 || bytes.length
    const text = bytes.toString('utf8', at, end)
    found.lines++
    at = end
    if (kind === 'text') found.add(stripEnd(text), end, '')
    else if (!scanJson(text, end, found)) return
  }
}

function scanJson(text: string, end: number, found: Findings): boolean {
  const addBlank = () => {
    found.addBlank(() => found.lines)
    return true
  }
  if (text === '\n') return addBlank() // There may be many, and what JSON.parse throws takes its time.
  let item: Json
  try {
    item = JSON.parse(text) as Json
  } catch (error) {
    return text.trim() === '' ? addBlank() : found.fail(found.lines, explainNoJson(stripEnd(text), error), BLANK_LINE)
  }
  return found.add(item, end, BLANK_LINE)
}
