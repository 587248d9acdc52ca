import type { Json } from '../types.ts'

/**
 * Items that are still bytes of a file: shared with the workers, which parse those of a chunk as it arrives. Here an item
 * is parsed when somebody asks for it, say for a failure, each time anew.
 */

/** What ends the rows of CSV: a `\n` may have a `\r` before it, in each row anew. */
export type Delimiter = '\n' | '\r'

/** How an item is read from its bytes. */
export type FileFormat =
  | { readonly kind: 'jsonl' | 'text' }
  | { readonly kind: 'csv'; readonly names: readonly string[]; readonly delimiter: Delimiter }

/** A stretch of whole items. Both arrays are in shared memory. */
export interface Block {
  readonly bytes: Uint8Array
  /** Where each item begins, and where the last one ends. An item ends where the next begins. */
  readonly starts: Uint32Array
}

/** Items on their way to a worker. */
export interface PackedItems {
  readonly format: FileFormat
  /** `places`: which of the block's items. */
  readonly parts: readonly (Block & { readonly places: Uint32Array })[]
}

/** Reads items whose texts follow one another in the file. */
type Read = (texts: readonly string[]) => Json[]

async function openFormat(format: FileFormat): Promise<Read> {
  if (format.kind !== 'csv') {
    const read = format.kind === 'text' ? stripEnd : (text: string) => JSON.parse(text) as Json
    return (texts) => texts.map(read)
  }
  const { names, delimiter } = format
  const { parse } = await import('csv-parse/sync')
  const ends = rowEnds(delimiter)
  const endOf = (text: string) => text.length - (ends.find((end) => text.endsWith(end))?.length ?? 0)
  return (texts) => {
    const isQuoted = texts.some((text) => text.includes('"'))
    const rows = isQuoted
      ? (parse(texts.join(''), { record_delimiter: ends, relax_column_count: true }) as string[][])
      : texts.map((text) => text.slice(0, endOf(text)).split(','))
    return rows.map((row) => toObject(names, row))
  }
}

/** All that may end a row of CSV, the longest first. */
export function rowEnds(delimiter: Delimiter): string[] {
  return delimiter === '\n' ? ['\r\n', '\n'] : ['\r']
}

/** A line without what ends it. */
export function stripEnd(line: string): string {
  const end = line.endsWith('\n') ? line.length - 1 : line.length
  return line.slice(0, line[end - 1] === '\r' ? end - 1 : end)
}

/** fromEntries makes own properties of whatever name, also of `__proto__`. */
export function toObject(names: readonly string[], row: readonly string[]): Json {
  return Object.fromEntries(names.map((name, at) => [name, row[at] as string]))
}

const FILE = Symbol('pawl.file')

/** All items of a file. `firsts` are the indices of the blocks' first items, and the number of all. */
class ItemFile {
  readonly format: FileFormat
  readonly blocks: readonly Block[]
  readonly firsts: readonly number[]
  readonly #read: Read

  constructor(format: FileFormat, blocks: readonly Block[], read: Read) {
    let count = 0
    this.format = format
    this.blocks = blocks.map(({ bytes, starts }) => ({ bytes, starts }))
    this.firsts = [0, ...blocks.map(({ starts }) => (count += starts.length - 1))]
    this.#read = read
  }

  blockOf(index: number): number {
    let low = 0
    let high = this.blocks.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.firsts[middle] as number) <= index) low = middle
      else high = middle - 1
    }
    return low
  }

  /** In bytes. */
  lengthOf(index: number): number {
    const at = this.blockOf(index)
    const place = index - (this.firsts[at] as number)
    const { starts } = this.blocks[at] as Block
    return (starts[place + 1] as number) - (starts[place] as number)
  }

  itemAt(index: number): Json {
    const at = this.blockOf(index)
    const places = Uint32Array.of(index - (this.firsts[at] as number))
    return this.#read(textsOf([{ ...(this.blocks[at] as Block), places }]))[0] as Json
  }
}

/** Some items of a file: those of `indices`, ascending, or as many as `length` from `from` on. */
class FileItems {
  readonly [FILE] = this
  readonly file: ItemFile
  readonly length: number
  readonly #from: number
  readonly #indices: Uint32Array | undefined

  constructor(file: ItemFile, length: number, from: number, indices?: Uint32Array) {
    this.file = file
    this.length = length
    this.#from = from
    this.#indices = indices
  }

  indexAt(place: number): number {
    return this.#indices ? (this.#indices[place] as number) : this.#from + place
  }

  slice(from = 0, to = this.length): readonly unknown[] {
    const end = Math.min(to, this.length)
    return listOf(new FileItems(this.file, Math.max(0, end - from), this.#from + from, this.#indices?.subarray(from, end)))
  }

  *[Symbol.iterator](): Generator<Json> {
    for (let place = 0; place < this.length; place++) yield this.file.itemAt(this.indexAt(place))
  }
}

/** The list looks like an array to whoever has a place and wants the item. */
function listOf(items: FileItems): readonly unknown[] {
  const list = new Proxy(items, {
    get: (target, name) => {
      const place = typeof name === 'string' ? Number(name) : Number.NaN
      if (!Number.isInteger(place)) {
        const value: unknown = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      }
      return place >= 0 && place < target.length ? target.file.itemAt(target.indexAt(place)) : undefined
    },
  })
  return list as unknown as readonly unknown[]
}

export async function createFileItems(format: FileFormat, blocks: readonly Block[]): Promise<readonly Json[]> {
  const file = new ItemFile(format, blocks, await openFormat(format))
  return listOf(new FileItems(file, file.firsts[blocks.length] as number, 0)) as readonly Json[]
}

export function isFileItems(items: unknown): boolean {
  return typeof items === 'object' && items !== null && FILE in items
}

/**
 * Most bytes of a chunk, unless one item is longer: a worker parses them all before the first item runs. Much lower costs
 * messages, higher keeps workers from items and their values in memory; so many take about as long as the planner lets
 * carrying a chunk take.
 */
const MAX_CHUNK_BYTES = 2 ** 20

/** How many of `indices`, ascending places in `items`, which is a whole file, make a chunk: at least one. */
export function fitFileItems(items: readonly unknown[], indices: ArrayLike<number>): number {
  const { file } = (items as unknown as FileItems)[FILE]
  let bytes = 0
  let count = 0
  for (; count < indices.length && bytes < MAX_CHUNK_BYTES; count++) bytes += file.lengthOf(indices[count] as number)
  return count
}

/** Those of `items`, which is a whole file, that `indices` name, unread. */
export function pickFileItems<T>(items: readonly T[], indices: Uint32Array): readonly T[] {
  const { file } = (items as unknown as FileItems)[FILE]
  return listOf(new FileItems(file, indices.length, 0, indices)) as readonly T[]
}

/** What a worker makes `items` of by `unpackItems`. Its blocks are shared, not copied. */
export function packFileItems(items: ArrayLike<unknown>): PackedItems {
  const own = (items as unknown as FileItems)[FILE]
  const { file, length } = own
  const parts: (Block & { places: Uint32Array })[] = []
  for (let place = 0; place < length; ) {
    const at = file.blockOf(own.indexAt(place))
    const first = file.firsts[at] as number
    const end = file.firsts[at + 1] as number
    const places: number[] = []
    for (; place < length && own.indexAt(place) < end; place++) places.push(own.indexAt(place) - first)
    parts.push({ ...(file.blocks[at] as Block), places: Uint32Array.from(places) })
  }
  return { format: file.format, parts }
}

export async function unpackItems({ format, parts }: PackedItems): Promise<Json[]> {
  const read = await openFormat(format)
  return read(textsOf(parts))
}

function textsOf(parts: PackedItems['parts']): string[] {
  const texts: string[] = []
  for (const { bytes, starts, places } of parts) {
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    for (const place of places) texts.push(view.toString('utf8', starts[place] as number, starts[place + 1] as number))
  }
  return texts
}
