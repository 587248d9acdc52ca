import { isRecord } from '../is-record.ts'
import { UsageError } from './failure.ts'

/**
 * The identity of an item by its `field`: its text, of `.` that of the item itself. An object: there is none, and what there is
 * instead.
 */
export function readKey(item: unknown, field: string): string | { readonly got: string } {
  const value = field === '.' ? item : isRecord(item) && Object.hasOwn(item, field) ? item[field] : undefined
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return String(value)
  const got = value === undefined ? (isRecord(item) ? 'no such field' : 'an item that has no fields') : JSON.stringify(value)
  return { got: got.slice(0, 80) }
}

/** To be told of an item without a usable key. `place` is where it stands, for people. */
export function noKey(field: string, index: number, place: string, got: string): UsageError {
  const wanted = field === '.' ? 'a string or a number as the item' : `a string or a number in field '${field}'`
  return new UsageError(`Cannot use '--key ${field}' for item ${index} (${place}): expected ${wanted}, got ${got}`)
}
