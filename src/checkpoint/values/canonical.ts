import { createHash } from 'node:crypto'
import { types } from 'node:util'
import { isIndex } from './array-key.ts'

/** Deeper objects all count the same, so that no value can run out of stack. */
const MAX_DEPTH = 500

/** Bytes collected before they are hashed. One call of the hash costs as much as hashing some 500 bytes. */
const CAPACITY = 2 ** 16

// One byte before each value says what follows. The forms are self-delimiting, so no two sequences share their bytes.
const [NULL, UNDEFINED, TRUE, FALSE, INT32, FLOAT64, BIGINT, ASCII, UTF16, SPARSE, FUNCTION, SYMBOL] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
]
const [OBJECT, ARRAY, NAMED, END, DATE, REGEXP, MAP, SET, VIEW, ARRAY_BUFFER, BOXED, ERROR, ADDRESS, INDEXED] = [
  16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29,
]
const [ANCESTOR, DEEP, UNREADABLE, DIGEST] = [32, 33, 34, 35]

/**
 * What lies behind so many bytes of a value is written as a digest of each object, made once: nested pairs of one part double
 * with every level, and a hundred levels of them would be written for ever. Higher takes longer to come upon them; lower makes
 * digests of the parts of large values, at some microseconds each. Another number is another digest of values that large.
 */
const MAX_WRITTEN = 2 ** 24

/** The names of errors that structured clone keeps; others come back as Error. */
const NAMES = new Set(['EvalError', 'RangeError', 'ReferenceError', 'SyntaxError', 'TypeError', 'URIError'])

export interface CanonicalWriter {
  /** Writes a value; what it throws when read is written as a mark. */
  write(value: unknown): void
  /** Hands over all that was written and not yet handed over. */
  flush(): void
}

/** Writes values in a form that depends on their contents only. `consume` must be done with the bytes when it returns. */
export function canonicalWriter(consume: (bytes: Uint8Array) => void): CanonicalWriter {
  const buffer = Buffer.allocUnsafeSlow(CAPACITY)
  const view = new DataView(buffer.buffer)
  const ancestors: object[] = []
  const digests = new Map<object, string>()
  let hand = consume
  let end = 0
  /** Bytes of all values that left the buffer, and that had been written before the value at hand. */
  let flushed = 0
  let before = 0

  function flush(): void {
    if (end > 0) hand(buffer.subarray(0, end))
    flushed += end
    end = 0
  }

  function writeTag(tag: number): void {
    if (end + 16 > CAPACITY) flush()
    buffer[end++] = tag
  }

  function writeCount(count: number): void {
    if (end + 16 > CAPACITY) flush()
    view.setFloat64(end, count, true)
    end += 8
  }

  function writeValue(value: unknown): void {
    switch (typeof value) {
      case 'string':
        return writeString(value)
      case 'number':
        return writeNumber(value)
      case 'object':
        return value === null ? writeTag(NULL) : writeObject(value)
      case 'boolean':
        return writeTag(value ? TRUE : FALSE)
      case 'undefined':
        return writeTag(UNDEFINED)
      case 'bigint':
        writeTag(BIGINT)
        return writeString(value.toString(16))
      default:
        return writeTag(typeof value === 'symbol' ? SYMBOL : FUNCTION)
    }
  }

  function writeNumber(value: number): void {
    if ((value | 0) === value && (value !== 0 || 1 / value > 0)) {
      writeTag(INT32)
      view.setInt32(end, value, true)
      end += 4
    } else {
      writeTag(FLOAT64)
      // A NaN may carry any of 2^52 payloads; the literal has one.
      view.setFloat64(end, Number.isNaN(value) ? Number.NaN : value, true)
      end += 8
    }
  }

  function writeString(value: string): void {
    const { length } = value
    const room = 16 + length * 3
    if (end + room > CAPACITY) flush()
    if (room > CAPACITY) return writeLongString(value)
    const start = end + 5
    let at = 0
    if (length < 48) {
      for (let code = 0; at < length && (code = value.charCodeAt(at)) < 0x80; at++) buffer[start + at] = code
    } else {
      // As many bytes as characters means ASCII, lone surrogates included: they take three.
      at = buffer.write(value, start) === length ? length : 0
    }
    buffer[end] = at === length ? ASCII : UTF16
    view.setUint32(end + 1, length, true)
    end = start + (at === length ? length : buffer.write(value, start, 'utf16le'))
  }

  function writeLongString(value: string): void {
    const isAscii = Buffer.byteLength(value) === value.length
    writeTag(isAscii ? ASCII : UTF16)
    view.setUint32(end, value.length, true)
    end += 4
    flush()
    const bytes = Buffer.from(value, isAscii ? 'latin1' : 'utf16le')
    hand(bytes)
    flushed += bytes.length
  }

  function writeObject(value: object): void {
    const depth = ancestors.length
    for (let up = depth - 1; up >= 0; up--) {
      if (ancestors[up] === value) {
        writeTag(ANCESTOR)
        return writeCount(depth - up)
      }
    }
    if (depth >= MAX_DEPTH) return writeTag(DEEP)
    ancestors.push(value)
    if (flushed + end - before > MAX_WRITTEN) writeDigest(value)
    else writeParts(value)
    ancestors.pop()
  }

  function writeParts(value: object): void {
    if (Object.getPrototypeOf(value) === Object.prototype) writeProperties(OBJECT, value)
    else if (Array.isArray(value)) writeArray(value)
    else writeSpecial(value)
  }

  /** The objects in it come here too. */
  function writeDigest(value: object): void {
    const digest = digests.get(value) ?? digestOf(value)
    digests.set(value, digest)
    writeTag(DIGEST)
    writeString(digest)
  }

  function digestOf(value: object): string {
    const hash = createHash('sha256')
    const outer = hand
    flush()
    hand = (bytes) => hash.update(bytes)
    try {
      writeParts(value)
      flush()
    } finally {
      hand = outer
      end = 0
    }
    return hash.digest('hex')
  }

  function writeProperties(tag: number, value: object, keys: readonly string[] = Object.keys(value)): void {
    writeTag(tag)
    for (const key of keys) {
      writeString(key)
      writeProperty(value, key)
    }
    writeTag(END)
  }

  function writeProperty(holder: object, key: string | number): void {
    let value: unknown
    try {
      value = holder[key as keyof object]
    } catch {
      return writeTag(UNREADABLE)
    }
    writeValue(value)
  }
  function writeArray(array: readonly unknown[]): void {
    const keys = Object.keys(array)
    // Indices come first, so what is named is at the end.
    let elements = keys.length
    while (elements > 0 && !isIndex(keys[elements - 1] as string)) elements--
    writeTag(elements === array.length ? ARRAY : SPARSE)
    writeCount(array.length)
    if (elements === array.length) for (let at = 0; at < elements; at++) writeProperty(array, at)
    else writeProperties(INDEXED, array, keys.slice(0, elements))
    if (keys.length > elements) writeProperties(NAMED, array, keys.slice(elements))
  }

  function writeSpecial(value: object): void {
    if (types.isDate(value)) writeAll(DATE, [Date.prototype.getTime.call(value)])
    else if (types.isRegExp(value)) writeAll(REGEXP, [value.source, value.flags])
    else if (types.isMap(value)) writeAll(MAP, [value.size, ...[...value].flat()])
    else if (types.isSet(value)) writeAll(SET, [value.size, ...value])
    else if (ArrayBuffer.isView(value)) writeBytes(value)
    else if (types.isAnyArrayBuffer(value)) writeBytes(new DataView(value), ARRAY_BUFFER)
    else if (types.isBoxedPrimitive(value)) writeAll(BOXED, [value.valueOf()])
    else if (value instanceof URL) writeAll(ADDRESS, [value.href])
    else if (types.isNativeError(value))
      writeAll(ERROR, [NAMES.has(value.name) ? value.name : 'Error', value.message, value.cause])
    else writeProperties(OBJECT, value)
  }

  function writeAll(tag: number, parts: readonly unknown[]): void {
    writeTag(tag)
    for (const part of parts) writeValue(part)
  }

  function writeBytes(view: ArrayBufferView, tag = VIEW): void {
    writeTag(tag)
    writeString(Object.prototype.toString.call(view))
    writeCount(view.byteLength)
    const settled = withOneNaN(view)
    const bytes = new Uint8Array(settled.buffer, settled.byteOffset, settled.byteLength)
    for (let at = 0; at < bytes.length; ) {
      if (end === CAPACITY) flush()
      const part = bytes.subarray(at, at + CAPACITY - end)
      buffer.set(part, end)
      end += part.length
      at += part.length
    }
  }

  function write(value: unknown): void {
    before = flushed + end
    try {
      writeValue(value)
    } catch {
      // A proxy, or a built-in that someone changed.
      ancestors.length = 0
      writeTag(UNREADABLE)
    }
    if (digests.size > 0) digests.clear()
  }

  return { write, flush }
}

/** The view, or a copy in which every NaN has the same bits. */
function withOneNaN(view: ArrayBufferView): ArrayBufferView {
  const isFloat = view instanceof Float64Array || view instanceof Float32Array
  return isFloat && view.some(Number.isNaN) ? view.map((value: number) => (Number.isNaN(value) ? Number.NaN : value)) : view
}
