import type { Store } from '../../store/store.ts'
import type { History } from '../../types.ts'
import { failureIn } from './item-places.ts'
import { type RecordedOutcomes, readOutcomes } from './read-outcomes.ts'
import type { RunIndex } from './run-index.ts'
import { findSuspects } from './suspects.ts'
import { findWinners } from './winners.ts'

/** What earlier sessions of a run left behind. In keyed runs an item is found by its key, else by its index. */
export interface Restored {
  readonly fulfilled: number
  readonly rejected: number
  /** Items whose record is damaged, and that are not settled by another; see `Loss`. */
  readonly damaged: number
  /** Items with two different successes on record. */
  readonly conflicts: number
  /** How many items the source gave; undefined unless it ended. */
  readonly total: number | undefined
  /** It gave no fewer: an item is on record with the index before this one. 0 in keyed runs. */
  readonly atLeast: number
  statusOf(index: number, key?: string): 'fulfilled' | 'rejected' | undefined
  /**
   * The past of a rejected item, of one that was tried, or of one that processes died of, as far as it counts in this session.
   */
  historyOf(index: number, key?: string): History | undefined
  /** Items were tried and have not settled since. */
  readonly hasAttempted: boolean
  /** True when the item was in flight as an earlier process died, and has not settled since. */
  isSuspect(index: number, key?: string): boolean
  /** No suspect had a higher index; -1: there are none. */
  readonly lastSuspect: number
  /** To be run after all other suspects; see `Suspects`. */
  isPutOff(index: number, key?: string): boolean
  /** The digest of block `block` of the source, as an earlier session saw it. */
  sourceDigest(block: number): string | undefined
  /**
   * All that settled, each item once. Batches come in file order; values are decoded as long as `values` is true, which is asked
   * again with each part of a file.
   */
  read(options?: { readonly values?: boolean }): AsyncIterable<RecordedOutcomes>
}

/** How an item settled, as far as it is on record. */
export function statusIn(index: RunIndex, at: number, key: string | undefined): 'fulfilled' | 'rejected' | undefined {
  if (index.fulfilled.has(at, key)) return 'fulfilled'
  return failureIn(index, at, key) && 'rejected'
}

/**
 * For a session that goes on with the run.
 *
 * @param spared writers of other sessions that did not die, as in `findSuspects`.
 * @param damaged as in `Loss`.
 */
export async function restore(
  store: Store,
  runId: string,
  fingerprint: string,
  index: RunIndex,
  spared: ReadonlySet<string>,
  damaged: number,
): Promise<Restored> {
  const { fulfilled, failures } = index
  const suspects = findSuspects(index, spared)
  const winners = await findWinners(store, runId, fingerprint, index)
  return {
    fulfilled: fulfilled.size,
    rejected: failures.size,
    damaged,
    conflicts: winners.size,
    total: index.total,
    atLeast: index.atLeast,
    statusOf: (at, key) => statusIn(index, at, key),
    historyOf: (at, key) => suspects.historyOf(at, key),
    hasAttempted: index.attempted.size > 0,
    isSuspect: (at, key) => !fulfilled.has(at, key) && suspects.has(at, key),
    lastSuspect: suspects.lastIndex,
    isPutOff: (at, key) => suspects.isPutOff(at, key),
    sourceDigest: (block) => index.sources.get(block)?.digest,
    read: (how = {}) => readOutcomes(store, runId, fingerprint, index, winners, how),
  }
}
