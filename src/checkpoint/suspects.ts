import type { History } from '../types.ts'
import { hashKey } from './frame.ts'
import type { IndexSet } from './index-set.ts'
import { idOf, type RunIndex } from './load.ts'
import { timeOf } from './read-file.ts'

/** The items that were in flight as their process died, and what is known of those that were so alone, and meant to be. */
export interface Suspects {
  has(index: number, key: string | undefined): boolean
  /** The past of an item: its failure on record, and the deaths while it ran alone. */
  historyOf(index: number, key: string | undefined): History | undefined
}

/**
 * Whoever was begun by a session that died, and has no outcome from that session or a later one. They are to be run alone,
 * and only a death while one is counts as a crash of it. That it was the only one in flight otherwise tells too little:
 * sessions begin with a single item, and a process that is killed from outside as it starts would have it convicted.
 *
 * @param spared writers of sessions that did not die: they are at work, or ended by themselves without a word in their log.
 */
export function findSuspects(index: RunIndex, spared: ReadonlySet<string>): Suspects {
  const { isKeyed, failures, fulfilled } = index
  const suspects = new Set<number>()
  const deaths = new Map<number, string[]>()
  const dead = index.sessions.filter(({ hasEnded, writer }) => !hasEnded && !spared.has(writer))
  const settledKeys = isKeyed && dead.some(({ running }) => running.hashes.size > 0) ? hashAll(index) : new Map<number, string>()
  for (const { writer, running, alone } of dead) {
    const inFlight: number[] = []
    if (isKeyed) for (const hash of running.hashes) if ((settledKeys.get(hash) ?? '') < writer) inFlight.push(hash)
    if (!isKeyed) {
      running.indices.without(fulfilled.indices as IndexSet).forEachRange((from, count) => {
        for (let at = from; at < from + count; at++) if ((failures.get(at)?.session ?? '') < writer) inFlight.push(at)
      })
    }
    for (const id of inFlight) {
      suspects.add(id)
      if (alone.has(id)) deaths.set(id, [...(deaths.get(id) ?? []), writer])
    }
  }
  const idFor = (at: number, key: string | undefined) => (isKeyed ? hashKey(key ?? '') : at)
  return {
    has: (at, key) => suspects.has(idFor(at, key)),
    historyOf(at, key) {
      const id = idOf(isKeyed, at, key)
      const failure = id === undefined ? undefined : failures.get(id)
      const crashes = (deaths.get(idFor(at, key)) ?? []).filter((writer) => failure === undefined || writer > failure.session)
      if (failure === undefined && crashes.length === 0) return undefined
      return {
        attempts: (failure?.attempts ?? 0) + crashes.length,
        crashes: (failure?.crashes ?? 0) + crashes.length,
        ...(failure?.crashes ? { pardoned: failure.crashes } : {}),
        firstFailedAt: failure?.firstFailedAt ?? timeOf(crashes[0] as string),
      }
    },
  }
}

/** By hash of its key, the last session that settled an item; for successes, after all sessions. */
function hashAll({ fulfilled, failures }: RunIndex): Map<number, string> {
  const hashes = new Map<number, string>()
  for (const { key, session } of failures.values()) hashes.set(hashKey(key ?? ''), session)
  for (const key of fulfilled.keys?.keys() ?? []) hashes.set(hashKey(key), '\uffff')
  return hashes
}
