import type { RunIndex } from './load.ts'

/** True when a session ended because more items failed than was tolerated, and none that began later ended otherwise. */
export function isFailed({ failures, sessions }: Pick<RunIndex, 'failures' | 'sessions'>): boolean {
  if (failures.size === 0) return false
  const isMadeUpFor = (end: number) => sessions.some((it) => it.isClosed && !it.hasFailed && it.beganAt >= end)
  return sessions.some(({ hasFailed, lastSeenAt }) => hasFailed && !isMadeUpFor(lastSeenAt))
}
