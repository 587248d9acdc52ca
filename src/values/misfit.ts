import { types } from 'node:util'
import { entriesOf, membersOf } from '../members.ts'
import { MAX_NESTING } from '../nesting.ts'
import { isIndex } from './array-key.ts'
import { type Misfit, TOO_DEEP } from './contract.ts'
import { stepInto, stepTo, withArticle } from './steps.ts'

/**
 * As they were when this was loaded: a task may put others in their place. Nor is any array asked for its iterator here, which
 * may be the task's own.
 */
const { ArrayBuffer, Map, Set, structuredClone } = globalThis
const { construct, get } = Reflect

/** What is allowed: `json` what JSON can hold, `clone` what structured clone carries and a file can keep. */
export type Rules = 'json' | 'clone'

/** Those of which structured clone makes objects. */
const CLASSES = [
  ...['Object', 'Array', 'Map', 'Set', 'Date', 'RegExp', 'Boolean', 'Number', 'String', 'BigInt', 'ArrayBuffer', 'DataView'],
  ...['Error', 'EvalError', 'RangeError', 'ReferenceError', 'SyntaxError', 'TypeError', 'URIError', 'AggregateError'],
  ...['Int8Array', 'Uint8Array', 'Uint8ClampedArray', 'Int16Array', 'Uint16Array', 'Int32Array', 'Uint32Array'],
  ...['BigInt64Array', 'BigUint64Array', 'Float16Array', 'Float32Array', 'Float64Array'],
].flatMap((name) => {
  const constructor: unknown = get(globalThis, name)
  return typeof constructor === 'function' ? [constructor] : []
})

/** The prototypes structured clone gives its objects. An object with another one belongs to the platform. */
const CARRIED = new Set<unknown>(CLASSES.map(({ prototype }) => prototype))

/** As it is now, too. */
const isOfCarried = CARRIED.has.bind(CARRIED)

/**
 * One that it made of each class, once one was needed: of another realm than this one where a test runner has all of this in a
 * `vm`.
 */
let clones: readonly object[] | undefined

/** True when structured clone could have made `value` itself, its parts aside. */
export function isCarried(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (isOfCarried(prototype)) return true
  clones ??= structuredClone(makeEach())
  const { length } = clones
  for (let at = 0; at < length; at++) if (Object.getPrototypeOf(clones[at]) === prototype) return true
  return false
}

/** What constructors want, where it is anything. */
const WANTED = new Map<unknown, unknown>([
  [DataView, new ArrayBuffer(0)],
  [AggregateError, []],
])

const wantedBy = WANTED.get.bind(WANTED)

function makeEach(): object[] {
  const made: object[] = []
  for (let at = 0; at < CLASSES.length; at++) {
    const Class = CLASSES[at]
    made[at] = Class === BigInt ? Object(0n) : construct(Class as () => void, [wantedBy(Class)])
  }
  return made
}

interface Walk {
  readonly rules: Rules
  /** The objects from the root to here: to meet one again is a cycle. */
  readonly open: Set<object>
  /** Objects that were found fit, with the levels that lie in each, itself included. */
  readonly fit: Map<object, number>
  /** The deepest level come upon in the object at hand. */
  deepest: number
}

/**
 * The first part of `value`, depth first, that `rules` do not allow; undefined when there is none. A getter that throws
 * is a misfit itself, and so is what lies too deep. Slow: for values that are not plain.
 */
export function findMisfit(value: unknown, rules: Rules): Misfit | undefined {
  try {
    const misfit = visit(value, '', { rules, open: new Set(), fit: new Map(), deepest: 0 })
    return misfit && { ...misfit, path: misfit.path.replace(/^\./, '') }
  } catch (cause) {
    // What is left to throw is hooks of proxies.
    return { path: '', got: `a value that cannot be read to its end (${String(cause)})`, cause }
  }
}

function visit(value: unknown, path: string, walk: Walk): Misfit | undefined {
  if (typeof value !== 'object' || value === null) {
    const got = nameUnfitPrimitive(value, walk.rules)
    return got === undefined ? undefined : { path, got }
  }
  const levels = walk.fit.get(value)
  if (levels !== undefined) return visitAgain(levels, walk)
  if (walk.open.has(value)) return walk.rules === 'json' ? { path, got: 'a reference back to what holds it' } : undefined
  if (walk.open.size >= MAX_NESTING) return TOO_DEEP
  const outer = walk.deepest
  walk.open.add(value)
  walk.deepest = walk.open.size
  const misfit = visitParts(value, path, walk)
  walk.open.delete(value)
  walk.fit.set(value, walk.deepest - walk.open.size)
  walk.deepest = Math.max(outer, walk.deepest)
  return misfit
}

/** JSON writes an object anew in each of its places, at the depth of each; structured clone refers to the first. */
function visitAgain(levels: number, walk: Walk): Misfit | undefined {
  if (walk.rules === 'clone') return undefined
  walk.deepest = Math.max(walk.deepest, walk.open.size + levels)
  return walk.deepest > MAX_NESTING ? TOO_DEEP : undefined
}

function nameUnfitPrimitive(value: unknown, rules: Rules): string | undefined {
  if (typeof value === 'function') return value.name === '' ? 'a function' : `the function '${value.name}'`
  if (typeof value === 'symbol') return 'a symbol'
  if (rules === 'clone') return undefined
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : String(value)
  if (typeof value === 'bigint') return 'a BigInt'
  return value === undefined ? 'undefined' : undefined
}

function visitParts(value: object, path: string, walk: Walk): Misfit | undefined {
  if (walk.rules === 'json') {
    const got = hasBrand(value) ? withArticle(nameOf(value)) : Array.isArray(value) ? nameOddArray(value) : undefined
    if (got !== undefined) return { path, got }
  }
  if (types.isSharedArrayBuffer(value)) return { path, got: 'a SharedArrayBuffer' }
  if (ArrayBuffer.isView(value))
    return types.isSharedArrayBuffer(value.buffer) ? { path, got: 'a view of a SharedArrayBuffer' } : undefined
  if (types.isMap(value)) return visitMap(value, path, walk)
  if (types.isSet(value)) return visitSet(value, path, walk)
  if (types.isNativeError(value)) return visitProperty(value, 'cause', `${path}.cause`, walk)
  return visitProperties(value, path, walk) ?? (isPlain(value) ? undefined : findUncloneable(value, path))
}

function visitProperties(value: object, path: string, walk: Walk): Misfit | undefined {
  const isArray = Array.isArray(value)
  const keys = Object.keys(value)
  for (let at = 0; at < keys.length; at++) {
    const key = keys[at] as string
    const misfit = visitProperty(value, key, path + stepTo(key, isArray), walk)
    if (misfit !== undefined) return misfit
  }
  return undefined
}

function visitProperty(holder: object, key: string, path: string, walk: Walk): Misfit | undefined {
  let value: unknown
  try {
    value = get(holder, key)
  } catch (cause) {
    return { path, got: `a property that throws when it is read (${String(cause)})`, cause }
  }
  return visit(value, path, walk)
}

function visitSet(set: Set<unknown>, path: string, walk: Walk): Misfit | undefined {
  const members = membersOf(set)
  for (let at = 0; at < members.length; at++) {
    const misfit = visit(members[at], `${path}.values[${at}]`, walk)
    if (misfit !== undefined) return misfit
  }
  return undefined
}

function visitMap(map: Map<unknown, unknown>, path: string, walk: Walk): Misfit | undefined {
  const entries = entriesOf(map)
  for (let at = 0; at < entries.length; at += 2) {
    const misfit = visit(entries[at], `${path}.keys[${at / 2}]`, walk)
    if (misfit !== undefined) return misfit
  }
  for (let at = 0; at < entries.length; at += 2) {
    const misfit = visit(entries[at + 1], path + stepInto(entries[at], at / 2), walk)
    if (misfit !== undefined) return misfit
  }
  return undefined
}

function findUncloneable(value: object, path: string): Misfit | undefined {
  try {
    const copy: object = structuredClone(value)
    return isCarried(copy) ? undefined : { path, got: withArticle(nameOf(value)) }
  } catch (cause) {
    return { path, got: withArticle(nameOf(value)), cause }
  }
}

/** Says how an array is more or less than its elements; undefined when it is not. */
function nameOddArray(array: readonly unknown[]): string | undefined {
  const keys = Object.keys(array)
  for (let at = 0; at < keys.length; at++) {
    const key = keys[at] as string
    if (!isIndex(key)) return `an array with a property '${key}'`
  }
  for (let at = 0; at < array.length; at++) if (!(at in array)) return `an array without an element ${at}`
  return undefined
}

/** True for what JSON has no form for though structured clone carries it. */
function hasBrand(value: object): boolean {
  return (
    types.isMap(value) ||
    types.isSet(value) ||
    types.isDate(value) ||
    types.isRegExp(value) ||
    types.isNativeError(value) ||
    types.isBoxedPrimitive(value) ||
    types.isAnyArrayBuffer(value) ||
    ArrayBuffer.isView(value)
  )
}

/** True when structured clone reads own properties of `value` and nothing else. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return (prototype === Object.prototype || prototype === null || prototype === Array.prototype) && !types.isProxy(value)
}

function nameOf(value: object): string {
  const prototype: unknown = Object.getPrototypeOf(value)
  const constructor: unknown = typeof prototype === 'object' && prototype !== null ? get(prototype, 'constructor') : undefined
  if (types.isProxy(value)) return 'Proxy'
  return typeof constructor === 'function' && constructor.name !== '' ? constructor.name : 'object'
}
