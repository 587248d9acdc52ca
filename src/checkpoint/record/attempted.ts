import { notedId } from '../format/hash-key.ts'
import { failureIn } from './item-places.ts'
import type { RunIndex } from './run-index.ts'

/** Attempts at an item that has not settled since, as an `attempted` frame tells them. */
export interface Attempted {
  readonly attempts: number
  readonly crashes: number
  /** When the first of them failed, in milliseconds since 1970; undefined: all of them were lost with a worker. */
  readonly since: number | undefined
  /** The writer that recorded them. */
  readonly session: string
}

/** What is on record of attempts at an item since it last was a failure. */
export function attemptedIn(index: RunIndex, at: number, key: string | undefined): Attempted | undefined {
  if (index.attempted.size === 0) return undefined
  const found = index.attempted.get(notedId(index.isKeyed, at, key))
  return found !== undefined && found.session > (failureIn(index, at, key)?.session ?? '') ? found : undefined
}
