/// <reference lib="es2024.string" />
import { isAscii, isUtf8 } from 'node:buffer'
import { endianness } from 'node:os'

/**
 * Columns of one primitive type. Integers and floats are little-endian.
 *
 *   numbers   'n' · type ('b' int8, 'h' int16, 'i' int32, 'd' float64) · the numbers
 *   strings   's' · encoding ('a' ASCII, 'u' UTF-8, 'w' UTF-16) · u32 count · type ('b' uint8, 'h' uint16, 'i' uint32)
 *             · the lengths in UTF-16 units · the text, all strings one after the other
 *
 * As the lengths count UTF-16 units, a pair of surrogates may lie across two strings and still comes apart exactly.
 */
export const NUMBERS = 0x6e
export const STRINGS = 0x73

const BYTE = 0x62
const HALF = 0x68
const INT = 0x69
const DOUBLE = 0x64
const ASCII = 0x61
const UTF8 = 0x75
const UTF16 = 0x77

/** V8 holds about 2^29 characters in a string; stay well below, also as UTF-8. */
const MAX_TEXT = 2 ** 27

/** The column of `values`; undefined unless all of them are numbers. */
export function writeNumbers(values: ArrayLike<unknown>): Uint8Array<ArrayBuffer> | undefined {
  const count = values.length
  if (count === 0) return undefined
  let least = 0
  let most = 0
  let isInteger = true
  for (let at = 0; at < count; at++) {
    const value = values[at]
    if (typeof value !== 'number') return undefined
    if ((value | 0) !== value || (value === 0 && 1 / value < 0)) isInteger = false
    else if (value < least) least = value
    else if (value > most) most = value
  }
  const width = Math.max(most, -1 - least)
  if (!isInteger) return withHead(NUMBERS, DOUBLE, toLittleEndian(Float64Array.from(values as ArrayLike<number>)))
  if (width < 2 ** 7) return withHead(NUMBERS, BYTE, Int8Array.from(values as ArrayLike<number>))
  if (width < 2 ** 15) return withHead(NUMBERS, HALF, toLittleEndian(Int16Array.from(values as ArrayLike<number>)))
  return withHead(NUMBERS, INT, toLittleEndian(Int32Array.from(values as ArrayLike<number>)))
}

/** The numbers of a column. */
export function readNumbers(bytes: Buffer): number[] {
  const buffer = aligned(bytes, 2, bytes.length)
  switch (bytes[1]) {
    case BYTE:
      return toArray(new Int8Array(buffer))
    case HALF:
      return toArray(toLittleEndian(new Int16Array(buffer)))
    case INT:
      return toArray(toLittleEndian(new Int32Array(buffer)))
    case DOUBLE:
      return toArray(toLittleEndian(new Float64Array(buffer)))
    default:
      throw new RangeError(`No numbers have the type ${bytes[1]}`)
  }
}

/** How many numbers a column has. */
export function countNumbers(bytes: Buffer): number {
  return (bytes.length - 2) / (bytes[1] === DOUBLE ? 8 : widthOf(bytes[1]))
}

/** What Array.from gives, in a tenth of the time. */
function toArray(numbers: ArrayLike<number>): number[] {
  const array = new Array<number>(numbers.length)
  for (let at = 0; at < array.length; at++) array[at] = numbers[at] as number
  return array
}

/** The column of `values`; undefined unless all of them are strings, of a length that can be joined. */
export function writeStrings(values: ArrayLike<unknown>): Uint8Array<ArrayBuffer> | undefined {
  const count = values.length
  if (count === 0) return undefined
  const lengths = new Uint32Array(count)
  let longest = 0
  let total = 0
  for (let at = 0; at < count; at++) {
    const value = values[at]
    if (typeof value !== 'string') return undefined
    const { length } = value
    lengths[at] = length
    total += length
    if (length > longest) longest = length
  }
  if (total > MAX_TEXT) return undefined
  const text = Array.prototype.join.call(values, '')
  const size = Buffer.byteLength(text)
  const encoding = size === total ? ASCII : text.isWellFormed() && size < total * 2 ? UTF8 : UTF16
  const type = longest < 2 ** 8 ? BYTE : longest < 2 ** 16 ? HALF : INT
  const packed = type === BYTE ? Uint8Array.from(lengths) : toLittleEndian(type === HALF ? Uint16Array.from(lengths) : lengths)
  const start = 7 + packed.byteLength
  const bytes = Buffer.allocUnsafeSlow(start + (encoding === UTF16 ? total * 2 : size))
  bytes[0] = STRINGS
  bytes[1] = encoding
  bytes.writeUInt32LE(count, 2)
  bytes[6] = type
  bytes.set(new Uint8Array(packed.buffer), 7)
  bytes.write(text, start, encoding === ASCII ? 'latin1' : encoding === UTF8 ? 'utf8' : 'utf16le')
  return bytes
}

/** The strings of a column. */
export function readStrings(bytes: Buffer): string[] {
  const count = bytes.readUInt32LE(2)
  const start = 7 + count * widthOf(bytes[6])
  if (start > bytes.length) throw new RangeError('There are fewer lengths than strings')
  const lengths = readLengths(aligned(bytes, 7, start), bytes[6])
  const text = readText(bytes.subarray(start), bytes[1])
  const strings = new Array<string>(count)
  let end = 0
  for (let at = 0; at < count; at++) {
    const from = end
    end += lengths[at] as number
    strings[at] = text.slice(from, end)
  }
  if (end !== text.length) throw new RangeError('The lengths are not those of the text')
  return strings
}

function readLengths(buffer: ArrayBuffer, type: number | undefined): ArrayLike<number> {
  if (type === BYTE) return new Uint8Array(buffer)
  return toLittleEndian(type === HALF ? new Uint16Array(buffer) : new Uint32Array(buffer))
}

function widthOf(type: number | undefined): number {
  if (type === BYTE) return 1
  if (type === HALF) return 2
  if (type === INT) return 4
  throw new RangeError(`Nothing has the type ${type}`)
}

function readText(bytes: Buffer, encoding: number | undefined): string {
  if (encoding === ASCII && isAscii(bytes)) return bytes.toString('latin1')
  if (encoding === UTF8 && isUtf8(bytes)) return bytes.toString('utf8')
  if (encoding === UTF16 && bytes.length % 2 === 0) return bytes.toString('utf16le')
  throw new RangeError('The text is in no known encoding')
}

function withHead(
  kind: number,
  type: number,
  numbers: Int8Array | Int16Array | Int32Array | Float64Array,
): Uint8Array<ArrayBuffer> {
  const bytes = Buffer.allocUnsafeSlow(2 + numbers.byteLength)
  bytes[0] = kind
  bytes[1] = type
  bytes.set(new Uint8Array(numbers.buffer), 2)
  return bytes
}

/** A copy of some bytes that a typed array of any width can lie on. */
function aligned(bytes: Buffer, start: number, end: number): ArrayBuffer {
  const copy = new Uint8Array(end - start)
  copy.set(bytes.subarray(start, end))
  return copy.buffer
}

/** Turns the bytes of each number around on the few machines that are big-endian; the way there is the way back. */
function toLittleEndian<N extends ArrayBufferView & { readonly BYTES_PER_ELEMENT: number }>(numbers: N): N {
  if (endianness() === 'LE') return numbers
  const bytes = Buffer.from(numbers.buffer, numbers.byteOffset, numbers.byteLength)
  if (numbers.BYTES_PER_ELEMENT === 2) bytes.swap16()
  else if (numbers.BYTES_PER_ELEMENT === 4) bytes.swap32()
  else bytes.swap64()
  return numbers
}
