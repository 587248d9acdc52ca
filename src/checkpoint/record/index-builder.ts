import { type AttemptedHead, countOf, endOf, type FailureHead, fromRuns, type Head } from '../format/frame.ts'
import type { IndexSet } from '../format/index-set.ts'
import { byStem, writerOf } from '../format/run-file.ts'
import type { Located } from '../reading/read-file.ts'
import { createItemLists } from './item-list.ts'
import { createItemSet, idOf } from './item-set.ts'
import { createLeft } from './left.ts'
import type { Attempted, FailureEntry, LoadedFile, RunIndex } from './run-index.ts'
import { addSegment, newBegun, newSegmentTrace, newTrace, type SegmentTrace, type SessionTrace } from './session-trace.ts'
import { createSourceRecord } from './source-record.ts'

/** Puts together what the frames of a run say, in whatever order they come. */
export interface IndexBuilder {
  /** False when the frame names items the run has not. */
  add(frame: Located): boolean
  /** Frames may be lost here: what is added of the segment `stem` from now on was begun behind them. */
  passDamage(stem: string): void
  /** `covered`: files that were not read, since an intact snapshot stands for them. */
  finish(files: readonly LoadedFile[], covered: RunIndex['covered']): RunIndex
}

/** `count`: items from this index on are none of the run's. */
export function createIndexBuilder(isKeyed: boolean, count?: number): IndexBuilder {
  const end = count ?? Number.POSITIVE_INFINITY
  const fulfilled = createItemSet(isKeyed)
  const duplicates = createItemSet(isKeyed)
  const broken = createItemSet(isKeyed)
  const brokenSuccesses = new Map<number | string, string>()
  const failures = new Map<number | string, FailureEntry>()
  const attempted = new Map<number, Attempted & { readonly stem: string }>()
  const sessions = new Map<string, SessionTrace>()
  const segments = new Map<string, SegmentTrace>()
  const knownDead = new Set<string>()
  const knownEnded = new Set<string>()
  const left = createLeft()
  const lists = createItemLists()
  const source = createSourceRecord(isKeyed)
  let hasMoved = false
  let hasKeys = false

  const sessionOf = (stem: string) => {
    const writer = writerOf(stem)
    let session = sessions.get(writer)
    if (session === undefined) {
      session = newTrace(writer)
      sessions.set(writer, session)
    }
    return session
  }

  const segmentOf = (stem: string) => {
    let segment = segments.get(stem)
    if (segment === undefined) {
      segment = newSegmentTrace()
      segments.set(stem, segment)
    }
    return segment
  }

  const addRuns = (stem: string, runs: readonly number[]) => {
    source.reachRuns(runs)
    const session = sessionOf(stem)
    session.lastIndex = Math.max(session.lastIndex, endOf(runs) - 1)
    if (isKeyed) return
    const { running, aside } = segmentOf(stem)
    for (let at = 0; at < runs.length; at += 2) {
      const [from, length] = [runs[at] as number, runs[at + 1] as number]
      if (aside.size > 0) for (let index = from; index < from + length; index++) aside.delete(index)
      running.indices.addRange(from, length)
      session.late?.indices.addRange(from, length)
    }
  }

  const addHash = (stem: string, hash: number) => {
    const { running, aside } = segmentOf(stem)
    aside.delete(hash)
    running.hashes.add(hash)
    sessionOf(stem).late?.hashes.add(hash)
  }

  const addCount = (stem: string, items: number, isWhole: boolean) => {
    if (stem !== '') sessionOf(stem)[isWhole ? 'recorded' : 'broken'] += items
  }

  const addAgain = (index: number, key: string | undefined) => {
    duplicates.add(index, key)
    if (key !== undefined && fulfilled.placeOf(key) !== index) hasMoved ||= isKeyed
  }

  const addOutcomes = ({ runs, keys }: HeadOf<'outcomes'>, isWhole: boolean, stem: string) => {
    hasKeys ||= keys !== undefined
    if (isKeyed ? keys === undefined : endOf(runs) > end) return false
    addCount(stem, countOf(runs), isWhole)
    source.reachRuns(runs)
    if (isWhole) fulfilled.addAll(runs, keys, addAgain)
    else addBroken(fromRuns(runs), keys, writerOf(stem))
    return true
  }

  const addBroken = (indices: Uint32Array, keys: readonly string[] | undefined, session: string) => {
    indices.forEach((index, at) => {
      const key = keys?.[at]
      broken.add(index, key)
      const id = idOf(isKeyed, index, key) as number | string
      if (session > (brokenSuccesses.get(id) ?? '')) brokenSuccesses.set(id, session)
    })
  }

  const addFailure = (head: FailureHead, isWhole: boolean, stem: string) => {
    const id = idOf(isKeyed, head.index, head.key)
    hasKeys ||= head.key !== undefined
    if (id === undefined || (!isKeyed && head.index >= end)) return false
    source.reach(head.index + 1)
    addCount(stem, 1, isWhole)
    const entry = toEntry(head, writerOf(stem))
    if (!isWhole) broken.add(head.index, head.key)
    else if (isLater(entry, failures.get(id))) failures.set(id, entry)
    return true
  }

  const addAlone = ({ index, hash }: HeadOf<'alone'>, stem: string) => {
    const id = isKeyed ? hash : index
    if (id === undefined) return false
    sessionOf(stem).alone.add(id)
    if (isKeyed) addHash(stem, id)
    addRuns(stem, [index, 1])
    return true
  }

  const addAttempted = ({ runs, hashes, attempts, crashes, since }: AttemptedHead, stem: string) => {
    if (isKeyed ? hashes === undefined : endOf(runs) > end) return false
    const session = sessionOf(stem).writer
    const { aside } = segmentOf(stem)
    const ids = (isKeyed ? hashes : fromRuns(runs)) as ArrayLike<number>
    for (let at = 0; at < ids.length; at++) {
      const id = ids[at] as number
      aside.add(id)
      const before = attempted.get(id)
      if (before !== undefined && byStem({ stem }, before) < 0) continue
      const [count, died] = [attempts[at] as number, crashes?.[at] ?? 0]
      attempted.set(id, { session, stem, attempts: count, crashes: died, since: since[at] || undefined })
    }
    return true
  }

  /** What is said of sessions, of the source, and of where items are. */
  const addOther = (head: Head, stem: string) => {
    switch (head.kind) {
      case 'running':
        if (isKeyed) for (const hash of head.hashes ?? []) addHash(stem, hash)
        addRuns(stem, head.runs)
        break
      case 'source':
        source.addBlock(head)
        break
      case 'total':
        source.addEnd(head, stem)
        break
      case 'close':
        if (stem !== '') {
          const { at: lastSeenAt, hasFailed = false, shard, sizes = [], settled, done = 0 } = head
          // One that had more to record after it had ended said so again; segments are not read in the order of their numbers.
          if (sizes.length >= sessionOf(stem).sizes.length)
            Object.assign(sessionOf(stem), { isClosed: true, hasFailed, shard, sizes, settled, done, lastSeenAt })
        }
        break
      case 'items':
        if (isKeyed) lists.add(head)
        break
      case 'died':
        if (stem !== '' && head.writers.includes(writerOf(stem))) sessionOf(stem).isDraining = true
        else for (const writer of head.writers) (head.hasEnded ? knownEnded : knownDead).add(writer)
        left.add(head.left ?? [])
    }
  }

  const add = ({ head, isWhole, stem }: Located): boolean => {
    if (head.kind === 'outcomes') return addOutcomes(head, isWhole, stem)
    if (head.kind === 'failure') return addFailure(head, isWhole, stem)
    if (head.kind === 'alone') return addAlone(head, stem)
    if (head.kind === 'attempted') return addAttempted(head, stem)
    addOther(head, stem)
    return true
  }

  const passDamage = (stem: string) => {
    if (stem !== '') sessionOf(stem).late = newBegun()
  }

  const finish = (files: readonly LoadedFile[], covered: RunIndex['covered']): RunIndex => {
    for (const file of files) if (file.kind === 'segment') sessionOf(file.stem)
    for (const stem of [...segments.keys()].sort((a, b) => byStem({ stem: a }, { stem: b })))
      addSegment(sessionOf(stem), segments.get(stem) as SegmentTrace)
    const found = { ...source.finish(), ...left.finish(sessions, files, covered) }
    for (const session of sessions.values()) {
      session.isKnownDead = knownDead.has(session.writer)
      session.hasEnded = session.isClosed || knownEnded.has(session.writer)
    }
    for (const [id, { index, key }] of failures) if (fulfilled.has(index, key)) failures.delete(id)
    const list = lists.latest()
    const total = list?.keys.length ?? found.total
    return {
      ...{ isKeyed, files, covered, fulfilled, failures, attempted, list, hasMoved, hasKeys, duplicates, broken, ...found },
      total,
      itemCount: count ?? total,
      damaged: countUnsettled({ broken, fulfilled, list }, (id) => {
        // A failure from before the success that is lost does not make up for it.
        return (failures.get(id)?.session ?? '') > (brokenSuccesses.get(id) ?? '')
      }),
      knownDead: [...knownDead].filter((writer) => !knownEnded.has(writer) && !sessions.get(writer)?.isClosed),
      knownEnded: [...knownEnded],
      sessions: [...sessions.values()].sort((a, b) => (a.writer < b.writer ? -1 : 1)),
    }
  }
  return { add, passDamage, finish }
}

type HeadOf<K extends Head['kind']> = Extract<Head, { readonly kind: K }>

export function toEntry(head: FailureHead, session: string): FailureEntry {
  const { index, key, failure: kind, attempts, crashes, firstFailedAt, lastFailedAt } = head
  return { index, key, kind, attempts, crashes, firstFailedAt, lastFailedAt, session }
}

/** Of two failures of an item that of the later session counts, whatever time its clock told; of one session, the later one. */
function isLater(entry: FailureEntry, other: FailureEntry | undefined): boolean {
  if (other === undefined || entry.session > other.session) return true
  return entry.session === other.session && entry.lastFailedAt >= other.lastFailedAt
}

function countUnsettled(
  { broken, fulfilled, list }: Pick<RunIndex, 'broken' | 'fulfilled' | 'list'>,
  hasFailed: (id: number | string) => boolean,
): number {
  let unsettled = 0
  for (const key of broken.keys?.keys() ?? [])
    if (!fulfilled.has(-1, key) && !hasFailed(key) && (list === undefined || list.places.has(key))) unsettled++
  broken.indices?.without(fulfilled.indices as IndexSet).forEachRange((from, count) => {
    for (let index = from; index < from + count; index++) if (!hasFailed(index)) unsettled++
  })
  return unsettled
}
