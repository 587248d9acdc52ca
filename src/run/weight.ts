import { entriesOf, membersOf } from '../members.ts'

/** Parts of a value that are looked at, of each level, and how many levels. */
const PARTS = 8
const LEVELS = 3

/** Bytes of what has no parts, or is not looked into: about what a number, or a reference, takes. */
const LEAF = 8

/**
 * About how many bytes a column of values holds, from its first and its last: what is done for each message must not become more
 * for each value in it.
 */
export function weighColumn(values: ArrayLike<unknown>): number {
  const { length } = values
  if (ArrayBuffer.isView(values)) return values.byteLength
  return length === 0 ? 0 : ((weigh(values[0], LEVELS) + weigh(values[length - 1], LEVELS)) / 2) * length
}

function weigh(value: unknown, levels: number): number {
  if (typeof value === 'string') return value.length + LEAF
  if (typeof value !== 'object' || value === null) return LEAF
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return value.byteLength + LEAF
  if (levels === 0) return LEAF
  if (value instanceof Map) return LEAF + weighEntries(entriesOf(value), levels - 1)
  return LEAF + weighSome(partsOf(value), levels - 1)
}

function partsOf(value: object): readonly unknown[] {
  if (Array.isArray(value)) return value
  return value instanceof Set ? membersOf(value) : Object.values(value)
}

/** Keys and values apart: every so many of both together could be keys alone. */
function weighEntries(entries: readonly unknown[], levels: number): number {
  const half = (rest: number) => entries.filter((_, at) => at % 2 === rest)
  return weighSome(half(0), levels) + weighSome(half(1), levels)
}

/** From a few of the parts, evenly spread. */
function weighSome(parts: readonly unknown[], levels: number): number {
  const { length } = parts
  const looked = Math.min(PARTS, length)
  let bytes = 0
  for (let at = 0; at < looked; at++) bytes += weigh(parts[Math.floor((at * length) / looked)], levels)
  return looked === 0 ? 0 : (bytes * length) / looked
}
