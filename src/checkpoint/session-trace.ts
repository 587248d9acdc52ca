import { IndexSet } from './index-set.ts'
import { timeOf } from './run-file.ts'

/** What a session left of itself. `running` holds whatever it began: indices, or hashes of keys; `alone` what it began alone. */
export interface SessionTrace {
  readonly writer: string
  isClosed: boolean
  /** More items had failed than was tolerated when it closed. */
  hasFailed: boolean
  /** `K/N`, once it closed; undefined for all of the run. */
  shard: string | undefined
  /** Bytes that its segments had, but for the last, once it closed. */
  sizes: readonly number[]
  /** A later session found it dead, and said so. */
  isKnownDead: boolean
  /** It ended by itself, by its own `close` or as a later session found out: nobody in flight is a suspect. */
  hasEnded: boolean
  /** When it began, in milliseconds since 1970. */
  readonly beganAt: number
  /** When it last told the time, in milliseconds since 1970. */
  lastSeenAt: number
  readonly running: { readonly indices: IndexSet; readonly hashes: Set<number> }
  readonly alone: Set<number>
  /** The highest index it began; -1: none. */
  lastIndex: number
}

/** Of a session of which nothing is known but that it was. */
export function newTrace(writer: string): SessionTrace {
  const beganAt = timeOf(writer)
  return {
    ...{ writer, isClosed: false, hasFailed: false, shard: undefined, sizes: [], isKnownDead: false, hasEnded: false },
    ...{ beganAt, lastSeenAt: beganAt, running: { indices: new IndexSet(), hashes: new Set() }, lastIndex: -1, alone: new Set() },
  }
}
