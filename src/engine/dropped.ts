import { types } from 'node:util'
import { entriesOf, membersOf } from '../members.ts'
import { stepInto, stepTo, withArticle } from '../values/steps.ts'

/** As they were when this was loaded: a task may put others in their place. */
const { ArrayBuffer, Object, Set, structuredClone } = globalThis
const everything = Object.prototype
const arrays = Array.prototype
const { getOwnPropertyDescriptor, getPrototypeOf, keys } = Object
const { isArray } = Array
const { isView } = ArrayBuffer
const { get } = Reflect

/** A part of a value of which structured clone makes an object without anything: where it is ('' for all of it), and what. */
export interface Dropped {
  readonly path: string
  readonly got: string
}

/**
 * The classes of Node that hold what they hold where structured clone does not look. Node 20 takes all of them for plain
 * objects, Node 24 most; those it refuses are not met in `findDropped`. Each is known by its name first, and only then compared
 * with the global of that name: to read that of a `Headers` that nobody asked for loads all of fetch.
 */
const CLASSES = new Set([
  ...['URL', 'URLSearchParams', 'Headers', 'Request', 'Response', 'FormData', 'AbortController', 'AbortSignal', 'DOMException'],
  ...['EventTarget', 'Event', 'CustomEvent', 'MessageEvent', 'BroadcastChannel', 'TextDecoder', 'TextEncoder'],
  ...['TextDecoderStream', 'TextEncoderStream', 'CompressionStream', 'DecompressionStream', 'ReadableStreamDefaultReader'],
  ...['ReadableStreamBYOBReader', 'WritableStreamDefaultWriter', 'ByteLengthQueuingStrategy', 'CountQueuingStrategy'],
  ...['Performance', 'PerformanceEntry', 'PerformanceMark', 'PerformanceMeasure', 'PerformanceObserver'],
  ...['Crypto', 'SubtleCrypto', 'Navigator'],
])

/** Classes that programs extend by fields of their own, which are what counts then. */
const EXTENDED = new Set(['EventTarget', 'Event'])

/** As they are now, too. */
const isOfClass = CLASSES.has.bind(CLASSES)
const isExtended = EXTENDED.has.bind(EXTENDED)

/** Longer arrays are asked for their elements only: the names of all of them take longer than to clone them. */
const MAX_NAMED = 64

/**
 * The first part of a value that structured clone takes and of which it leaves nothing, such as a URL on Node 20; undefined
 * when there is none, and when structured clone will refuse the value.
 */
export function findDropped(value: object): Dropped | undefined {
  try {
    const found = visit(value, new Set())
    return found && { ...found, path: found.path.replace(/^\./, '') }
  } catch {
    return undefined // A getter threw, or it is nested too deep: structured clone meets that, too.
  }
}

function visit(value: unknown, seen: Set<object>): Dropped | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { size } = seen
  if (seen.add(value).size === size || types.isProxy(value)) return undefined
  const prototype: unknown = getPrototypeOf(value)
  if (prototype === everything || prototype === null) return visitProperties(value, seen)
  if (prototype === arrays) return visitArray(value as unknown[], seen)
  if (isView(value) || types.isAnyArrayBuffer(value) || types.isDate(value) || types.isRegExp(value)) return undefined
  if (types.isMap(value)) return visitMap(value, seen)
  if (types.isSet(value)) return visitSet(value, seen)
  if (types.isNativeError(value)) return visitCause(value, seen)
  if (isArray(value)) return visitArray(value, seen)
  const name = nameEmptied(value)
  return name === undefined ? visitProperties(value, seen) : { path: '', got: withArticle(name) }
}

function behind(step: string, { path, got }: Dropped): Dropped {
  return { path: step + path, got }
}

/** Of an error structured clone takes no other fields. */
function visitCause(error: Error, seen: Set<object>): Dropped | undefined {
  const found = visit(error.cause, seen)
  return found && behind('.cause', found)
}

function visitArray(array: readonly unknown[], seen: Set<object>): Dropped | undefined {
  if (array.length <= MAX_NAMED) return visitProperties(array, seen)
  for (let at = 0; at < array.length; at++) {
    const value = array[at]
    if (value === undefined && !(at in array)) return visitProperties(array, seen) // The length may be anything.
    if (typeof value !== 'object' || value === null) continue
    const found = visit(value, seen)
    if (found) return behind(`[${at}]`, found)
  }
  return undefined
}

function visitProperties(holder: object, seen: Set<object>): Dropped | undefined {
  const names = keys(holder)
  for (let at = 0; at < names.length; at++) {
    const name = names[at] as string
    const value: unknown = get(holder, name)
    if (typeof value !== 'object' || value === null) continue
    const found = visit(value, seen)
    if (found) return behind(stepTo(name, isArray(holder)), found)
  }
  return undefined
}

function visitSet(set: Set<unknown>, seen: Set<object>): Dropped | undefined {
  const members = membersOf(set)
  for (let at = 0; at < members.length; at++) {
    const found = visit(members[at], seen)
    if (found) return behind(`.values[${at}]`, found)
  }
  return undefined
}

function visitMap(map: Map<unknown, unknown>, seen: Set<object>): Dropped | undefined {
  const entries = entriesOf(map)
  for (let at = 0; at < entries.length; at += 2) {
    const inKey = visit(entries[at], seen)
    if (inKey) return behind(`.keys[${at / 2}]`, inKey)
    const inValue = visit(entries[at + 1], seen)
    if (inValue) return behind(stepInto(entries[at], at / 2), inValue)
  }
  return undefined
}

/** What of Node's own an object is that structured clone takes for a plain one; undefined when it is nothing of that. */
function nameEmptied(value: object): string | undefined {
  const direct: unknown = getPrototypeOf(value)
  for (let prototype = direct; typeof prototype === 'object' && prototype !== null; prototype = getPrototypeOf(prototype)) {
    const constructor: unknown = getOwnPropertyDescriptor(prototype, 'constructor')?.value
    if (typeof constructor !== 'function' || !isOfClass(constructor.name)) continue
    if (get(globalThis, constructor.name) !== constructor) continue
    if (prototype !== direct && isExtended(constructor.name)) return undefined
    return isRoot(getPrototypeOf(structuredClone(value))) ? constructor.name : undefined
  }
  return undefined
}

/** Whether plain objects inherit from it: those that structured clone makes may be of another realm. */
function isRoot(prototype: unknown): boolean {
  return getPrototypeOf(prototype) === null
}
