import { constants, isAscii, isUtf8 } from 'node:buffer'
import { CheckpointCorruptError } from '../errors.ts'
import { type Codec, type Encoded, type Misfit, type Refusal, refuse } from './contract.ts'
import { copyData, NO_DATA } from './copy-data.ts'
import { findMisfit } from './misfit.ts'
import { gives } from './proof.ts'

/**
 * The bytes are the UTF-8 of one JSON array, `[v1,v2,…]`, without a newline. It differs from `JSON.stringify` in three
 * ways: a value that JSON cannot hold is refused, never turned into null or left out; `-0` is written `-0`; and `toJSON`
 * is not called: an object is its own enumerable properties, as structured clone has it.
 */
export const jsonCodec: Codec = {
  format: 'json',
  encode,
  decode,
  countIn: () => undefined,
  isSound: () => gives(() => encode(KNOWN).bytes, WRITTEN),
}

/** Values that go all ways through `encode`, and what it makes of them. */
const KNOWN = [{ s: 'aé', l: [0.5, null] }, { z: [-0, 1] }, 'x']
const WRITTEN = '5b7b2273223a2261c3a9222c226c223a5b302e352c6e756c6c5d7d2c7b227a223a5b2d302c315d7d2c2278225d'

/** As they were when this was loaded: a task may put others in their place. */
const { stringify } = JSON
const { Map, structuredClone: clone } = globalThis

/** Characters that V8 holds in a string, and bytes that Node reads as one. */
const MAX_TEXT = constants.MAX_STRING_LENGTH

const TOO_LARGE: Misfit = {
  path: '',
  got: `one too large for JSON, of which ${MAX_TEXT} characters can be held at once; a part that lies in it more than once is written each time`,
  cure: "Return it smaller, or without repeated parts, or use format 'msgpack', which in a program writes such a part once",
}

/** For values that are to be lines of output as well: the refusals say nothing of other formats. */
export const jsonLineCodec: Codec = { ...jsonCodec, encode: (values, describe) => encode(values, describe, 'line') }

function encode(values: ArrayLike<unknown>, describe?: (at: number) => string, terms: 'json' | 'line' = 'json'): Encoded {
  const refuseAs = (at: number, misfit: Misfit) => refuse(terms, at, misfit, describe)
  try {
    return encodeAll(values, refuseAs)
  } catch (cause) {
    if (values.length === 1) return { bytes: toBytes('[]'), refused: [refuseAs(0, { ...TOO_LARGE, cause })] }
    throw new RangeError(`Only ${MAX_TEXT} characters can be held at once`, { cause })
  }
}

function encodeAll(values: ArrayLike<unknown>, refuseAs: (at: number, misfit: Misfit) => Refusal): Encoded {
  const texts: string[] = []
  const refused: Refusal[] = []
  let data: unknown[] = []
  for (let at = 0; at < values.length; at++) {
    const copy = copySafely(values[at])
    if (copy !== NO_DATA) {
      data.push(copy)
      continue
    }
    if (data.length > 0) texts.push(stringify(data).slice(1, -1))
    data = []
    const written = writeOdd(values[at])
    if (typeof written !== 'string') refused.push(refuseAs(at, written))
    else texts.push(written)
  }
  if (data.length > 0) texts.push(stringify(data).slice(1, -1))
  return { bytes: toBytes(`[${texts.join(',')}]`), refused }
}

/** The JSON of one value, as `encode` writes it in a column, or what in it has none. */
export function writeJson(value: unknown): string | Misfit {
  const copy = copySafely(value)
  return copy === NO_DATA ? writeOdd(value) : writeData(copy)
}

/** The values that a line of output cannot hold: those without JSON, but for undefined, which a line goes without. */
export function findUnwritable(values: ArrayLike<unknown>, describe?: (at: number) => string): Refusal[] {
  const refused: Refusal[] = []
  for (let at = 0; at < values.length; at++) {
    const value = values[at]
    if (value === undefined || copySafely(value) !== NO_DATA) continue
    const written = writeOdd(value)
    if (typeof written !== 'string') refused.push(refuse('line', at, written, describe))
  }
  return refused
}

function copySafely(value: unknown): unknown {
  try {
    return copyData(value)
  } catch {
    return NO_DATA // A getter threw.
  }
}

/** The JSON of what copyData gave. */
function writeData(copy: unknown): string | Misfit {
  try {
    return stringify(copy)
  } catch (cause) {
    return { ...TOO_LARGE, cause }
  }
}

/** The JSON of what is not plain data, or what in it has none. */
function writeOdd(value: unknown): string | Misfit {
  try {
    const copy: unknown = clone(value)
    return findMisfit(copy, 'json') ?? writeClone(copy)
  } catch (cause) {
    return findMisfit(value, 'json') ?? { path: '', got: `one that cannot be read to its end (${String(cause)})`, cause }
  }
}

/** Writes what structured clone made of a value without misfits. Numbers are why: JSON.stringify writes -0 as 0. */
function writeClone(copy: unknown): string | Misfit {
  const texts = new Map<object, string>()
  const write = (value: unknown): string => {
    if (typeof value === 'number') return value === 0 && 1 / value < 0 ? '-0' : `${value}`
    if (typeof value !== 'object' || value === null) return stringify(value)
    const text =
      texts.get(value) ?? (Array.isArray(value) ? `[${list(value, write)}]` : `{${list(Object.keys(value), member(value))}}`)
    texts.set(value, text)
    return text
  }
  const member = (holder: object) => (key: string) => `${stringify(key)}:${write(holder[key as keyof object])}`
  try {
    return write(copy)
  } catch (cause) {
    return { ...TOO_LARGE, cause }
  }
}

/** Put together, not joined: V8 then copies no text before all of it is there, and so tells in no time that it is too long. */
function list<P>(parts: readonly P[], write: (part: P) => string): string {
  let text = ''
  for (let at = 0; at < parts.length; at++) text += text === '' ? write(parts[at] as P) : `,${write(parts[at] as P)}`
  return text
}

function toBytes(text: string): Uint8Array<ArrayBuffer> {
  const size = Buffer.byteLength(text)
  if (size > MAX_TEXT) throw new RangeError('The text is longer than what can be read back')
  const bytes = Buffer.allocUnsafeSlow(size)
  bytes.write(text)
  return bytes
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
