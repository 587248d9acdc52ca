import { types } from 'node:util'
import { entriesOf, membersOf } from '../members.ts'
import { countMoves, findMoved, giveAway, isGivenAway, MIN_GIVEN } from '../move.ts'

/**
 * Items of a chunk travel together, and so do their results; a task must not notice. What it does to one item is not seen in
 * the next, and what it returned stays as it was when it returned it, though it goes on with the same buffer or object.
 */

/** As they were when this was loaded: a task may put others in their place. */
const { ArrayBuffer, Buffer, Map, Set, structuredClone } = globalThis
const everything = Object.prototype
const arrays = Array.prototype
const dates = Date.prototype
const { getPrototypeOf, keys } = Object
const { isArray } = Array
const { isView } = ArrayBuffer
const { apply } = Reflect
const { toSpliced } = arrays
const { getTime } = dates
const { slice } = ArrayBuffer.prototype

/** What `copyApart` gives for a value of which it can make no exact copy. */
export const ODD = Symbol('odd')

/**
 * Deeper values, such with more parts, and longer arrays are ODD: to look for parts that are in a value twice, or for holes,
 * takes structured clone less time.
 */
const MAX_DEPTH = 20
const MAX_PARTS = 32
const MAX_LENGTH = 64

type Bytes = ArrayBuffer | ArrayBufferView

/** How a view on bytes of its own is made, by what the views it is to be like inherit from. */
const VIEWS = new Map<unknown, (buffer: ArrayBuffer) => ArrayBufferView>([
  ...[Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array].map(viewAs),
  ...[Float32Array, Float64Array, BigInt64Array, BigUint64Array, DataView].map(viewAs),
  [Buffer.prototype, (buffer) => Buffer.from(buffer)],
])

function viewAs(View: new (buffer: ArrayBuffer) => ArrayBufferView) {
  return [View.prototype, (buffer: ArrayBuffer) => new View(buffer)] as const
}

/**
 * A copy of a result, of which structured clone and codecs make what they make of the result; views are cut to their own
 * bytes. ODD when that takes `cloneApart`.
 */
export function copyApart(value: object): unknown {
  try {
    return copyPart(value, [], 0)
  } catch {
    return ODD // A getter threw, or a proxy.
  }
}

/**
 * A copy of a result that is ODD; itself when it cannot be cloned, and will be refused. What in it was given to `move` leaves it.
 */
export function cloneApart(value: unknown): unknown {
  try {
    return structuredClone(value, { transfer: countMoves() > 0 ? findMoved([value]) : [] })
  } catch {
    return value
  }
}

/** `parts`: the objects of the value that were met so far. */
function copyPart(value: object, parts: object[], depth: number): unknown {
  if (depth === MAX_DEPTH || !isNew(value, parts) || types.isProxy(value)) return ODD
  const prototype: unknown = getPrototypeOf(value)
  if (prototype === everything) return copyRecord(value, parts, depth)
  if (prototype === arrays) return copyArray(value as unknown[], parts, depth)
  if (prototype === dates) return new Date(apply(getTime, value, []))
  return isView(value) || types.isArrayBuffer(value) ? copyBytes(value, prototype, parts) : ODD
}

function isNew(value: object, parts: object[]): boolean {
  const { length } = parts
  for (let at = 0; at < length; at++) if (parts[at] === value) return false
  parts[length] = value
  return length < MAX_PARTS
}

function copyRecord(record: object, parts: object[], depth: number): unknown {
  if (types.isArgumentsObject(record)) return ODD
  const copy: Record<string, unknown> = { ...record }
  for (const key in copy) {
    const value = copy[key]
    if (isLeaf(value)) continue
    const part = isObject(value) && key !== '__proto__' ? copyPart(value, parts, depth + 1) : ODD
    if (part === ODD) return ODD
    copy[key] = part
  }
  return copy
}

function copyArray(array: unknown[], parts: object[], depth: number): unknown {
  // As many keys as elements: no hole is among them, or else a key is a name, which the copy would lack.
  if (array.length > MAX_LENGTH || keys(array).length !== array.length) return ODD
  const copy: unknown[] = apply(toSpliced, array, [0, 0]) // Asks neither an iterator nor a constructor, which may be the task's own.
  for (let at = 0; at < copy.length; at++) {
    const value = copy[at]
    if (value === undefined && !(at in array)) return ODD
    if (isLeaf(value)) continue
    const part = isObject(value) ? copyPart(value, parts, depth + 1) : ODD
    if (part === ODD) return ODD
    copy[at] = part
  }
  return copy
}

/** What is shared between threads, or was given away, is left as it is. */
function copyBytes(value: Bytes, prototype: unknown, parts: object[]): unknown {
  const buffer = isView(value) ? value.buffer : value
  if (!types.isArrayBuffer(buffer) || isGivenAway(buffer)) return value
  if (!isView(value)) return (buffer as { resizable?: boolean }).resizable ? ODD : cutOut(buffer, 0, buffer.byteLength)
  const view = VIEWS.get(prototype)
  // Two views of one buffer are to share a copy of it.
  if (!view || (buffer as { resizable?: boolean }).resizable || !isNew(buffer, parts)) return ODD
  return view(cutOut(buffer, value.byteOffset, value.byteOffset + value.byteLength))
}

function cutOut(buffer: ArrayBuffer, start: number, end: number): ArrayBuffer {
  const copy: ArrayBuffer = apply(slice, buffer, [start, end])
  if (copy.byteLength >= MIN_GIVEN) giveAway(copy)
  return copy
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

/** A value without parts. Structured clone refuses functions and symbols. */
function isLeaf(value: unknown): boolean {
  return value === null || (typeof value !== 'object' && typeof value !== 'function' && typeof value !== 'symbol')
}

/**
 * Whether no two of the items have a part in common, so that nothing that is done to one is seen in another. May be false where
 * one item has a part twice, or is nested too deep to tell. What is shared between threads does not count, and of a buffer each
 * view has its own bytes.
 */
export function areApart(items: ArrayLike<unknown>): boolean {
  if (!isArray(items) || items.length < 2) return true
  const seen = new Set<object>()
  const ranges = new Map<object, Range[]>()
  try {
    if (!meetAll(items, seen, ranges)) return false
    for (const onBuffer of ranges.values()) if (!areDisjoint(onBuffer)) return false
    return true
  } catch {
    return false
  }
}

/** Bytes of a buffer. */
type Range = Pick<ArrayBufferView, 'byteOffset' | 'byteLength'>

/** False when a part of `value` was met before. */
function meet(value: object, seen: Set<object>, ranges: Map<object, Range[]>): boolean {
  if (types.isSharedArrayBuffer(value)) return true
  const { size } = seen
  if (seen.add(value).size === size) return false
  if (isView(value)) return meetBytes(value.buffer, value, ranges)
  if (types.isArrayBuffer(value)) return meetBytes(value, { byteOffset: 0, byteLength: value.byteLength }, ranges)
  if (isArray(value)) return meetAll(value, seen, ranges)
  if (types.isMap(value) && !meetAll(entriesOf(value), seen, ranges)) return false
  if (types.isSet(value) && !meetAll(membersOf(value), seen, ranges)) return false
  if (types.isNativeError(value) && !meetAll([value.cause], seen, ranges)) return false // Which is not enumerable.
  for (const key in value) {
    const part = value[key as keyof object] as unknown
    if (isObject(part) && !meet(part, seen, ranges)) return false
  }
  return true
}

/** Whether they are disjoint is seen in the end. */
function meetBytes(buffer: ArrayBufferLike, range: Range, ranges: Map<object, Range[]>): true {
  const known = ranges.get(buffer)
  if (known) known[known.length] = range
  else if (!types.isSharedArrayBuffer(buffer)) ranges.set(buffer, [range])
  return true
}

function meetAll(parts: readonly unknown[], seen: Set<object>, ranges: Map<object, Range[]>): boolean {
  for (let at = 0; at < parts.length; at++) {
    const part = parts[at]
    if (isObject(part) && !meet(part, seen, ranges)) return false
  }
  return true
}

function areDisjoint(ranges: Range[]): boolean {
  ranges.sort((a, b) => a.byteOffset - b.byteOffset)
  for (let at = 1; at < ranges.length; at++) {
    const before = ranges[at - 1] as Range
    if (before.byteOffset + before.byteLength > (ranges[at] as Range).byteOffset) return false
  }
  return true
}
