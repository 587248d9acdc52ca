import { IndexSet } from '../format/index-set.ts'
import { timeOf } from '../format/run-file.ts'

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
  /** How many items it had settled, once it closed, or was found dead; undefined when nobody said. */
  settled: number | undefined
  /** How many items of the run were on record once it closed, as far as it knew; 0 when it did not say. */
  done: number
  /** How many of its outcomes were read, and how many more only their heads name. */
  recorded: number
  broken: number
  /** A later session found it dead, and said so. */
  isKnownDead: boolean
  /** It ended by itself, by its own `close` or as a later session found out: nobody in flight is a suspect. */
  hasEnded: boolean
  /** It said that it drains: whatever ended it then, nobody in flight is a suspect. */
  isDraining: boolean
  /** When it began, in milliseconds since 1970. */
  readonly beganAt: number
  /** When it last told the time, in milliseconds since 1970. */
  lastSeenAt: number
  running: Begun
  /**
   * Of `running`, what it began behind the last damage in its files: no outcome of that is lost. undefined: no damage was met.
   */
  late: Begun | undefined
  readonly alone: Set<number>
  /** Of `running`, what it had set aside when it was last heard of: not in flight any more. */
  readonly aside: Set<number>
  /** The highest index it began; -1: none. */
  lastIndex: number
}

/** Items by index, or by the hashes of their keys. */
interface Begun {
  readonly indices: IndexSet
  readonly hashes: Set<number>
}

export const newBegun = (): Begun => ({ indices: new IndexSet(), hashes: new Set() })

/** What one segment says of items that were begun: apart, since segments are read in another order than they were written in. */
export type SegmentTrace = Pick<SessionTrace, 'running' | 'aside'>

export const newSegmentTrace = (): SegmentTrace => ({ running: newBegun(), aside: new Set() })

/** Adds what the next segment of the session says; it is given up for it. */
export function addSegment(session: SessionTrace, { running, aside }: SegmentTrace): void {
  for (const id of session.aside) if (running.indices.has(id) || running.hashes.has(id)) session.aside.delete(id)
  for (const id of aside) session.aside.add(id)
  if (session.running.indices.size + session.running.hashes.size === 0) session.running = running
  else {
    session.running.indices.takeAll(running.indices)
    for (const hash of running.hashes) session.running.hashes.add(hash)
  }
}

/** Of a session of which nothing is known but that it was. */
export function newTrace(writer: string): SessionTrace {
  const beganAt = timeOf(writer)
  return {
    ...{ writer, isClosed: false, hasFailed: false, shard: undefined, sizes: [], isKnownDead: false, hasEnded: false },
    ...{ isDraining: false, settled: undefined, done: 0, recorded: 0, broken: 0, running: newBegun(), late: undefined },
    ...{ beganAt, lastSeenAt: beganAt, lastIndex: -1, alone: new Set(), aside: new Set() },
  }
}
