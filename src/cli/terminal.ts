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

/** One JSON value on stdout, in one line. Errors keep name, message, code, cause and stack. */
export async function printJson(value: unknown): Promise<void> {
  await print(`${escapeJson(String(toJson(value)))}\n`)
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
  return { name, message, ...('code' in value ? { code: value.code } : {}), ...(cause === undefined ? {} : { cause }), stack }
}

/** Local time to the second, `2026-05-01 12:00:00`; '' for what is no time. */
export function formatTime(time: number | undefined): string {
  if (time === undefined || !(time > 0)) return ''
  const date = new Date(time)
  if (Number.isNaN(date.getTime())) return ''
  return new Date(time - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19).replace('T', ' ')
}
