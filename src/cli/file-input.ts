import { createHash } from 'node:crypto'
import type { Engines } from '../engines.ts'
import { executeOn } from '../execute.ts'
import { createFileItems, type FileFormat, unpackItems } from '../file-items.ts'
import type { Json } from '../types.ts'
import { readBlocks } from './blocks.ts'
import { UsageError } from './failure.ts'
import { BLANK_LINE } from './fault.ts'
import { noKey } from './key.ts'
import scan, { type Scanned, type Stretch } from './scan.ts'

/** The items of a file, checked to the last line. */
export interface FileInput {
  /** A plain array when the file is one block, or there are no engines. Else a line is parsed by the worker that runs it. */
  readonly items: readonly Json[]
  /** Of the kind of the file and all its bytes: 32 hexadecimal digits. */
  readonly itemsDigest: string
  /** By the field that was asked for, one for each item; two items may have the same. */
  readonly keys?: readonly string[]
}

export interface FileOptions {
  readonly kind: FileFormat['kind']
  readonly path: string
  /** Which field is the key. */
  readonly field: string | undefined
  /** Where a file of more than one block is scanned. */
  readonly engines: Engines | undefined
  /** Where an item stands, for people. */
  placeOf(index: number): string
}

/** A stretch and what was found there. */
type Known = Stretch & Scanned

const BYTE_ORDER_MARK = Buffer.from('\ufeff')

/**
 * Reads a file once, into memory that workers share, and has them look at each line: the main thread parses none, and no
 * item runs before the last line was seen.
 *
 * @throws UsageError, with its line, for what no item can be read from, or an item without the field.
 */
export async function readFile(options: FileOptions): Promise<FileInput> {
  const { kind, field, engines } = options
  const stretches: Stretch[] = []
  const source = readStretches(options, stretches)
  const first = await source.next()
  const second = await source.next()
  const isOne = second.done === true
  const scanned: Scanned[] = []
  if (engines && !isOne) scanned.push(...(await scanInWorkers(engines, first.value as Stretch, second.value, source)))
  else {
    for await (const _ of source);
    for (const stretch of stretches) scanned.push(await scan(stretch))
  }
  const known = stretches.map((stretch, at): Known => ({ ...stretch, ...(scanned[at] as Scanned) }))
  refuse(known, options)
  const { format } = stretches[0] as Stretch
  const blocks = known.map(({ bytes, starts }) => ({ bytes, starts }))
  const hash = createHash('sha256').update(kind)
  for (const { digest } of known) hash.update(digest)
  return {
    items: isOne || !engines ? await readAll(format, blocks) : await createFileItems(format, blocks),
    itemsDigest: hash.digest('hex').slice(0, 32),
    ...(field === undefined ? {} : { keys: known.flatMap(({ keys }) => keys ?? []) }),
  }
}

async function readAll(format: FileFormat, blocks: readonly { bytes: Uint8Array; starts: Uint32Array }[]): Promise<Json[]> {
  const parts = blocks.map((block) => ({
    ...block,
    places: Uint32Array.from({ length: block.starts.length - 1 }, (_, at) => at),
  }))
  return unpackItems({ format, parts })
}

/** The blocks of the file, each also added to `stretches`. */
async function* readStretches({ kind, path, field }: FileOptions, stretches: Stretch[]): AsyncGenerator<Stretch> {
  let format: FileFormat | undefined = kind === 'csv' ? undefined : { kind }
  for await (const bytes of readBlocks(path, kind)) {
    let from = stretches.length === 0 && bytes.subarray(0, 3).equals(BYTE_ORDER_MARK) ? 3 : 0
    let line = 0
    if (!format) {
      const { readHeader } = await import('./csv.ts')
      const header = readHeader(bytes, from, path)
      format = header.format
      from = header.end
      line = header.lines
    }
    const stretch = { bytes, from, line, format, field }
    stretches.push(stretch)
    yield stretch
  }
}

/** A run of our own over the blocks, as they are read. */
async function scanInWorkers(
  engines: Engines,
  first: Stretch,
  second: Stretch,
  others: AsyncGenerator<Stretch>,
): Promise<readonly Scanned[]> {
  let failure: unknown
  const all = async function* () {
    yield first
    yield second
    try {
      yield* others
    } catch (error) {
      failure = error
      throw error
    }
  }
  const task = new URL('./scan.js', import.meta.url)
  const run = executeOn<Stretch, Scanned>(task, all(), { mode: 'threads' }, engines)
  const { results } = await run.catch((error) => {
    throw failure ?? error // What reading came to is no fault of a run that nobody knows of.
  })
  return results
}

/** @throws UsageError for the first line no item can be read from; when there is none, for the first item without a key. */
function refuse(known: readonly Known[], { path, field, placeOf }: FileOptions): void {
  let lines = 0
  let blank = 0
  const bad = (line: number, problem: string) => new UsageError(`Cannot read ${path}, line ${line}: ${problem}`)
  for (const block of known) {
    const { fault, format, starts } = block
    lines += block.line
    if (blank > 0 && (fault || starts.length > 1)) {
      throw bad(
        blank,
        format.kind === 'csv' ? `expected ${format.names.length} fields as in the first row, got a blank line` : BLANK_LINE,
      )
    }
    if (fault) throw bad(lines + fault.line, fault.problem)
    if (block.blank > 0) blank ||= lines + block.blank
    lines += block.lines
  }
  let count = 0
  for (const { keyless, starts } of known) {
    if (keyless) throw noKey(field as string, count + keyless.place, placeOf(count + keyless.place), keyless.got)
    count += starts.length - 1
  }
}
