import type { Store } from '../../store/store.ts'
import type { Chunk, Outcomes, Rejection } from '../../types.ts'
import type { Format } from '../../values/contract.ts'
import type { Place } from '../claims/place.ts'
import type { Manifest } from '../identity/manifest.ts'
import type { ManifestOptions } from '../identity/open-manifest.ts'
import type { Haste } from '../patience/haste.ts'
import type { Restored } from '../record/restored.ts'

export type { RecordedRejection } from '../record/read-outcomes.ts'
export type { Restored } from '../record/restored.ts'

/** What a session needs to know. Durations in milliseconds. */
export interface SessionOptions extends ManifestOptions {
  readonly format: Format
  readonly compress: 'none' | 'gzip'
  readonly every: number
  readonly interval: number
  readonly durability: 'fsync' | 'none'
  readonly keep: number
  readonly onError: 'fail' | 'warn'
  /** `K/N`: sessions of shards that can have no item in common with it may be at work at once. */
  readonly shard?: string
  /** Ends the run with a CheckpointWriteError. Called at most once. */
  fail(error: Error): void
  /** Ends the wait for a session elsewhere that may still be at work. */
  readonly draining?: AbortSignal | undefined
  /** Shortens how long a store that fails is tried again. */
  readonly haste: Haste
  /** The store again, for what can wait; see `atLeisure`. */
  readonly leisurely: Store
  /** For tests of what must hold even then: go to work whoever else is at it, or say to be elsewhere. */
  readonly isLeaseIgnored?: boolean
  readonly place?: Place
}

/** What has settled in a run, of all sessions, as far as it is at hand. */
export interface Settled {
  /** Values in the places of their items. */
  readonly results: readonly unknown[]
  /** How many attempts those took that took more than one, by their places. */
  readonly attempts: ReadonlyMap<number, number>
  readonly failures: readonly Rejection[]
  /** Of keyed items, in their order. */
  readonly keys: readonly string[] | undefined
  /** How many items the run has, of all shards, when every one of this session's has settled. */
  readonly complete: number | undefined
  /** How many of this shard's items succeeded, those of earlier sessions included. */
  readonly succeeded: number
  /** Of this shard. */
  isMine(index: number, key: string | undefined): boolean
}

/** One process life of a run, as the store sees it: what earlier sessions left, and where this one's outcomes go. */
export interface Session {
  /** Names this session in the store. */
  readonly writer: string
  readonly manifest: Manifest
  readonly restored: Restored
  readonly stats: { readonly checkpoints: number; readonly bytesWritten: number }
  /**
   * undefined: go on. A promise: more is waiting to be written than memory should hold, or the store is failing; wait for
   * it before dispatching more. Never rejects.
   */
  readonly backlog: Promise<void> | undefined
  /**
   * Notes items that are about to run. On its way to the operating system when the call returns, unless another write is;
   * there when the promise resolves, if the store can grow its objects. Never rejects.
   */
  begin(chunk: Pick<Chunk, 'indices' | 'keys' | 'alone'>): Promise<void>
  /**
   * Takes word of items that were tried, have not settled, and are not in flight: they wait to be tried again, or stay pending.
   * A process that dies meanwhile does not die of them, and the next session knows of their attempts. Until `begin` has them
   * again. Resolves as `begin` does.
   */
  setAside(chunk: Chunk): Promise<void>
  /** Takes final outcomes. The flush happens behind it. */
  record(outcomes: Outcomes): void
  /**
   * The digest of items [1000 * block, 1000 * block + count) of an iterable.
   *
   * @throws CheckpointMismatchError when an earlier session saw other items there, or the source ended elsewhere.
   */
  recordSource(block: number, count: number, digest: string): void
  /**
   * The keys of all items of a keyed run, in their order. Recorded only when readers could not tell from what there is which
   * items the run has, and where.
   */
  recordItems(keys: readonly string[]): void
  /**
   * The source ended after `count` items. Keyed items may come and go.
   *
   * @throws CheckpointMismatchError when an earlier session came to its end elsewhere, or had an item behind it.
   */
  checkEnd(count: number): void
  /** The same, and it goes on record. */
  recordEnd(count: number): void
  /**
   * Flushes and notes a clean end, as `close` does, then looks whether the files are there that hold what was recorded so far,
   * and records again what is not there any more. True if there was such. `recordItems` and `recordEnd` are then to be called
   * again, and so is this: it looks again only if writes failed meanwhile.
   *
   * @throws CheckpointWriteError when something of a run that is complete is neither on record any more nor at hand. Of one that
   * is not, that is told: it runs again with the rest.
   */
  confirm(settled: Settled, hasFailed?: boolean): Promise<boolean>
  /** Everything recorded so far is durable when it resolves. Rejects with CheckpointWriteError. */
  flush(): Promise<void>
  /**
   * Flushes, notes a clean end, compacts when due, gives the lease back. Leaves no timer and no handle. `hasFailed`: more items
   * failed than is tolerated. `isVoid`: no item can be run, so the run is deleted if nothing at all is recorded of it and nobody
   * else is at work on it; unless it had to be there, since whoever goes on with it goes by its record.
   */
  close(hasFailed?: boolean, isVoid?: boolean): Promise<void>
}
