/// <reference lib="es2024.string" />
import { types } from 'node:util'
import { createReader, createWriter, type Reader, type Writer } from './bytes.ts'
import { NUMBERS, readNumbers, readStrings, STRINGS, writeNumbers, writeStrings } from './columns.ts'

/** As they were when this was loaded: a task may put others in their place. */
const { Set } = globalThis

/**
 * Columns of values that have parts, taken apart into columns of their parts: what records have under one name lies together,
 * and the name is there once. A varint has 7 bits a byte, lowest first; a `column` is a varint of how many bytes it has, and
 * they.
 *
 *   records   'r' · varint count · varint fields, 1 to 64 · for each field: varint bytes of its name · the name in UTF-8
 *             · column of what the records have there. All records have these names, in this order.
 *   lists     'l' · varint count · column of the lengths · unless all are 0, column of the elements, one list after the other
 *   choices   'c' · varint count · a byte for each: 0 false, 1 true, 2 null, 3 undefined, 4 the next of · column, if any is 4
 *
 * Columns lie in one another to a depth of MAX_LEVELS. Values that are not plain data of one shape, or that hold one object
 * twice, which must then stay one, have no such column.
 */
const RECORDS = 0x72
const LISTS = 0x6c
const CHOICES = 0x63

/** Records with more fields are rather dictionaries. */
const MAX_FIELDS = 64

/** Values deeper than this are not taken apart; cycles end here. */
const MAX_LEVELS = 8

const CHOSEN: readonly unknown[] = [false, true, null, undefined]

/** The choice of what comes from the column that follows. */
const OTHER = CHOSEN.length

type Bytes = Uint8Array<ArrayBuffer>

/**
 * The column of `values`; undefined when they are not plain data of one shape. Reads every property once; throws what a getter
 * throws.
 */
export function writeColumn(values: ArrayLike<unknown>): Bytes | undefined {
  return writeParts(values, 0, new Set())
}

/** `seen`: parts of values so far. One that is there twice may have to stay one, so such values are not taken apart. */
function writeParts(values: ArrayLike<unknown>, level: number, seen: Set<object>): Bytes | undefined {
  if (values.length === 0 || level > MAX_LEVELS) return undefined
  const first = values[0]
  if (typeof first === 'number') return writeNumbers(values) ?? writeChoices(values, level, seen)
  if (typeof first === 'string') return writeStrings(values) ?? writeChoices(values, level, seen)
  if (areRecords(values)) return writeRecords(values, level, seen)
  if (areLists(values)) return writeLists(values, level, seen)
  return writeChoices(values, level, seen)
}

function writeRecords(records: ArrayLike<Record<string, unknown>>, level: number, seen: Set<object>): Bytes | undefined {
  if (level > 0 && !areNew(records, seen)) return undefined
  const names = Object.keys(records[0] as object)
  const writer = createWriter()
  writer.varint(RECORDS)
  writer.varint(records.length)
  writer.varint(names.length)
  for (let at = 0; at < names.length; at++) {
    const name = names[at] as string
    const column = writeParts(pluck(records, name), level + 1, seen)
    if (column === undefined) return undefined
    put(writer, Buffer.from(name))
    put(writer, column)
  }
  return copyOf(writer.bytes())
}

function writeLists(lists: ArrayLike<readonly unknown[]>, level: number, seen: Set<object>): Bytes | undefined {
  if (level > 0 && !areNew(lists, seen)) return undefined
  const sizes = new Uint32Array(lists.length)
  const elements: unknown[] = []
  for (let at = 0; at < sizes.length; at++) {
    const list = lists[at] as readonly unknown[]
    const { length } = list
    for (let place = 0; place < length; place++) elements.push(list[place])
    if (list.length !== length) return undefined // A getter in it changed it.
    sizes[at] = length
  }
  const lengths = writeNumbers(sizes) as Bytes
  const column = elements.length > 0 ? writeParts(elements, level + 1, seen) : undefined
  if (elements.length > 0 && column === undefined) return undefined
  const writer = createWriter()
  writer.varint(LISTS)
  writer.varint(lists.length)
  put(writer, lengths)
  if (column) put(writer, column)
  return copyOf(writer.bytes())
}

/** The column of values of which some may be booleans, null or undefined; undefined when none is. */
function writeChoices(values: ArrayLike<unknown>, level: number, seen: Set<object>): Bytes | undefined {
  const choices = Buffer.allocUnsafe(values.length)
  const others: unknown[] = []
  for (let at = 0; at < values.length; at++) {
    const value = values[at]
    const choice = choiceOf(value)
    choices[at] = choice
    if (choice === OTHER) others.push(value)
  }
  if (others.length === values.length) return undefined
  const column = others.length > 0 ? writeParts(others, level + 1, seen) : undefined
  if (others.length > 0 && column === undefined) return undefined
  const writer = createWriter()
  writer.varint(CHOICES)
  writer.varint(values.length)
  writer.append(choices)
  if (column) put(writer, column)
  return copyOf(writer.bytes())
}

function choiceOf(value: unknown): number {
  if (typeof value === 'boolean') return value ? 1 : 0
  return value === null ? 2 : value === undefined ? 3 : OTHER
}

/** True when all are object literals, or like one, with the same names in the same order. */
function areRecords(values: ArrayLike<unknown>): values is ArrayLike<Record<string, unknown>> {
  const first = values[0]
  if (!isOf(Object.prototype, first)) return false
  const names = Object.keys(first)
  if (names.length === 0 || names.length > MAX_FIELDS || !names.every(isPlainName)) return false
  for (let at = 1; at < values.length; at++) if (!hasNames(values[at], names)) return false
  return true
}

function hasNames(value: unknown, names: readonly string[]): boolean {
  if (!isOf(Object.prototype, value)) return false
  let count = 0
  for (const name in value) if (name !== names[count++]) return false
  return count === names.length
}

/** A name that is the same as UTF-8, and that an object can be given whatever became of those that all objects have. */
function isPlainName(name: string): boolean {
  return !(name in Object.prototype) && name.isWellFormed()
}

/** True when all are arrays, with their elements and nothing else. */
function areLists(values: ArrayLike<unknown>): values is ArrayLike<readonly unknown[]> {
  for (let at = 0; at < values.length; at++) {
    const value = values[at]
    if (!Array.isArray(value) || !isOf(Array.prototype, value)) return false
    const { length } = value
    const keys = Object.keys(value)
    // Names come after places: if the last is a place, all are, and there are no holes.
    if (keys.length !== length || (length > 0 && keys[length - 1] !== String(length - 1))) return false
  }
  return true
}

/** Whether it is of `prototype`, and not what only seems so and structured clone refuses. */
function isOf(prototype: object, value: unknown): value is object {
  if (typeof value !== 'object' || value === null || types.isProxy(value) || types.isArgumentsObject(value)) return false
  return Object.getPrototypeOf(value) === prototype
}

/** Whether none of `parts` is among those seen, or there twice; from now on they are. */
function areNew(parts: ArrayLike<object>, seen: Set<object>): boolean {
  const expected = seen.size + parts.length
  for (let at = 0; at < parts.length; at++) seen.add(parts[at] as object)
  return seen.size === expected
}

/** Bytes behind a varint of how many they are. */
function put(writer: Writer, bytes: Uint8Array): void {
  writer.varint(bytes.length)
  writer.append(bytes)
}

function pluck(records: ArrayLike<Record<string, unknown>>, name: string): unknown[] {
  const values = new Array<unknown>(records.length)
  for (let at = 0; at < values.length; at++) values[at] = (records[at] as Record<string, unknown>)[name]
  return values
}

/** With a buffer of its own, which may be posted. */
function copyOf(bytes: Uint8Array): Bytes {
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  copy.set(bytes)
  return copy
}

/** The values of a column. Raises RangeError for bytes that no column has; what it makes is in proportion to them. */
export function readColumn(bytes: Buffer): unknown[] {
  return readParts(bytes, 0)
}

function readParts(bytes: Buffer, level: number): unknown[] {
  if (level > MAX_LEVELS) throw new RangeError('Columns lie too deep')
  if (bytes[0] === NUMBERS) return readNumbers(bytes)
  if (bytes[0] === STRINGS) return readStrings(bytes)
  const reader = createReader(bytes)
  const kind = reader.varint()
  const count = reader.varint()
  const values = readKind(kind, reader, count, level + 1)
  if (reader.left > 0 || count === 0) throw new RangeError('A column is longer than what it says it has')
  return values
}

function readKind(kind: number, reader: Reader, count: number, level: number): unknown[] {
  switch (kind) {
    case RECORDS:
      return readRecords(reader, count, level)
    case LISTS:
      return readLists(reader, count, level)
    case CHOICES:
      return readChoices(reader, count, level)
    default:
      throw new RangeError(`No column begins with the byte ${kind}`)
  }
}

function readRecords(reader: Reader, count: number, level: number): unknown[] {
  const fields = reader.varint()
  if (fields === 0 || fields > MAX_FIELDS) throw new RangeError(`No records have ${fields} fields`)
  const columns = new Map<string, unknown[]>()
  for (let rest = fields; rest > 0; rest--) {
    const name = reader.take(reader.varint()).toString()
    if (name === '__proto__' || columns.has(name)) throw new RangeError('Records have no such names')
    columns.set(name, readNext(reader, count, level))
  }
  return assemble(columns, count)
}

/**
 * Each record starts as a copy of one that has all names: that takes less time than giving them one after the other, and no name
 * is assigned that the record does not have, which a program may have made do something.
 */
function assemble(columns: ReadonlyMap<string, unknown[]>, count: number): Record<string, unknown>[] {
  const template: Record<string, unknown> = Object.fromEntries(Array.from(columns.keys(), (name) => [name, undefined]))
  const records = new Array<Record<string, unknown>>(count)
  for (let at = 0; at < count; at++) records[at] = { ...template }
  for (const [name, column] of columns) fill(records, name, column)
  return records
}

function fill(records: readonly Record<string, unknown>[], name: string, column: readonly unknown[]): void {
  for (let at = 0; at < records.length; at++) (records[at] as Record<string, unknown>)[name] = column[at]
}

function readLists(reader: Reader, count: number, level: number): unknown[] {
  const column = reader.take(reader.varint())
  const lengths = column[0] === NUMBERS ? readNumbers(column) : []
  if (lengths.length !== count) throw new RangeError('There are not as many lengths as lists')
  let total = 0
  for (const length of lengths) {
    if (!Number.isInteger(length) || length < 0) throw new RangeError('A length is wrong')
    total += length
  }
  const elements = total > 0 ? readNext(reader, total, level) : []
  const lists = new Array<unknown[]>(count)
  let end = 0
  for (let at = 0; at < count; at++) lists[at] = elements.slice(end, (end += lengths[at] as number))
  return lists
}

function readChoices(reader: Reader, count: number, level: number): unknown[] {
  const choices = reader.take(count)
  let others = 0
  for (let at = 0; at < count; at++) {
    const choice = choices[at] as number
    if (choice > OTHER) throw new RangeError(`There is no choice ${choice}`)
    if (choice === OTHER) others++
  }
  const column = others > 0 ? readNext(reader, others, level) : []
  const values = new Array<unknown>(count)
  for (let at = 0, taken = 0; at < count; at++)
    values[at] = choices[at] === OTHER ? column[taken++] : CHOSEN[choices[at] as number]
  return values
}

/** The column that comes next, which must have `count` values. */
function readNext(reader: Reader, count: number, level: number): unknown[] {
  const column = readParts(reader.take(reader.varint()), level)
  if (column.length !== count) throw new RangeError('A column has not as many values as those beside it')
  return column
}
