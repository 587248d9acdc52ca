import { types } from 'node:util'

/** As they were when this was loaded: a task may put others in their place. */
const { Set } = globalThis

/** What copyData gives for a value that is not plain data. */
export const NO_DATA = Symbol('no data')

/** Deeper values take the slow road, which knows cycles. */
const MAX_DEPTH = 100

/**
 * With more parts a value is looked at for objects that lie in it more than once: nested pairs of one part double with every
 * level, and a hundred levels of them would be copied for ever. Higher takes longer to come upon them (a million, some 20 ms);
 * lower looks at large values that have none.
 */
const MAX_PARTS = 2 ** 20

/** Parts of the value at hand that were copied. */
let parts = 0
let most = MAX_PARTS

/**
 * A copy of `value` when JSON.stringify writes that as it is: nothing that it would change, leave out or call, and nothing
 * that gives another value when it is read again, as a getter may. What is checked is the copy. NO_DATA for other values,
 * and for some large or deep ones. Throws what a getter throws.
 */
export function copyData(value: unknown): unknown {
  if (isLeaf(value)) return value
  parts = 0
  most = MAX_PARTS
  const copy = copyParts(value, 0)
  if (copy !== NO_DATA || parts <= MAX_PARTS || !isTree(value, 0, new Set())) return copy
  parts = 0
  most = Number.POSITIVE_INFINITY
  return copyParts(value, 0)
}

function copyParts(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null || depth >= MAX_DEPTH || parts > most) return NO_DATA
  if (types.isProxy(value)) return NO_DATA // Which structured clone refuses.
  return Array.isArray(value) ? copyArray(value, depth) : copyRecord(value, depth)
}

function copyArray(array: unknown[], depth: number): unknown {
  // As many keys as elements: no hole is among them, or else one is named.
  if (Object.getPrototypeOf(array) !== Array.prototype || Object.keys(array).length !== array.length) return NO_DATA
  const copy = array.toSpliced(0, 0) // Asks neither an iterator nor a constructor, which may be the program's own.
  if (hasToJson(copy)) return NO_DATA
  parts += copy.length
  for (let at = 0; at < copy.length; at++) {
    const value = copy[at]
    if (isLeaf(value)) continue
    const part = copyParts(value, depth + 1)
    if (part === NO_DATA) return NO_DATA
    copy[at] = part
  }
  return copy
}

function copyRecord(record: object, depth: number): unknown {
  if (Object.getPrototypeOf(record) !== Object.prototype || types.isArgumentsObject(record)) return NO_DATA
  const copy: Record<string, unknown> = { ...record }
  if (hasToJson(copy)) return NO_DATA
  for (const key in copy) {
    parts++
    const value = copy[key]
    if (isLeaf(value)) continue
    const part = copyParts(value, depth + 1)
    if (part === NO_DATA) return NO_DATA
    copy[key] = part
  }
  return copy
}

/**
 * A value without parts that JSON holds as it is. Asked first, so that what V8 compiles for flat records does not hold the whole
 * walk.
 */
function isLeaf(value: unknown): boolean {
  if (typeof value === 'number') return value - value === 0 && (value !== 0 || 1 / value > 0)
  return typeof value === 'string' || typeof value === 'boolean' || value === null
}

/** JSON.stringify would call it, enumerable or not. */
function hasToJson(value: object): boolean {
  return (value as { toJSON?: unknown }).toJSON !== undefined
}

/** True when no object lies in `value` twice, so that it has no more parts than memory holds. */
function isTree(value: unknown, depth: number, seen: Set<object>): boolean {
  if (typeof value !== 'object' || value === null) return true
  if (depth >= MAX_DEPTH || seen.has(value)) return false
  seen.add(value)
  return Object.values(value).every((part) => isTree(part, depth + 1, seen))
}
