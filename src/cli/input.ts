import { fstatSync } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { extname, isAbsolute, join, resolve, sep } from 'node:path'
import { isOfRun } from '../checkpoint/format/run-file.ts'
import type { Engines } from '../engines.ts'
import { messageOf, plural } from '../errors.ts'
import { codeOf, DENIED, nameError } from '../store/errno.ts'
import { isRefused } from '../store/refused.ts'
import type { Json } from '../types.ts'
import { inShell } from '../wording.ts'
import { UsageError } from './failure.ts'
import { BLANK_LINE, explainNoJson } from './fault.ts'
import { listGlob } from './glob.ts'
import { noKey, readKey } from './key.ts'
import { readLines } from './lines.ts'
import { toRealPath } from './task-path.ts'
import { say } from './terminal.ts'

/** The items of a run, read from what `--input` names. */
export interface Input {
  readonly kind: 'jsonl' | 'csv' | 'text' | 'glob' | 'stdin'
  /** All of them; of stdin as they come, of a large file as bytes that workers parse. */
  readonly items: readonly Json[] | AsyncIterable<Json>
  /** Of a file: what makes out its items, and the keys, when `field` was given. */
  readonly itemsDigest?: string
  readonly keys?: readonly string[]
  /** Of a glob: the paths that are symbolic links. */
  readonly linked?: readonly string[]
  /** Where item `index` stands in the input, for people: `line 3`. */
  placeOf(index: number): string
}

/** The kinds of input files, by extension. */
const KINDS: Record<string, 'jsonl' | 'csv' | 'text'> = { '.jsonl': 'jsonl', '.ndjson': 'jsonl', '.csv': 'csv', '.txt': 'text' }

/** What `--input` accepts, for help and messages. */
export const INPUT_HELP =
  'FILE.jsonl or .ndjson (one JSON value per line; only trailing lines may be blank), FILE.csv (one object of strings per row, named by the first row), ' +
  "FILE.txt (one string per line), a glob in quotes (one path per file, sorted), or '-' (JSONL from stdin)"

interface InputOptions {
  /** For large files. */
  readonly engines?: Engines
  /** The key. */
  readonly field?: string | undefined
  /** Once this aborts, a large file, or a named pipe, is not read to its end, and it rejects. */
  readonly signal?: AbortSignal
  /** Where results go. A glob that matches it has it among its items also before it is there. */
  readonly output?: string | undefined
  /** Where runs are recorded: no glob matches what belongs to them, which is more in each session. */
  readonly directory?: string | undefined
}

/**
 * Reads the items that `input` names: `-` is stdin; a path that exists is that file, of the kind its extension says,
 * also when it has glob characters; anything else with glob characters is a glob.
 *
 * @throws UsageError when there is no such file, it is of no known kind, or a line of it is bad.
 */
export async function readInput(input: string, options: InputOptions = {}): Promise<Input> {
  if (input === '-' && fstatSync(0).isDirectory()) throw new UsageError('Cannot read stdin: expected JSONL, got a directory')
  if (input === '-') return { kind: 'stdin', items: readStdin(), placeOf: (index) => `line ${index + 1}` }
  let refusal: unknown
  const found = await stat(input).catch((error) => {
    if (isRefused(error)) refusal = error
  })
  if (found?.isDirectory()) {
    throw new UsageError(
      `Cannot use input '${input}': expected a file or a glob such as '${input.replace(/\/$/, '')}/*', got a directory`,
    )
  }
  if (!found) return readGlob(input, options, refusal)
  const kind = KINDS[extname(input).toLowerCase()]
  if (found.isFile() && (await isGzipFile(input))) throw new UsageError(explainGzip(input))
  if (!kind) throw new UsageError(found.isFIFO() ? explainPipe(input) : explainKind(input, found.isFile()))
  const { readFile } = await import('./file-input.ts')
  const { engines, field, signal } = options
  return { kind, ...(await readFile({ kind, path: input, field, engines, signal })) }
}

/** Of a file of no known kind. */
function explainKind(path: string, isFile: boolean): string {
  const extension = extname(path)
  const got = extension === '' ? 'a name without any' : `'${extension}'`
  const name = path.slice(0, path.length - extension.length)
  const lines = `. 'jq -c ".[]" ${inShell(path)} > ${inShell(`${name}.jsonl`)}' makes a line, and so an item, of each element of an array`
  const text = isFile ? '. If it holds lines of text, name it, or a symbolic link to it, FILE.txt' : ''
  return `Cannot use input '${path}': expected a file that ends in one of ${Object.keys(KINDS).join(', ')}, or '-' to read JSONL from stdin, got ${got}${extension.toLowerCase() === '.json' ? lines : text}`
}

/** Of a pipe of no known kind, as a shell makes it of `<(…)`. */
function explainPipe(path: string): string {
  return `Cannot use input '${path}': expected stdin ('COMMAND | pawl run … --input -' reads JSONL from it), or a pipe whose name ends in one of ${Object.keys(KINDS).join(', ')}, got one that does not`
}

/** No text begins like this. */
function isGzip([first, second]: Uint8Array): boolean {
  return first === 0x1f && second === 0x8b
}

async function isGzipFile(path: string): Promise<boolean> {
  const file = await open(path)
  try {
    const { buffer } = await file.read(Buffer.alloc(2), 0, 2, 0)
    return isGzip(buffer)
  } finally {
    await file.close()
  }
}

/** What is read from stdin is JSONL. */
function explainGzip(path: string): string {
  const extension = extname(path.replace(/\.gz$/i, '')).toLowerCase()
  const unpack = `gunzip -c ${inShell(path)}`
  const isPiped = (KINDS[extension] ?? 'jsonl') === 'jsonl'
  const advice = isPiped
    ? `'${unpack} | pawl run … --input -' reads it`
    : `'${unpack} > FILE${extension}' makes a file to read of it`
  return `Cannot use input '${path}': expected text, got gzip. ${advice}`
}

async function* readStdin(): AsyncGenerator<Json> {
  for await (const block of readJsonLines(refuseGzip(process.stdin), 'stdin')) yield* block
}

async function* refuseGzip(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let isFirst = true
  for await (const part of bytes) {
    if (isFirst && isGzip(part))
      throw new UsageError(
        "Cannot read stdin: expected text, got gzip. 'gunzip -c FILE | pawl run … --input -' unpacks it on the way",
      )
    isFirst = false
    yield part
  }
}

/** One JSON value per line, in blocks. Blank lines are left out at the end and refused elsewhere, so that a line is an item. */
async function* readJsonLines(bytes: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<Json[]> {
  let lineCount = 0
  let blank = 0
  for await (const lines of readLines(bytes, name)) {
    const values: Json[] = []
    for (const line of lines) {
      lineCount++
      if (line.trim() === '') blank ||= lineCount
      else if (blank) throw new UsageError(`Cannot read ${name}, line ${blank}: ${BLANK_LINE}`)
      else values.push(parseLine(line, name, lineCount))
    }
    yield values
  }
}

function parseLine(line: string, name: string, number: number): Json {
  try {
    return JSON.parse(line) as Json
  } catch (error) {
    throw new UsageError(`Cannot read ${name}, line ${number}: ${explainNoJson(line, error)}`)
  }
}

/** `refusal`: what is said of a file of that name that may not be looked at. */
async function readGlob(pattern: string, { output, directory }: InputOptions, refusal: unknown): Promise<Input> {
  const found = await listGlob(pattern, output)
  if (!found)
    throw (
      refusal ??
      new UsageError(`Cannot read input '${pattern}': expected a file or a glob, got nothing of that name${whereFrom(pattern)}`)
    )
  const { linked, closed } = found
  const paths = directory === undefined ? found.paths : found.paths.filter(notRecordedIn(directory))
  const [first] = closed
  if (first) {
    const others = closed.length > 1 ? ` and ${plural(closed.length - 1, 'other directory', 'other directories')}` : ''
    say(`warning: what matches ${pattern} in ${first.path}${others} is left out: ${explainClosed(first.error)}`)
  }
  if (paths.length === 0)
    throw new UsageError(`Cannot use input '${pattern}': expected at least one file that matches, got none${whereFrom(pattern)}`)
  // By code units, so that the order is the same on every machine.
  return { kind: 'glob', items: paths.sort(), linked, placeOf: (index) => `path ${index + 1}` }
}

/** Why a directory may not be read: of Node's permission model the flag that is missing. */
function explainClosed(error: unknown): string {
  return codeOf(error) === DENIED ? messageOf(nameError(error)) : 'this user may not read it'
}

/** Which paths name no file of a run that is recorded in `directory`, by that name or its real one. */
function notRecordedIn(directory: string): (path: string) => boolean {
  const roots = [...new Set([resolve(directory), toRealPath(directory)])].map((root) => join(root, sep))
  return (path) => {
    const place = resolve(path)
    return !roots.some((root) => place.startsWith(root) && isOfRun(place.slice(root.length).split(sep).join('/')))
  }
}

/** Where a relative path was looked for: the usual reason why there is nothing. */
function whereFrom(path: string): string {
  return isAbsolute(path) ? '' : ` below ${process.cwd()}`
}

/**
 * What `--key FIELD` means: the identity of an item is the text of that field, `.` the item itself.
 *
 * @throws UsageError, when called, for an item without the field or with something in it that is no text, number or boolean.
 */
export function keyFrom(field: string, placeOf: (index: number) => string): (item: unknown, index: number) => string {
  return (item, index) => {
    const key = readKey(item, field)
    if (typeof key === 'string') return key
    throw noKey(field, index, placeOf(index), key.got)
  }
}
