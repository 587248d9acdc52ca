import { createHash } from 'node:crypto'
import type { Engines } from '../engines.ts'
import { executeOn } from '../execute.ts'
import { type Block, createFileItems, type FileFormat, unpackItems } from '../items/file-items.ts'
import { resolveOptions } from '../options/resolve-options.ts'
import type { Json } from '../types.ts'
import { readBlocks } from './blocks.ts'
import { UsageError } from './failure.ts'
import { BLANK_LINE, countBreaks, explainFields, MAX_LINE } from './fault.ts'
import type { Scanned, Stretch } from './findings.ts'
import { noKey } from './key.ts'
import scan from './scan.ts'

/** The items of a file, checked to the last line. */
export interface FileInput {
  /** A plain array when the file is one block, or there are no engines. Else a line is parsed by the worker that runs it. */
  readonly items: readonly Json[]
  /** Of the kind of the file and all its bytes: 32 hexadecimal digits. */
  readonly itemsDigest: string
  /** By the field that was asked for, one for each item; two items may have the same. */
  readonly keys?: readonly string[]
  /** Where an item stands, for people: `line 3`. */
  placeOf(index: number): string
}

export interface FileOptions {
  readonly kind: FileFormat['kind']
  readonly path: string
  /** Which field is the key. */
  readonly field: string | undefined
  /** Where a file of more than one block is scanned. */
  readonly engines: Engines | undefined
  /** Bytes of a line at most; of a row of CSV about half as many, as it is read together with others. Default MAX_LINE. */
  readonly longest?: number
  /** Ends it: a named pipe may never end, and a file of more than a block takes its time. */
  readonly signal?: AbortSignal | undefined
}

/** A stretch and what was found there. */
type Known = Stretch & Scanned

const BYTE_ORDER_MARK = Buffer.from('\ufeff')

/**
 * Reads a file once, into memory that workers share, and has them look at each line: the main thread parses none, and no
 * item runs before the last line was seen.
 *
 * @throws UsageError, with its line, for what no item can be read from, or an item without the field; once `signal` aborts, an
 * error that says nothing.
 */
export async function readFile(options: FileOptions): Promise<FileInput> {
  const { kind, path, field, engines, longest = MAX_LINE, signal } = options
  const blocks: Buffer[] = []
  for await (const block of readBlocks(path, kind, longest, signal)) {
    if (blocks.push(block) === 1) continue
    signal?.throwIfAborted()
    if (blocks.length === 2) await engines?.warm() // A thread comes up while the others are read.
  }
  const stretches = await describe(blocks, { ...options, longest })
  const isOne = stretches.length === 1 || !engines
  const scanned = isOne ? await Promise.all(stretches.map(scan)) : await scanInWorkers(engines, stretches, signal)
  const known = stretches.map((stretch, at): Known => ({ ...stretch, ...(scanned[at] as Scanned) }))
  refuse(known, options)
  const { format } = stretches[0] as Stretch
  const hash = createHash('sha256').update(kind)
  for (const { digest } of known) hash.update(digest)
  return {
    items: isOne ? await readAll(format, known) : await createFileItems(format, known),
    itemsDigest: hash.digest('hex').slice(0, 32),
    placeOf: (index) => `line ${lineOf(known, index)}`,
    ...(field === undefined ? {} : { keys: known.flatMap(({ keys }) => keys ?? []) }),
  }
}

async function readAll(format: FileFormat, blocks: readonly Block[]): Promise<Json[]> {
  const places = ({ starts }: Block) => Uint32Array.from({ length: starts.length - 1 }, (_, at) => at)
  return unpackItems({ format, parts: blocks.map((block) => ({ ...block, places: places(block) })) })
}

/** What a scan must know of each block. The names of columns are in the first. */
async function describe(
  blocks: readonly Buffer[],
  { kind, path, field, longest }: FileOptions & { readonly longest: number },
): Promise<Stretch[]> {
  const first = blocks[0] as Buffer
  const begin = first.subarray(0, 3).equals(BYTE_ORDER_MARK) ? 3 : 0
  const plain = { format: { kind } as FileFormat, end: begin, lines: 0 }
  const { format, end, lines } = kind === 'csv' ? (await import('./csv.ts')).readHeader(first, begin, path, longest) : plain
  return blocks.map((bytes, at) => ({ bytes, format, field, longest, from: at === 0 ? end : 0, line: at === 0 ? lines : 0 }))
}

/** A run of our own over the blocks. */
async function scanInWorkers(engines: Engines, stretches: Stretch[], signal?: AbortSignal): Promise<readonly Scanned[]> {
  const task = new URL('./scan.js', import.meta.url)
  const options = resolveOptions<Stretch>({ mode: 'threads', signal })
  return (await executeOn<Stretch, Scanned>(task, stretches, options, engines)).results
}

/** @throws UsageError for the first line no item can be read from; when there is none, for the first item without a key. */
function refuse(known: readonly Known[], { path, field }: FileOptions): void {
  let lines = 0
  let blank = 0
  const bad = (line: number, problem: string) => new UsageError(`Cannot read ${path}, line ${line}: ${problem}`)
  for (const block of known) {
    const { fault, format, starts } = block
    lines += block.line
    if (blank > 0 && (fault || starts.length > 1)) {
      throw bad(blank, format.kind === 'csv' ? explainFields(format.names, 'a blank line') : BLANK_LINE)
    }
    if (fault) throw bad(lines + fault.line, fault.problem)
    if (block.blank > 0) blank ||= lines + block.blank
    lines += block.lines
  }
  let count = 0
  for (const { keyless, starts } of known) {
    const index = count + (keyless?.place ?? 0)
    if (keyless) throw noKey(field as string, index, `line ${lineOf(known, index)}`, keyless.got)
    count += starts.length - 1
  }
}

/** The line that item `index` begins on: elsewhere than in CSV, each line is an item. */
function lineOf(known: readonly Known[], index: number): number {
  let lines = 1
  let first = 0
  for (const { bytes, starts, from, line, lines: own, format } of known) {
    if (format.kind !== 'csv') return index + 1
    const start = starts[index - first]
    if (index - first < starts.length - 1) return lines + line + countBreaks(bytes, from, start as number, format.delimiter)
    lines += line + own
    first += starts.length - 1
  }
  return lines
}
