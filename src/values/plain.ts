/// <reference lib="es2024.string" />
/// <reference lib="es2024.arraybuffer" />
import { types } from 'node:util'

/** As they were when this was loaded: a task may put others in their place. */
const { ArrayBuffer, Set } = globalThis

/** Deeper values are not plain, so neither the check nor msgpackr ever runs out of stack. Cycles end here too. */
export const MAX_DEPTH = 100

/** Records with more keys are rather dictionaries, for which msgpackr would build and compile a reader each. */
export const MAX_KEYS = 200

/** Keys msgpackr stumbles over: the last is how it marks its own tree of shapes, the others it calls or believes. */
export const ODD_KEYS = new Set(['__proto__', 'constructor', 'hasOwnProperty', 'toJSON', '__keys__'])

/** Keys that were looked at and are plain, so that they are looked at once and not once per record. */
const plainKeys = new Set<string>()

/** 64 Ki keys cost some megabytes; when there are more they are dictionary keys, and remembering them is no use. */
const MAX_REMEMBERED = 2 ** 16

/** The views msgpackr writes with their type. */
const VIEWS = new Set<unknown>([
  ...[Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array],
  ...[Float32Array, Float64Array, BigInt64Array, BigUint64Array, Buffer],
])

/**
 * Gives what tells which values of one column msgpackr gives back exactly. It alters -0, lone surrogates, a leading byte order
 * mark, holes, named properties of arrays, shared references, a few keys, and most of what is not an object literal; those are
 * not plain, nor may be some that it could carry. Throws what a getter throws. Not re-entrant.
 *
 * @param allowsExtensions dates and views, extensions that a program can redefine for all, may be plain.
 */
export function plainCheck(allowsExtensions: boolean): (value: unknown) => boolean {
  /** The objects of the value at hand. One that is there twice must stay one, which msgpackr does not see to. */
  const parts: object[] = []
  let count = 0

  function isPlain(value: unknown, depth: number): boolean {
    if (isPlainLeaf(value)) return true
    return typeof value === 'object' && value !== null && depth < MAX_DEPTH && isPlainObject(value, depth)
  }

  function isPlainObject(value: object, depth: number): boolean {
    parts[count++] = value
    // Seen now and then, a repeat cannot make the walk endless: nested pairs of one part double with every level.
    if (count >= 1024 && (count & (count - 1)) === 0 && hasRepeats(parts, count)) return false
    const prototype: unknown = Object.getPrototypeOf(value)
    if (types.isProxy(value) || types.isArgumentsObject(value)) return false // Structured clone refuses them.
    if (prototype === Object.prototype) return isPlainRecord(value as Record<string, unknown>, depth)
    if (prototype === Array.prototype) return isPlainArray(value as unknown[], depth)
    return allowsExtensions && (prototype === Date.prototype || (ArrayBuffer.isView(value) && isPlainView(value)))
  }

  function isPlainRecord(record: Record<string, unknown>, depth: number): boolean {
    let keys = 0
    for (const key in record) {
      if (!(plainKeys.has(key) || isPlainKey(key))) return false
      const value = record[key]
      if (!isPlainLeaf(value) && !isPlain(value, depth + 1)) return false
      keys++
    }
    return keys <= MAX_KEYS
  }

  function isPlainArray(array: unknown[], depth: number): boolean {
    for (let at = 0; at < array.length; at++) {
      const value = array[at]
      if (value === undefined ? !(at in array) : !isPlain(value, depth + 1)) return false
    }
    // No holes, so anything named would make the keys more than the elements.
    return Object.keys(array).length === array.length
  }

  function isPlainView(view: ArrayBufferView): boolean {
    if (!VIEWS.has(view.constructor) || Object.getPrototypeOf(view) !== view.constructor.prototype) return false
    const { buffer } = view
    if (Object.getPrototypeOf(buffer) !== ArrayBuffer.prototype || (buffer as ArrayBuffer).resizable) return false
    // Two views of one buffer must still share it, unless all they share is the slab Node cut them from.
    if (!(Buffer.isBuffer(view) && buffer.byteLength === Buffer.poolSize)) parts[count++] = buffer
    return true
  }

  return (value) => {
    if (typeof value !== 'object' || value === null) return isPlainLeaf(value)
    count = 0
    return isPlainObject(value, 0) && (count === 1 || !hasRepeats(parts, count))
  }
}

/**
 * Whether a value without parts is plain. Apart from `isPlain`, and asked first, so that what V8 compiles for records without
 * parts of their own does not hold the whole walk (bench/saving.bench.mjs).
 */
function isPlainLeaf(value: unknown): boolean {
  if (typeof value === 'string') return isPlainString(value)
  if (typeof value === 'number') return value !== 0 || 1 / value > 0
  return value === null || value === undefined || typeof value === 'boolean' || isPlainBigInt(value)
}

function isPlainBigInt(value: unknown): boolean {
  return typeof value === 'bigint' && BigInt.asIntN(64, value) === value
}

function isPlainString(value: string): boolean {
  return value.isWellFormed() && value.charCodeAt(0) !== 0xfeff
}

function isPlainKey(key: string): boolean {
  if (ODD_KEYS.has(key) || !isPlainString(key)) return false
  if (plainKeys.size >= MAX_REMEMBERED) plainKeys.clear()
  plainKeys.add(key)
  return true
}

function hasRepeats(parts: readonly object[], count: number): boolean {
  if (count > 16) return new Set(count === parts.length ? parts : parts.slice(0, count)).size < count
  for (let at = 1; at < count; at++) {
    for (let before = 0; before < at; before++) {
      if (parts[before] === parts[at]) return true
    }
  }
  return false
}
