import { isAscii, isUtf8 } from 'node:buffer'
import { CheckpointCorruptError } from '../../errors.ts'
import { type Codec, type Encoded, type Misfit, type Refusal, refuse } from './contract.ts'
import { findMisfit } from './misfit.ts'

/**
 * The bytes are the UTF-8 of one JSON array, `[v1,v2,…]`, without a newline. It differs from `JSON.stringify` in three
 * ways: a value that JSON cannot hold is refused, never turned into null or left out; `-0` is written `-0`; and `toJSON`
 * is not called: an object is its own enumerable properties, as structured clone has it.
 */
export const jsonCodec: Codec = { format: 'json', encode, decode }

/** Deeper values take the slow road, which knows cycles. */
const MAX_DEPTH = 100

function encode(values: ArrayLike<unknown>, describe?: (at: number) => string): Encoded {
  try {
    return encodeAll(values, describe, false)
  } catch {
    // A getter threw, or gave one thing to the check and another to JSON: copy first, then nothing can change.
    return encodeAll(values, describe, true)
  }
}

function encodeAll(values: ArrayLike<unknown>, describe: ((at: number) => string) | undefined, isCopied: boolean): Encoded {
  const texts: string[] = []
  const refused: Refusal[] = []
  let plain: unknown[] = []
  for (let at = 0; at < values.length; at++) {
    const value = values[at]
    if (!isCopied && isPlain(value, 0)) {
      plain.push(value)
      continue
    }
    if (plain.length > 0) texts.push(JSON.stringify(plain).slice(1, -1))
    plain = []
    const written = writeCopy(value)
    if (typeof written === 'string') texts.push(written)
    else refused.push(refuse('json', at, written, describe))
  }
  if (plain.length > 0) texts.push(JSON.stringify(plain).slice(1, -1))
  return { bytes: toBytes(`[${texts.join(',')}]`), refused }
}

/** The JSON of one value without getters, as `encode` writes it in a column, or what in it has none. */
export function writeJson(value: unknown): string | Misfit {
  return isPlain(value, 0) ? JSON.stringify(value) : writeCopy(value)
}

/** The values that a line of output cannot hold: those without JSON, but for undefined, which a line goes without. */
export function findUnwritable(values: ArrayLike<unknown>, describe?: (at: number) => string): Refusal[] {
  const refused: Refusal[] = []
  for (let at = 0; at < values.length; at++) {
    const value = values[at]
    if (value === undefined || isSafelyPlain(value)) continue
    const written = writeCopy(value)
    if (typeof written !== 'string') refused.push(refuse('json', at, written, describe))
  }
  return refused
}

function isSafelyPlain(value: unknown): boolean {
  try {
    return isPlain(value, 0)
  } catch {
    return false // A getter threw.
  }
}

/** The JSON of a copy of `value`, or what in it has none. */
function writeCopy(value: unknown): string | Misfit {
  try {
    const copy: unknown = structuredClone(value)
    return findMisfit(copy, 'json') ?? write(copy)
  } catch (cause) {
    return findMisfit(value, 'json') ?? { path: '', got: `one that cannot be read to its end (${String(cause)})`, cause }
  }
}

function toBytes(text: string): Uint8Array<ArrayBuffer> {
  const bytes = Buffer.allocUnsafeSlow(Buffer.byteLength(text))
  bytes.write(text)
  return bytes
}

/** True when JSON.stringify writes `value` as it is: nothing that it would change, leave out or call. May be false for others. */
function isPlain(value: unknown, depth: number): boolean {
  if (isPlainLeaf(value)) return true
  if (typeof value !== 'object' || value === null || depth >= MAX_DEPTH) return false
  return Array.isArray(value) ? isPlainArray(value, depth) : isPlainRecord(value, depth)
}

/** The same of a value without parts. Asked first, so that what V8 compiles for flat records does not hold the whole walk. */
function isPlainLeaf(value: unknown): boolean {
  if (typeof value === 'number') return value - value === 0 && (value !== 0 || 1 / value > 0)
  return typeof value === 'string' || typeof value === 'boolean' || value === null
}

function isPlainArray(array: unknown[], depth: number): boolean {
  for (let at = 0; at < array.length; at++) {
    if (!isPlain(array[at], depth + 1)) return false
  }
  return Object.keys(array).length === array.length && Object.getPrototypeOf(array) === Array.prototype && !hasToJson(array)
}

function isPlainRecord(record: object, depth: number): boolean {
  if (Object.getPrototypeOf(record) !== Object.prototype || hasToJson(record)) return false
  for (const key in record) {
    const value = record[key as keyof object]
    if (!isPlainLeaf(value) && !isPlain(value, depth + 1)) return false
  }
  return true
}

/** JSON.stringify would call it, enumerable or not. */
function hasToJson(value: object): boolean {
  return (value as { toJSON?: unknown }).toJSON !== undefined
}

/** Writes what structured clone made of a value without misfits. Numbers are why: JSON.stringify writes -0 as 0. */
function write(value: unknown): string {
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value)
  if (Array.isArray(value)) return `[${value.map(write).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).map(([key, part]) => `${JSON.stringify(key)}:${write(part)}`)
  return `{${members.join(',')}}`
}

function decode(bytes: Uint8Array): unknown[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (!isUtf8(buffer)) throw new CheckpointCorruptError('Cannot read recorded values: expected UTF-8, got other bytes')
  let values: unknown
  try {
    values = JSON.parse(buffer.toString(isAscii(buffer) ? 'latin1' : 'utf8'))
  } catch (cause) {
    throw new CheckpointCorruptError('Cannot read recorded values: expected JSON, got text that is not', { cause })
  }
  if (!Array.isArray(values))
    throw new CheckpointCorruptError('Cannot read recorded values: expected a JSON array, got another value')
  return values
}
