import type { Lease } from '../claims/lease.ts'
import type { RunIndex } from './run-index.ts'
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
