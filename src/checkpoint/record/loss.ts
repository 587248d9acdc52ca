import { hashKey } from '../format/hash-key.ts'
import { IndexSet } from '../format/index-set.ts'
import { writerNamed, writerOf } from '../format/run-file.ts'
import { isSound } from '../reading/file-report.ts'
import { countSettled } from './item-places.ts'
import type { RunIndex } from './run-index.ts'
import type { SessionTrace } from './session-trace.ts'

/** What damage cost a run. */
export interface Loss {
  /**
   * Items whose record is damaged, and that are not settled by another: those that frames with a damaged body name, and those
   * that a session with a damaged file had begun before the damage. A session that ended by itself, with its end on record, says
   * how many items it settled, and the count is right, or too high: of what it lost, others may have recorded some again without
   * a word of which. For other sessions it is an estimate: what was in flight as the session ended is among them, if it was begun
   * before the damage, and what was begun where the file is damaged is not. It is never less than what some session said, as it
   * closed, to be on record and is not, and 0 where nothing tells of what is lost.
   */
  readonly items: number
  /** Whether all sessions concerned said how many items they settled. */
  readonly isExact: boolean
  /** How many of them no frame names, by the name of the file. */
  readonly unnamed: ReadonlyMap<string, number>
}

/**
 * Finds out what runs again for want of what is damaged. Nothing is read for it.
 *
 * @param cut names of files that lack their end, or are gone, as `findCut` gives them.
 */
export function findLoss(index: RunIndex, cut: ReadonlySet<string>): Loss {
  const files = findDamagedFiles(index, cut)
  const unnamed = new Map<string, number>()
  if (files.size + cut.size === 0) return { items: index.damaged, isExact: true, unnamed }
  const take = index.isKeyed ? takeHashes(index) : takeIndices(index)
  const most = Math.max(index.damaged, (index.itemCount ?? Number.POSITIVE_INFINITY) - countSettled(index).done)
  let items = index.damaged
  let isExact = true
  for (const session of index.sessions) {
    const file = files.get(session.writer)
    if (file === undefined) continue
    const begun = take(session, cut.has(file))
    const lost = Math.min(session.settled === undefined ? begun : correct(session, session.settled, begun), most - items)
    if (lost > 0) unnamed.set(file, (unnamed.get(file) ?? 0) + lost)
    items += lost
    isExact &&= session.settled !== undefined
  }
  const others = Math.min(countMissing(index), most) - items
  if (others <= 0) return { items, isExact, unnamed }
  const [name = ''] = [...cut, ...files.values()]
  unnamed.set(name, (unnamed.get(name) ?? 0) + others)
  return { items: items + others, isExact: false, unnamed }
}

/**
 * How many items less are settled than some session said as it closed: what is settled stays so. At least so many are lost, also
 * of sessions of which nothing is left, as when the snapshot that had all of them is.
 */
function countMissing(index: RunIndex): number {
  if (index.isKeyed) return 0
  return index.sessions.reduce((most, { done }) => Math.max(most, done), 0) - countSettled(index).done
}

/**
 * By the writers of sessions that may have lost something, the name of a file of which that is true; one that lacks its end, or
 * is gone, first.
 */
function findDamagedFiles({ files, gone }: RunIndex, cut: ReadonlySet<string>): Map<string, string> {
  const found = new Map<string, string>()
  for (const file of files) {
    const { kind, name, stem, kept, isIntact } = file
    const isWhole = isSound(file) && (kind === 'segment' || isIntact)
    if (isWhole && !cut.has(name)) continue
    for (const writer of kind === 'segment' ? [writerOf(stem)] : [...kept.keys()].map(writerOf))
      if (!found.has(writer) || cut.has(name)) found.set(writer, name)
  }
  for (const name of gone) if (cut.has(name)) found.set(writerNamed(name) as string, name)
  return found
}

/**
 * How many of the items a session settled are lost, given that it settled `settled` and that `begun` of those it began are not
 * settled: that may be more, since those that a drain gave up are among them, or less, since the note of it may be lost, too.
 */
function correct({ running, recorded, broken }: SessionTrace, settled: number, begun: number): number {
  const lost = Math.max(0, settled - recorded - broken)
  const noted = Math.max(running.indices.size, running.hashes.size)
  const unnoted = Math.max(0, lost - Math.max(0, noted - recorded - broken))
  return Math.min(lost, begun + unnoted)
}

/**
 * Counts the items that a session may have lost, and that are neither settled nor counted before. `isAll`: it may be any it
 * began.
 */
type Take = (session: SessionTrace, isAll: boolean) => number

function takeIndices({ fulfilled, failures, broken }: RunIndex): Take {
  const settled = fulfilled.indices as IndexSet
  const taken = new IndexSet()
  return ({ running, late }, isAll) => {
    if (!isAll && late === undefined) return 0
    let count = 0
    const open = running.indices.without(settled).without(broken.indices as IndexSet)
    open.forEachRange((from, length) => {
      for (let at = from; at < from + length; at++)
        if ((isAll || !late?.indices.has(at)) && !failures.has(at) && taken.add(at)) count++
    })
    return count
  }
}

function takeHashes(index: RunIndex): Take {
  const taken = new Set<number>()
  let open: ((hash: number) => boolean) | undefined
  return ({ running, late }, isAll) => {
    if (!isAll && late === undefined) return 0
    open ??= findOpen(index)
    let count = 0
    for (const hash of running.hashes) {
      if (taken.has(hash) || (!isAll && late?.hashes.has(hash)) || !open(hash)) continue
      taken.add(hash)
      count++
    }
    return count
  }
}

/** Tells by the hash of its key whether an item has to be run, as far as is known, and no frame names it. */
function findOpen({ fulfilled, failures, broken, list }: RunIndex): (hash: number) => boolean {
  const known = new Set<number>()
  for (const keys of [fulfilled.keys, failures, broken.keys]) for (const key of keys?.keys() ?? []) known.add(hashKey(`${key}`))
  const given = list && new Set(list.keys.map(hashKey))
  return (hash) => !known.has(hash) && (given?.has(hash) ?? true)
}
