import type { WriteStream } from 'node:tty'
import { codeOf } from '../store/errno.ts'

/** What reaches the terminal: sentences on stderr, tables and JSON on stdout, nothing that could steer the terminal. */

let claimed: WriteStream | undefined

/**
 * Keeps stdout for results alone: from now on whatever the process prints there (console.log, and what worker threads
 * print, which Node pipes to `process.stdout`) goes to stderr, and only `stdout()` still reaches the real one.
 */
export function claimStdout(): void {
  claimed = process.stdout
  Object.defineProperty(process, 'stdout', { configurable: true, enumerable: true, get: () => process.stderr })
  // A reader that went away (`pawl export … | head`) is an end, not an error; writers see it in their own callbacks.
  for (const stream of [claimed, process.stderr]) stream.on('error', () => {})
}

/** The real stdout. */
export function stdout(): WriteStream {
  return claimed ?? process.stdout
}

/** One sentence on stderr. Control characters are escaped. */
export function say(sentence: string): void {
  process.stderr.write(`pawl: ${printable(sentence)}\n`)
}

/** What is told of a reader that went away. */
const GONE = ['EPIPE', 'ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED']

/** True of an error that means that nobody reads any more: a quiet end. */
export function isReaderGone(error: unknown): boolean {
  return GONE.includes(codeOf(error))
}

/** Text on stdout. It has to be printable already. Rejects when it cannot be written, a reader that went away aside. */
export async function print(text: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    stdout().write(text, (error) => (error && !isReaderGone(error) ? reject(error) : resolve()))
  })
}

/** The same of many texts, which together may be more than a string can hold. */
export async function printAll(texts: Iterable<string>): Promise<void> {
  for await (const block of inBlocks(texts)) await print(block)
}

/** Characters gathered before they are written at once. */
const BLOCK = 2 ** 16

/** The texts, each with `end` behind it, in blocks that are worth a write. */
export async function* inBlocks(texts: AsyncIterable<string> | Iterable<string>, end = ''): AsyncGenerator<string> {
  let block = ''
  for await (const text of texts) {
    block += `${text}${end}`
    if (block.length < BLOCK) continue
    yield block
    block = ''
  }
  if (block !== '') yield block
}

/** One object as JSON on stdout, in one line. Errors keep what is on record of them; a field too large to show is `[Large]`. */
export async function printJson(object: object): Promise<void> {
  await printAll(jsonOf(object))
}

/** The text in parts: a member that is an array may have very many elements, say failures with their stacks. */
function* jsonOf(object: object): Generator<string> {
  let before = '{'
  for (const [name, value] of Object.entries(object)) {
    const text = Array.isArray(value) ? '' : toJson(value)
    if (text === undefined) continue
    yield `${before}${escapeJson(JSON.stringify(name))}:${escapeJson(text)}`
    before = ','
    if (Array.isArray(value)) yield* jsonOfArray(value)
  }
  yield before === '{' ? '{}\n' : '}\n'
}

function* jsonOfArray(values: readonly unknown[]): Generator<string> {
  yield '['
  for (const [at, value] of values.entries()) yield `${at === 0 ? '' : ','}${escapeJson(toJson(value) ?? 'null')}`
  yield ']'
}

/** JSON of whatever a program may have recorded; what lies within itself is `[Circular]` there. undefined of undefined. */
export function toJson(value: unknown): string | undefined {
  const within: { readonly given: unknown; readonly plain: unknown }[] = []
  return JSON.stringify(value, function (this: unknown, _: string, given: unknown) {
    while (within.length > 0 && within.at(-1)?.plain !== this) within.pop()
    if (within.some((outer) => outer.given === given)) return '[Circular]'
    const plain = toPlain(given)
    if (typeof plain === 'object' && plain !== null) within.push({ given, plain })
    return plain
  })
}

/** Rows as a table with plain borders, without colours. */
export async function table(head: readonly string[], rows: readonly (readonly string[])[]): Promise<string> {
  const { default: Table } = await import('cli-table3')
  const drawn = new Table({ head: [...head], style: { head: [], border: [], compact: true } })
  for (const row of rows) drawn.push(row.map(printable))
  return `${drawn.toString()}\n`
}

/** C0, DEL and C1 (escape sequences), line separators, and marks that turn the direction of writing. */
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g

/** The text with every character escaped that would steer a terminal: `\x1b`, `\n`, `\u202e`. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (it) => {
    if (it === '\n') return '\\n'
    const code = it.charCodeAt(0)
    return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`
  })
}

/** JSON text with the same characters escaped; still the same JSON. */
export function escapeJson(json: string): string {
  return json.replace(UNPRINTABLE, (it) => `\\u${it.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** Bytes for people: `312 B`, `4.5 kB`, `1.2 MB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  const power = bytes < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3))
  return `${power === 0 ? bytes : (bytes / 1000 ** power).toFixed(1)} ${units[power]}`
}

function toPlain(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value)
  if (value instanceof Map) return Object.fromEntries(value)
  if (value instanceof Set) return [...value]
  if (!(value instanceof Error)) return value
  const { name, message, cause, stack } = value
  return {
    ...{ name, message, ...('code' in value ? { code: value.code } : {}) },
    ...listFields(value),
    ...(cause === undefined ? {} : { cause }),
    ...(value instanceof AggregateError ? { errors: value.errors } : {}),
    stack,
  }
}

const NAMED = new Set(['name', 'message', 'code', 'cause', 'stack'])

/** The fields of its own that an error has besides those that every error may have. */
function listFields(error: Error): Record<string, unknown> {
  const fields = Object.entries(error).filter(([name]) => !NAMED.has(name))
  return Object.fromEntries(fields.map(([name, value]) => [name, isLarge(value) ? '[Large]' : value]))
}

/** Characters and members of a field of an error that are shown: one with the body of a response in it would drown all else. */
const MAX_FIELD = 2 ** 16

function isLarge(field: unknown): boolean {
  let left = MAX_FIELD
  const seen = new Set<unknown>()
  const waiting = [field]
  while (waiting.length > 0 && left >= 0) {
    const value = waiting.pop()
    if (typeof value === 'string') left -= value.length
    if (typeof value !== 'object' || value === null || seen.has(value)) continue
    seen.add(value)
    const parts = ArrayBuffer.isView(value) ? { length: value.byteLength } : partsOf(value)
    left -= parts.length
    if (left >= 0 && Array.isArray(parts)) waiting.push(...parts)
  }
  return left < 0
}

/** The names and values that an object is shown by. */
function partsOf(value: object): readonly unknown[] {
  if (Array.isArray(value)) return value
  if (value instanceof Set) return [...value]
  const more = value instanceof Error ? [value.message, value.stack, value.cause] : []
  return [...(value instanceof Map ? value : Object.entries(value)), more].flat()
}

/** Local time to the second, `2026-05-01 12:00:00`; '' for what is no time. */
export function formatTime(time: number | undefined): string {
  if (time === undefined || !(time > 0)) return ''
  const date = new Date(time)
  if (Number.isNaN(date.getTime())) return ''
  return new Date(time - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19).replace('T', ' ')
}
