import { types } from 'node:util'
import { createSha256 } from '../../sha256.ts'
import { isIndex } from './array-key.ts'
import { ByteWriter } from './byte-writer.ts'

/** Deeper objects all count the same, so that no value can run out of stack. */
const MAX_DEPTH = 500

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
  const out = new ByteWriter({ ascii: ASCII, utf16: UTF16 }, consume)
  const ancestors: object[] = []
  const digests = new Map<object, string>()
  /** Bytes that had been written before the value at hand. */
  let before = 0

  function writeValue(value: unknown): void {
    switch (typeof value) {
      case 'string':
        return out.string(value)
      case 'number':
        return writeNumber(value)
      case 'object':
        return value === null ? out.tag(NULL) : writeObject(value)
      case 'boolean':
        return out.tag(value ? TRUE : FALSE)
      case 'undefined':
        return out.tag(UNDEFINED)
      case 'bigint':
        out.tag(BIGINT)
        return out.string(value.toString(16))
      default:
        return out.tag(typeof value === 'symbol' ? SYMBOL : FUNCTION)
    }
  }

  function writeNumber(value: number): void {
    if ((value | 0) === value && (value !== 0 || 1 / value > 0)) {
      out.tag(INT32)
      out.int32(value)
    } else {
      out.tag(FLOAT64)
      // A NaN may carry any of 2^52 payloads; the literal has one.
      out.float64(Number.isNaN(value) ? Number.NaN : value)
    }
  }

  function writeObject(value: object): void {
    const depth = ancestors.length
    for (let up = depth - 1; up >= 0; up--) {
      if (ancestors[up] === value) {
        out.tag(ANCESTOR)
        return out.float64(depth - up)
      }
    }
    if (depth >= MAX_DEPTH) return out.tag(DEEP)
    ancestors.push(value)
    if (out.written - before > MAX_WRITTEN) writeDigest(value)
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
    out.tag(DIGEST)
    out.string(digest)
  }

  function digestOf(value: object): string {
    const hash = createSha256()
    out.divert(
      (bytes) => hash.update(bytes),
      () => writeParts(value),
    )
    return hash.digest('hex')
  }

  function writeProperties(tag: number, value: object, keys: readonly string[] = Object.keys(value)): void {
    out.tag(tag)
    for (const key of keys) {
      out.string(key)
      writeProperty(value, key)
    }
    out.tag(END)
  }

  function writeProperty(holder: object, key: string | number): void {
    let value: unknown
    try {
      value = holder[key as keyof object]
    } catch {
      return out.tag(UNREADABLE)
    }
    writeValue(value)
  }

  function writeArray(array: readonly unknown[]): void {
    const keys = Object.keys(array)
    // Indices come first, so what is named is at the end.
    let elements = keys.length
    while (elements > 0 && !isIndex(keys[elements - 1] as string)) elements--
    out.tag(elements === array.length ? ARRAY : SPARSE)
    out.float64(array.length)
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
    out.tag(tag)
    for (const part of parts) writeValue(part)
  }

  function writeBytes(view: ArrayBufferView, tag = VIEW): void {
    out.tag(tag)
    out.string(Object.prototype.toString.call(view))
    out.float64(view.byteLength)
    const settled = withOneNaN(view)
    out.bytes(new Uint8Array(settled.buffer, settled.byteOffset, settled.byteLength))
  }

  function write(value: unknown): void {
    before = out.written
    try {
      writeValue(value)
    } catch {
      // A proxy, or a built-in that someone changed.
      ancestors.length = 0
      out.tag(UNREADABLE)
    }
    if (digests.size > 0) digests.clear()
  }

  return { write, flush: () => out.flush() }
}

/** The view, or a copy in which every NaN has the same bits. */
function withOneNaN(view: ArrayBufferView): ArrayBufferView {
  const isFloat = view instanceof Float64Array || view instanceof Float32Array
  return isFloat && view.some(Number.isNaN) ? view.map((value: number) => (Number.isNaN(value) ? Number.NaN : value)) : view
}
