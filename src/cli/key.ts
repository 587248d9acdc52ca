import { InvalidOptionError } from '../errors.ts'
import { UsageError } from './failure.ts'

/** The identity of an item by its `field`: its text, of `.` that of the item itself. An object: there is none, and what there is instead. */
export function readKey(item: unknown, field: string): string | { readonly got: string } {
  const value = field === '.' ? item : isRecord(item) && Object.hasOwn(item, field) ? item[field] : undefined
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return String(value)
  const got = value === undefined ? (isRecord(item) ? 'no such field' : 'an item that has no fields') : JSON.stringify(value)
  return { got: got.slice(0, 80) }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Two items with one key: a program is told their indices, and here they have places as well. */
export function placeKeys(error: unknown, field: string | undefined, placeOf: (index: number) => string): unknown {
  if (!(error instanceof InvalidOptionError) || error.option !== 'key' || field === undefined) return error
  const withPlace = (index: string) => `item ${index} (${placeOf(Number(index))})`
  error.message = error.message
    .replace("option 'key'", `'--key ${field}'`)
    .replace(/both item (\d+) and item (\d+)/, (_, first, second) => `both ${withPlace(first)} and ${withPlace(second)}`)
  return error
}

/** To be told of an item without a usable key. `place` is where it stands, for people. */
export function noKey(field: string, index: number, place: string, got: string): UsageError {
  const wanted = field === '.' ? 'a string or a number as the item' : `a string or a number in field '${field}'`
  return new UsageError(`Cannot use '--key ${field}' for item ${index} (${place}): expected ${wanted}, got ${got}`)
}
