import type { Store } from '../store/store.ts'
import { entryOf } from './entries.ts'
import type { Lease } from './lease.ts'
import { findLeft } from './left.ts'
import type { RunIndex } from './load.ts'
import type { RunLog } from './log.ts'
import type { SessionTrace } from './session-trace.ts'

/**
 * Sessions that came to an end by themselves, though their log has no word of it: their claim has, or there is none any more. A
 * killed session leaves one, up to when it is noted that it died.
 */
export function findEnded(index: RunIndex, lease: Lease): string[] {
  return [...new Set([...lease.ended, ...findUnclaimed(index, lease)])]
}

/** Those that neither said that they ended, nor have a claim, nor are known to have died. */
export function findUnclaimed({ sessions }: RunIndex, { others, dead }: Pick<Lease, 'others' | 'dead'>): string[] {
  const isUnclaimed = ({ writer, hasEnded, isKnownDead }: SessionTrace) =>
    !hasEnded && !isKnownDead && !others.includes(writer) && !dead.includes(writer)
  return sessions.filter(isUnclaimed).map(({ writer }) => writer)
}

/** The writers of sessions that said that they ended, or were found dead: none of them writes any more. */
export function findOver({ sessions }: RunIndex): Set<string> {
  return new Set(sessions.filter(({ isClosed, isKnownDead }) => isClosed || isKnownDead).map(({ writer }) => writer))
}

/**
 * Says once which sessions were found dead, or at an end without a word of it, and what they left, and only then lets go of their
 * claims: a segment that ends without a word, of a session that left no claim and that nobody found dead, is told as damage. Of
 * one without a claim nobody knows that it is dead: somebody may have deleted the claim, and it writes on.
 *
 * @param store the claims are deleted through it.
 */
export async function noteEnds(index: RunIndex, lease: Lease, log: RunLog, store: Store): Promise<void> {
  const ended = findEnded(index, lease)
  const withLeft = (writers: readonly string[]) => {
    const left = findLeft(index, writers)
    return left.length > 0 ? { writers, left } : { writers }
  }
  if (lease.dead.length > 0) log.add([entryOf({ kind: 'died', ...withLeft(lease.dead) })])
  if (ended.length > 0) log.add([entryOf({ kind: 'died', ...withLeft(ended), hasEnded: true })])
  if (lease.dead.length === 0) return
  try {
    await log.flush()
    // With `onError: 'warn'` a flush that was given up is no error, and no word of them is on record.
    if (log.acknowledged !== undefined) await lease.bury(store)
  } catch {
    // The next session finds them again.
  }
}
