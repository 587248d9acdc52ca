import { createRequire } from 'node:module'
import { crc32 } from 'node:zlib'
import type { Packr, Unpackr } from 'msgpackr'
import { CheckpointCorruptError, InvalidOptionError, isPawlError, messageOf } from '../errors.ts'
import { carry, deserialize, serialize } from './carry.ts'
import { type Codec, type Encoded, MAX_COLUMN_BYTES, type Misfit, type Refusal, refuse } from './contract.ts'
import { countColumn, MIXED, PLAIN } from './count.ts'
import { plainCheck } from './plain.ts'
import { gives } from './proof.ts'
import { scan } from './scan.ts'
import { readColumn, writeColumn } from './tables.ts'

/**
 * Column of values. The first byte is its kind, the rest depends on it; integers are little-endian.
 *
 *   'n' numbers, 's' strings    see columns.ts
 *   'r' records, 'l' lists, 'c' choices    see tables.ts; since version 3 of the format
 *   'm' plain                   one msgpack array of the values, with msgpackr's records (extension 'r') inside
 *   'x' mixed                   u32 length of p · p · crc32 of q · q
 *                               p: msgpack array of the plain values, q: the others, each as
 *                               u32 place in the column · u32 length · bytes of carry.ts; places ascend
 *
 * Values of one shape need no msgpackr, which takes longer to load and to be compiled than some seconds of them to be written.
 * Plain is what msgpackr gives back exactly (plain.ts). A reader refuses whatever encode does not write. The checksum keeps
 * damaged bytes from the deserializer of V8, which is not made for them.
 */
export const msgpackCodec: Codec = {
  format: 'msgpack',
  encode,
  decode,
  countIn: ({ buffer, byteOffset, byteLength }) => countColumn(Buffer.from(buffer, byteOffset, byteLength)),
  isSound: () => gives(() => encode(KNOWN).bytes, WRITTEN) && (packr === undefined || isPackrSound()),
}

/** A value with parts as most have, and what `encode` makes of it: little, since it is asked for every answer. */
const KNOWN = [{ s: 'a', u: 'é' }]
const WRITTEN = '72010201730973610100000062016101750a7377010000006201e900'

/** A text, and numbers in bytes, as msgpackr writes them. */
const TEXT = ['aé']
const TEXT_WRITTEN = '91a361c3a9'
const BYTES = [Uint8ClampedArray.of(7)]
const BYTES_WRITTEN = '91c702740207'

/** Of the buffer msgpackr keeps between calls, in bytes: a larger one is given back after use. */
const MAX_KEPT_BUFFER = 2 ** 22

type Msgpackr = typeof import('msgpackr')

/** Not `require`, of which webpack makes the URL in CommonJS; esbuild makes none there. */
const requireHere = createRequire(import.meta.url ?? __filename)
let packr: Packr | undefined
let unpackr: Unpackr | undefined

interface Odd {
  readonly place: number
  readonly bytes: Uint8Array
}

const TOO_LARGE: Misfit = {
  path: '',
  got: `one that takes more than ${MAX_COLUMN_BYTES / 2 ** 20} MiB, the most that is recorded of an item`,
  cure: 'Return it in parts, as results of several items, or write it to a file and return its path',
}

function encode(values: ArrayLike<unknown>, describe?: (at: number) => string): Encoded {
  try {
    const encoded = encodeAll(values, describe)
    return encoded.bytes.byteLength > MAX_COLUMN_BYTES ? refuseLarge(values, encoded, describe) : encoded
  } catch (cause) {
    if (values.length !== 1 || isPawlError(cause)) throw cause
    return { ...encodeAll([]), refused: [refuse('msgpack', 0, { ...TOO_LARGE, cause }, describe)] } // No buffer can hold it.
  }
}

/** As `encoded`, less the values that alone are too large: those that only together are go to frames of their own. */
function refuseLarge(values: ArrayLike<unknown>, encoded: Encoded, describe?: (at: number) => string): Encoded {
  const places = Array.from(values, (_, at) => at)
  const isLarge = (at: number) => values.length === 1 || encodeAll([values[at]]).bytes.byteLength > MAX_COLUMN_BYTES
  const large = new Set(places.filter(isLarge))
  if (large.size === 0) return encoded
  const rest = places.filter((at) => !large.has(at))
  const others = encodeAll(
    rest.map((at) => values[at]),
    describe && ((at) => describe(rest[at] as number)),
  )
  const refused = [
    ...Array.from(large, (at) => refuse('msgpack', at, TOO_LARGE, describe)),
    ...others.refused.map(({ at, error }) => ({ at: rest[at] as number, error })),
  ]
  return { bytes: others.bytes, refused: refused.sort((a, b) => a.at - b.at) }
}

function encodeAll(values: ArrayLike<unknown>, describe?: (at: number) => string): Encoded {
  try {
    const bytes = writeColumn(values)
    if (bytes !== undefined) return { bytes, refused: [] }
    return encodeMixed(values, describe, false)
  } catch {
    // A getter threw, or gave what is not plain the second time: copy first, then nothing can change. Or the program redefined
    // an extension: then leave extensions to V8.
    return encodeMixed(values, describe, true)
  }
}

function encodeMixed(values: ArrayLike<unknown>, describe: ((at: number) => string) | undefined, isCopied: boolean): Encoded {
  const isPlain = plainCheck(!isCopied)
  const plain: unknown[] = []
  const odd: Odd[] = []
  const refused: Refusal[] = []
  for (let at = 0; at < values.length; at++) {
    const value = values[at]
    if (!isCopied && isPlain(value)) {
      plain.push(value)
      continue
    }
    const carried = carry(value)
    if (carried.misfit !== undefined) refused.push(refuse('msgpack', at, carried.misfit, describe))
    else if (isPlain(carried.copy)) plain.push(carried.copy)
    else odd.push({ place: plain.length + odd.length, bytes: serialize(carried) })
  }
  const packed = pack(plain)
  scan(packed) // What nobody could read must not get on record: a getter may give one thing to the check and another to msgpackr.
  return { bytes: odd.length === 0 ? assemblePlain(packed) : assembleMixed(packed, odd), refused }
}

/** Where it throws at an array of numbers it writes none, and nothing false. */
function isPackrSound(): boolean {
  return gives(() => pack(TEXT), TEXT_WRITTEN) && gives(() => pack(BYTES), BYTES_WRITTEN, true)
}

/** What `load` gives. @throws InvalidOptionError where msgpackr is not to be had: a bundle leaves it behind. */
function found(load: () => Msgpackr): Msgpackr {
  try {
    return load()
  } catch (cause) {
    const advice =
      ". A program that bundles pawl leaves msgpackr behind: keep pawl external (--external:pawl, or external: ['pawl']), with pawl in node_modules where the program runs"
    const expected = `one for which all is there (${messageOf(cause).split('\n')[0]})`
    throw new InvalidOptionError('checkpoint.format', expected, 'msgpack', { cause, advice })
  }
}

/** The msgpack of `values`, valid until the next call. */
function pack(values: readonly unknown[]): Buffer {
  const { Packr, RESET_BUFFER_MODE, REUSE_BUFFER_MODE } = found(() => requireHere('msgpackr/index-no-eval'))
  packr ??= new Packr({ moreTypes: true })
  // Typed as one number, but the modes of msgpackr are flags.
  const target: Buffer & { start: number; end: number } = packr.pack(values, REUSE_BUFFER_MODE | RESET_BUFFER_MODE) as never
  if (target.length > MAX_KEPT_BUFFER) packr.useBuffer(Buffer.allocUnsafeSlow(8192))
  return target.subarray(target.start, target.end)
}

function assemblePlain(packed: Buffer): Uint8Array<ArrayBuffer> {
  const bytes = Buffer.allocUnsafeSlow(1 + packed.length)
  bytes[0] = PLAIN
  bytes.set(packed, 1)
  return bytes
}

function assembleMixed(packed: Buffer, odd: readonly Odd[]): Uint8Array<ArrayBuffer> {
  const start = 1 + 4 + packed.length + 4
  const bytes = Buffer.allocUnsafeSlow(odd.reduce((end, it) => end + 8 + it.bytes.length, start))
  bytes[0] = MIXED
  bytes.writeUInt32LE(packed.length, 1)
  bytes.set(packed, 5)
  let end = start
  for (const { place, bytes: serialized } of odd) {
    bytes.writeUInt32LE(place, end)
    bytes.writeUInt32LE(serialized.length, end + 4)
    bytes.set(serialized, end + 8)
    end += 8 + serialized.length
  }
  bytes.writeUInt32LE(crc32(bytes.subarray(start)), start - 4)
  return bytes
}

function decode(bytes: Uint8Array, isOwn = false): unknown[] {
  try {
    return read(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), isOwn)
  } catch (cause) {
    if (isPawlError(cause)) throw cause
    throw new CheckpointCorruptError('Cannot read recorded values: expected what the msgpack codec writes, got other bytes', {
      cause,
    })
  }
}

function read(bytes: Buffer, isOwn: boolean): unknown[] {
  switch (bytes[0]) {
    case PLAIN:
      return unpack(bytes.subarray(1), isOwn)
    case MIXED:
      return readMixed(bytes, isOwn)
    default:
      return readColumn(bytes)
  }
}

/**
 * All of msgpackr reads up to three times as fast as the part that compiles nothing, by a native addon for strings and a reader
 * that it compiles from the keys of each record, which it quotes. It takes longer to load (bench/start-up.bench.mjs): so it is
 * loaded when this many bytes were read. Higher, and reading a long run begins slowly; lower, and a run of some seconds pays
 * more than it saves. Set by bench/saving.bench.mjs, items of 1 ms.
 */
const ACCELERATED_BYTES = 2 ** 20

let readBytes = 0

function unpackrFor(more: number): Unpackr {
  const isSlow = readBytes < ACCELERATED_BYTES
  readBytes += more
  if (isSlow && readBytes >= ACCELERATED_BYTES) unpackr = createUnpackr(found(() => requireHere('msgpackr')))
  return (unpackr ??= createUnpackr(found(() => requireHere('msgpackr/index-no-eval'))))
}

function createUnpackr({ Unpackr }: Msgpackr): Unpackr {
  return new Unpackr({ mapsAsObjects: true, moreTypes: true, structuredClone: false, copyBuffers: true })
}

function unpack(bytes: Buffer, isOwn: boolean): unknown[] {
  if (!isOwn) scan(bytes)
  // As a Uint8Array, so that what is cut from it is one too. msgpackr leaves a property on its source.
  const values: unknown = unpackrFor(bytes.byteLength).unpack(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  if (!Array.isArray(values)) throw new TypeError('The msgpack is not an array')
  return values
}

function readMixed(bytes: Buffer, isOwn: boolean): unknown[] {
  const start = 1 + 4 + bytes.readUInt32LE(1) + 4
  const sum = bytes.readUInt32LE(start - 4)
  if (crc32(bytes.subarray(start)) !== sum) throw new RangeError('The checksum of the serialized values is another')
  const plain = unpack(bytes.subarray(5, start - 4), isOwn)
  const values: unknown[] = []
  let taken = 0
  for (let at = start; at < bytes.length; ) {
    const place = bytes.readUInt32LE(at)
    const end = at + 8 + bytes.readUInt32LE(at + 4)
    if (place < values.length || place - values.length > plain.length - taken || end > bytes.length)
      throw new RangeError('A length is wrong')
    while (values.length < place) values.push(plain[taken++])
    values.push(deserialize(bytes.subarray(at + 8, end)))
    at = end
  }
  while (taken < plain.length) values.push(plain[taken++])
  return values
}
