import type { History } from '../../types.ts'
import { hashKey, notedId } from '../format/hash-key.ts'
import type { IndexSet } from '../format/index-set.ts'
import { timeOf } from '../format/run-file.ts'
import { attemptedIn } from './attempted.ts'
import { failureIn } from './item-places.ts'
import type { RunIndex } from './run-index.ts'
import type { SessionTrace } from './session-trace.ts'

/** The items that were in flight as their process died, and what is known of those that were so alone, and meant to be. */
export interface Suspects {
  has(index: number, key: string | undefined): boolean
  /** None of them had a higher index; -1: there are none. */
  readonly lastIndex: number
  /**
   * The past of an item: its failure on record, attempts since then, and the deaths it is charged with. Of a failure, attempts
   * are counted anew.
   */
  historyOf(index: number, key: string | undefined): History | undefined
  /**
   * A process died while it ran alone, and somebody seems to kill processes from outside: to be run after all others, so that
   * another such kill does not pass for its deed.
   */
  isPutOff(index: number, key: string | undefined): boolean
}

/**
 * Whoever was begun by a session that died before it had begun to drain, was not set aside since, and has no outcome from that
 * session or a later one. They are to be run alone, and nobody is charged before one of them dies so. That it was the only one in
 * flight otherwise tells too little: sessions begin with a single item, and a process that is killed from outside as it starts
 * would have it convicted.
 *
 * Each death is put down to one of the charged that were in flight, the one charged first. So an item that kills each time
 * accounts for the death before it ran alone as well. Deaths that are left over tell that processes may be killed from outside:
 * then whoever ran alone at the wrong moment looks the same, and only deaths while alone count. The more are left over, the more
 * of those are forgiven: a long series of kills hits a suspect now and then, and one of many again.
 *
 * @param spared writers of sessions that did not die: they are at work, or ended by themselves without a word in their log.
 */
export function findSuspects(index: RunIndex, spared: ReadonlySet<string>): Suspects {
  const { isKeyed } = index
  const deaths = findDeaths(index, spared)
  const { suspects, diedAlone, lastIndex } = deaths
  const { deathsOf, leftOver } = putDown(deaths)
  const forgiven = Math.floor(Math.log2(1 + leftOver))
  return {
    has: (at, key) => suspects.has(notedId(isKeyed, at, key)),
    lastIndex,
    isPutOff: (at, key) => leftOver > 0 && diedAlone.has(notedId(isKeyed, at, key)),
    historyOf(at, key) {
      const failure = failureIn(index, at, key)
      const charged = notedId(isKeyed, at, key)
      const crashes = (leftOver > 0 ? diedAlone.get(charged)?.slice(forgiven) : deathsOf.get(charged)) ?? []
      const tried = attemptedIn(index, at, key)
      if (failure === undefined && tried === undefined && crashes.length === 0) return undefined
      return {
        attempts: (tried?.attempts ?? 0) + crashes.length,
        crashes: (failure?.crashes ?? 0) + (tried?.crashes ?? 0) + crashes.length,
        ...(failure?.crashes ? { pardoned: failure.crashes } : {}),
        firstFailedAt: failure?.firstFailedAt ?? tried?.since ?? (crashes[0] === undefined ? undefined : timeOf(crashes[0])),
      }
    },
  }
}

/** The deaths of sessions, and whom they may have died of. */
interface Deaths {
  readonly suspects: ReadonlySet<number>
  /** Who was in flight, by session. */
  readonly inFlightAt: ReadonlyMap<string, ReadonlySet<number>>
  /**
   * Of the charged, the sessions that died while they ran alone. Whoever was charged first comes first: so are sessions in order.
   */
  readonly diedAlone: ReadonlyMap<number, readonly string[]>
  /** Sessions that may have died of an item that is a failure on record for it. */
  readonly explained: ReadonlySet<string>
  /** No suspect had a higher index. */
  readonly lastIndex: number
}

function findDeaths(index: RunIndex, spared: ReadonlySet<string>): Deaths {
  const { isKeyed, failures } = index
  const suspects = new Set<number>()
  const excused = new Set([...spared, ...index.sessions.filter(({ isDraining }) => isDraining).map(({ writer }) => writer)])
  const inFlightAt = new Map<string, ReadonlySet<number>>(
    index.knownDead.filter((it) => !excused.has(it)).map((it) => [it, new Set()]),
  )
  const diedAlone = new Map<number, string[]>()
  const explained = new Set<string>()
  const killers = [...failures.values()].filter(({ crashes }) => crashes > 0).map((it) => notedId(isKeyed, it.index, it.key))
  let lastIndex = -1
  const dead = index.sessions.filter(({ hasEnded, writer }) => !hasEnded && !excused.has(writer))
  const settledKeys = isKeyed && dead.some(({ running }) => running.hashes.size > 0) ? hashAll(index) : new Map<number, string>()
  for (const session of dead) {
    const { writer, running, alone } = session
    const inFlight = findInFlight(session, index, settledKeys)
    inFlightAt.set(writer, inFlight)
    if (killers.some((id) => (isKeyed ? running.hashes.has(id) : running.indices.has(id)))) explained.add(writer)
    for (const id of inFlight) {
      suspects.add(id)
      if (alone.has(id)) diedAlone.set(id, [...(diedAlone.get(id) ?? []), writer])
    }
    if (inFlight.size > 0) lastIndex = Math.max(lastIndex, session.lastIndex)
  }
  return { suspects, inFlightAt, diedAlone, explained, lastIndex }
}

/** Whom a session had in flight as it died. `settledKeys`: in keyed runs, what `hashAll` gives. */
function findInFlight(
  { writer, running, aside }: SessionTrace,
  { isKeyed, fulfilled, failures }: RunIndex,
  settledKeys: ReadonlyMap<number, string>,
): Set<number> {
  const inFlight = new Set<number>()
  if (isKeyed) for (const hash of running.hashes) if ((settledKeys.get(hash) ?? '') < writer) inFlight.add(hash)
  if (!isKeyed) {
    running.indices.without(fulfilled.indices as IndexSet).forEachRange((from, count) => {
      for (let at = from; at < from + count; at++) if ((failures.get(at)?.session ?? '') < writer) inFlight.add(at)
    })
  }
  for (const id of aside) inFlight.delete(id)
  return inFlight
}

/** Puts each death down to one of the charged, and counts those that are left over. */
function putDown({ inFlightAt, diedAlone, explained }: Deaths): { deathsOf: Map<number, string[]>; leftOver: number } {
  const deathsOf = new Map<number, string[]>()
  let leftOver = 0
  const charged = [...diedAlone.keys()]
  for (const [writer, inFlight] of inFlightAt) {
    const cause = charged.find((id) => inFlight.has(id))
    if (cause === undefined && !explained.has(writer)) leftOver++
    if (cause !== undefined) deathsOf.set(cause, [...(deathsOf.get(cause) ?? []), writer])
  }
  return { deathsOf, leftOver }
}

/** By hash of its key, the last session that settled an item; for successes, after all sessions. */
function hashAll({ fulfilled, failures }: RunIndex): Map<number, string> {
  const hashes = new Map<number, string>()
  for (const { key, session } of failures.values()) hashes.set(hashKey(key ?? ''), session)
  for (const key of fulfilled.keys?.keys() ?? []) hashes.set(hashKey(key), '\uffff')
  return hashes
}
