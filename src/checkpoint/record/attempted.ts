import { notedId } from '../format/hash-key.ts'
import { failureIn } from './item-places.ts'
import type { Attempted, RunIndex } from './run-index.ts'

/** What is on record of attempts at an item since it last was a failure. */
export function attemptedIn(index: RunIndex, at: number, key: string | undefined): Attempted | undefined {
  if (index.attempted.size === 0) return undefined
  const found = index.attempted.get(notedId(index.isKeyed, at, key))
  return found !== undefined && found.session > (failureIn(index, at, key)?.session ?? '') ? found : undefined
}
