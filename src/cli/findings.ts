import type { FileFormat } from '../items/file-items.ts'
import type { Json } from '../types.ts'
import { readKey } from './key.ts'

/** A block as it comes from the file. Lines count from 1 within it, here and below. */
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
