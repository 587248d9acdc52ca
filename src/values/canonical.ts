import { types } from 'node:util'
import { entriesOf, membersOf } from '../members.ts'
import { createSha256 } from '../sha256.ts'
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

/** Writes values in a form that depends on their contents only. */
export class CanonicalWriter {
  readonly #out: ByteWriter
  readonly #ancestors: object[] = []
  readonly #digests = new Map<object, string>()
  /** Bytes that had been written before the value at hand. */
  #before = 0
  #unseen: string | undefined
  /** What instances inherit from of which structured clone makes plain objects. */
  readonly #plain = new Set<object | null>()

  /** `consume` must be done with the bytes when it returns. */
  constructor(consume: (bytes: Uint8Array) => void) {
    this.#out = new ByteWriter({ ascii: ASCII, utf16: UTF16 }, consume)
  }

  /** Writes a value; what it throws when read is written as a mark. */
  write(value: unknown): void {
    this.#before = this.#out.written
    try {
      this.#writeValue(value)
    } catch {
      // A proxy, or a built-in that someone changed.
      this.#ancestors.length = 0
      this.#out.tag(UNREADABLE)
    }
    if (this.#digests.size > 0) this.#digests.clear()
  }

  /** As in Digest. */
  get unseen(): string | undefined {
    return this.#unseen
  }

  /** Hands over all that was written and not yet handed over. */
  flush(): void {
    this.#out.flush()
  }

  #writeValue(value: unknown): void {
    switch (typeof value) {
      case 'string':
        return this.#out.string(value)
      case 'number':
        return this.#writeNumber(value)
      case 'object':
        return value === null ? this.#out.tag(NULL) : this.#writeObject(value)
      case 'boolean':
        return this.#out.tag(value ? TRUE : FALSE)
      case 'undefined':
        return this.#out.tag(UNDEFINED)
      case 'bigint':
        this.#out.tag(BIGINT)
        return this.#out.string(value.toString(16))
      default:
        return this.#out.tag(typeof value === 'symbol' ? SYMBOL : FUNCTION)
    }
  }

  #writeNumber(value: number): void {
    if ((value | 0) === value && (value !== 0 || 1 / value > 0)) {
      this.#out.tag(INT32)
      this.#out.int32(value)
    } else {
      this.#out.tag(FLOAT64)
      // A NaN may carry any of 2^52 payloads; the literal has one.
      this.#out.float64(Number.isNaN(value) ? Number.NaN : value)
    }
  }

  #writeObject(value: object): void {
    const depth = this.#ancestors.length
    for (let up = depth - 1; up >= 0; up--) {
      if (this.#ancestors[up] === value) {
        this.#out.tag(ANCESTOR)
        return this.#out.float64(depth - up)
      }
    }
    if (depth >= MAX_DEPTH) return this.#out.tag(DEEP)
    this.#ancestors.push(value)
    if (this.#out.written - this.#before > MAX_WRITTEN) this.#writeDigest(value)
    else this.#writeParts(value)
    this.#ancestors.pop()
  }

  #writeParts(value: object): void {
    if (Object.getPrototypeOf(value) === Object.prototype) this.#writeProperties(OBJECT, value)
    else if (Array.isArray(value)) this.#writeArray(value)
    else this.#writeSpecial(value)
  }

  /** The objects in it come here too. */
  #writeDigest(value: object): void {
    const digest = this.#digests.get(value) ?? this.#digestOf(value)
    this.#digests.set(value, digest)
    this.#out.tag(DIGEST)
    this.#out.string(digest)
  }

  #digestOf(value: object): string {
    const hash = createSha256()
    this.#out.divert(
      (bytes) => hash.update(bytes),
      () => this.#writeParts(value),
    )
    return hash.digest('hex')
  }

  #writeProperties(tag: number, value: object, keys: readonly string[] = Object.keys(value)): void {
    this.#out.tag(tag)
    for (const key of keys) {
      this.#out.string(key)
      this.#writeProperty(value, key)
    }
    this.#out.tag(END)
  }

  #writeProperty(holder: object, key: string | number): void {
    let value: unknown
    try {
      value = holder[key as keyof object]
    } catch {
      return this.#out.tag(UNREADABLE)
    }
    this.#writeValue(value)
  }

  #writeArray(array: readonly unknown[]): void {
    const keys = Object.keys(array)
    // Indices come first, so what is named is at the end.
    let elements = keys.length
    while (elements > 0 && !isIndex(keys[elements - 1] as string)) elements--
    this.#out.tag(elements === array.length ? ARRAY : SPARSE)
    this.#out.float64(array.length)
    if (elements === array.length) for (let at = 0; at < elements; at++) this.#writeProperty(array, at)
    else this.#writeProperties(INDEXED, array, keys.slice(0, elements))
    if (keys.length > elements) this.#writeProperties(NAMED, array, keys.slice(elements))
  }

  #writeSpecial(value: object): void {
    if (types.isDate(value)) this.#writeAll(DATE, [Date.prototype.getTime.call(value)])
    else if (types.isRegExp(value)) this.#writeAll(REGEXP, [value.source, value.flags])
    else if (types.isMap(value)) this.#writeCounted(MAP, entriesOf(value), 2)
    else if (types.isSet(value)) this.#writeCounted(SET, membersOf(value), 1)
    else if (ArrayBuffer.isView(value)) this.#writeBytes(value)
    else if (types.isAnyArrayBuffer(value)) this.#writeBytes(new DataView(value), ARRAY_BUFFER)
    else if (types.isBoxedPrimitive(value)) this.#writeAll(BOXED, [value.valueOf()])
    else if (value instanceof URL) this.#writeAll(ADDRESS, [value.href])
    else if (value instanceof DOMException)
      this.#writeAll(ERROR, [value.name, value.message, undefined]) // A native error only on newer Nodes.
    else if (types.isNativeError(value))
      this.#writeAll(ERROR, [NAMES.has(value.name) ? value.name : 'Error', value.message, value.cause])
    else this.#writeInstance(value)
  }

  /** What is of a class of the program, or of one of the platform, which shows nothing of what it holds. */
  #writeInstance(value: object): void {
    const keys = Object.keys(value)
    // Those of the platform hold what they hold under symbols, also when a program gave them properties.
    if (keys.length === 0 || Object.getOwnPropertySymbols(value).length > 0) this.#unseen ??= this.#nameUnseen(value)
    this.#writeProperties(OBJECT, value, keys)
  }

  /** Its class, if structured clone makes no plain object of it. Of each class one is cloned: many may have symbols of their own. */
  #nameUnseen(value: object): string | undefined {
    const prototype: object | null = Object.getPrototypeOf(value)
    if (this.#plain.has(prototype)) return undefined
    const name = nameUncloned(value)
    if (name === undefined) this.#plain.add(prototype)
    return name
  }

  /** How many members there are, each of so many parts, and they. */
  #writeCounted(tag: number, parts: readonly unknown[], width: number): void {
    this.#writeAll(tag, [parts.length / width])
    for (let at = 0; at < parts.length; at++) this.#writeValue(parts[at])
  }

  #writeAll(tag: number, parts: readonly unknown[]): void {
    this.#out.tag(tag)
    for (const part of parts) this.#writeValue(part)
  }

  #writeBytes(view: ArrayBufferView, tag = VIEW): void {
    this.#out.tag(tag)
    this.#out.string(Object.prototype.toString.call(view))
    this.#out.float64(view.byteLength)
    const settled = withOneNaN(view)
    this.#out.bytes(new Uint8Array(settled.buffer, settled.byteOffset, settled.byteLength))
  }
}

/** The class of what structured clone makes no plain object of; undefined of any other. */
function nameUncloned(value: object): string | undefined {
  try {
    const prototype: object | null = Object.getPrototypeOf(structuredClone(value))
    return prototype !== null && Object.getPrototypeOf(prototype) !== null ? prototype.constructor.name : undefined
  } catch {
    return undefined // Nor can it be sent to a worker, where it is told.
  }
}

/** The view, or a copy in which every NaN has the same bits. */
function withOneNaN(view: ArrayBufferView): ArrayBufferView {
  if (!(view instanceof Float64Array || view instanceof Float32Array)) return view
  let copy: typeof view | undefined
  for (let at = 0; at < view.length; at++) {
    if (!Number.isNaN(view[at])) continue
    copy ??= view instanceof Float64Array ? new Float64Array(view) : new Float32Array(view)
    copy[at] = Number.NaN
  }
  return copy ?? view
}
