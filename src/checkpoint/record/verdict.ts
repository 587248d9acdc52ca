import type { RunIndex } from './run-index.ts'
import type { SessionTrace } from './session-trace.ts'

/**
 * True when a session ended because more items failed than was tolerated, and its items were not all seen to by others that
 * began later and ended otherwise: sessions of its shard, or of all of the run, or of all the shards there are.
 */
export function isFailed({ failures, sessions }: Pick<RunIndex, 'failures' | 'sessions'>): boolean {
  if (failures.size === 0) return false
  const isMadeUpFor = ({ shard, writer: failed }: SessionTrace) => {
    // By names, not by times. Of sessions that may have an item in common one is over before the other begins.
    const later = sessions.filter(({ isClosed, hasFailed, writer }) => isClosed && !hasFailed && writer > failed)
    return later.some((it) => it.shard === undefined || it.shard === shard) || areAll(later)
  }
  return sessions.some((session) => session.hasFailed && !isMadeUpFor(session))
}

/** Whether some number of shards is complete among those of `sessions`. */
function areAll(sessions: readonly SessionTrace[]): boolean {
  const shards = new Set(sessions.map(({ shard }) => shard ?? ''))
  const counts = new Map<string, number>()
  for (const shard of shards) {
    const [, count = ''] = shard.split('/')
    counts.set(count, (counts.get(count) ?? 0) + 1)
  }
  return [...counts].some(([count, found]) => found === Number(count))
}
