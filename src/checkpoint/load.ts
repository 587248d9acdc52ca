import type { Store } from '../store/store.ts'
import type { FailureKind } from '../types.ts'
import { type FailureHead, fromRuns } from './frame.ts'
import type { IndexSet } from './index-set.ts'
import { createItemLists, type ItemList } from './item-list.ts'
import { createItemSet, type ItemSet } from './item-set.ts'
import {
  type FileReport,
  type Located,
  newReport,
  type RunFile,
  readFrames,
  startOver,
  toRunFile,
  writerOf,
} from './read-file.ts'
import { newTrace, type SessionTrace } from './session-trace.ts'
import { createSourceRecord, type SourceRecord } from './source-record.ts'

/** What a run came to so far, without values. */
export interface RunIndex extends SourceRecord {
  readonly isKeyed: boolean
  /** The files it was read from; those that an intact snapshot stands for are left out. */
  readonly files: readonly LoadedFile[]
  /** Files that an intact snapshot stands for. */
  readonly covered: readonly RunFile[]
  readonly fulfilled: ItemSet
  /** Failures of items that did not succeed elsewhere, by `idOf`. */
  readonly failures: ReadonlyMap<number | string, FailureEntry>
  /** In keyed runs, where the items are, and which there are; undefined: as they were recorded. */
  readonly list: ItemList | undefined
  /** An item was recorded more than once as fulfilled, with different indices. */
  readonly hasMoved: boolean
  /** Items recorded more than once as fulfilled. */
  readonly duplicates: ItemSet
  /** Items known to be recorded, but damaged, and not settled otherwise. */
  readonly damaged: number
  readonly sessions: readonly SessionTrace[]
  /** Sessions that a later one found dead; of some nothing else is left. */
  readonly knownDead: readonly string[]
}

export interface LoadedFile extends RunFile {
  readonly report: FileReport
  /** Items of frames whose head holds and whose body does not. */
  readonly damagedItems: readonly DamagedFrame[]
  /** Bytes of the values of successes. */
  readonly valueBytes: number
  /** In snapshots: what it stands for, if it does. */
  covers: readonly { readonly name: string; readonly size: number }[]
  /** Of a snapshot: nothing is missing, so that it stands for what it covers. */
  isIntact: boolean
}

interface DamagedFrame {
  /** As in Located, like what follows. */
  readonly block: number
  readonly start: number
  readonly end: number
  readonly indices: Uint32Array
}

export interface FailureEntry {
  readonly index: number
  readonly key: string | undefined
  readonly kind: FailureKind
  readonly attempts: number
  readonly crashes: number
  readonly firstFailedAt: number
  readonly lastFailedAt: number
  readonly session: string
}

export interface LoadOptions {
  readonly isKeyed: boolean
  /** Check the bodies too. */
  readonly isChecked: boolean
  /** Items from this index on are none of the run's. */
  readonly count?: number | undefined
}

/** How items are told apart: by key in keyed runs, else by index. */
export function idOf(isKeyed: boolean, index: number, key: string | undefined): number | string | undefined {
  return isKeyed ? key : index
}

/**
 * Lists the files of a run: `seg/` first, then `snap/`. A compaction puts its snapshot before it deletes anything, so in
 * this order nothing is missed; in the other a segment may vanish after its snapshot was not yet there to be listed.
 */
export async function listFiles(store: Store, runId: string): Promise<RunFile[]> {
  const files: RunFile[] = []
  for (const folder of ['seg', 'snap']) {
    for (const { key, size } of await store.list(`${runId}/${folder}/`)) {
      const file = toRunFile(key, size)
      if (file !== undefined) files.push(file)
    }
  }
  return files
}

/** Reads what is recorded of a run. Writes nothing. */
export async function loadIndex(store: Store, runId: string, fingerprint: string, options: LoadOptions): Promise<RunIndex> {
  return startOver(async () => {
    const files = await listFiles(store, runId)
    const index = createBuilder(options)
    const covered = new Map<string, number>()
    const loaded: LoadedFile[] = []
    const skipped: RunFile[] = []
    // Later snapshots first: they may stand for earlier ones.
    for (const file of files.sort(bySnapshotThenStem)) {
      if ((covered.get(file.name) ?? -1) >= file.size) {
        skipped.push(file)
        continue
      }
      const result = await loadFile(store, file, fingerprint, options, index.add)
      loaded.push(result)
      if (result.isIntact) for (const { name, size } of result.covers) covered.set(name, Math.max(size, covered.get(name) ?? 0))
    }
    return index.finish(loaded, skipped)
  })
}

function bySnapshotThenStem(a: RunFile, b: RunFile): number {
  if (a.kind !== b.kind) return a.kind === 'snapshot' ? -1 : 1
  const order = a.stem < b.stem ? -1 : 1
  return a.kind === 'snapshot' ? -order : order
}

/** Reads one file, and gives each of its frames to `add`, which says whether it is believed. */
export async function loadFile(
  store: Store,
  file: RunFile,
  fingerprint: string,
  options: LoadOptions,
  add: (frame: Located) => boolean = () => true,
): Promise<LoadedFile> {
  const report = newReport()
  const damagedItems: DamagedFrame[] = []
  let covers: LoadedFile['covers'] | undefined
  let isClosed = false
  let valueBytes = 0
  for await (const frames of readFrames(store, file, fingerprint, options.isChecked, report)) {
    for (const frame of frames) {
      const { head, block, start, end } = frame
      if (head.kind === 'outcomes') valueBytes += frame.bodyEnd - frame.bodyStart
      isClosed = frame.isOwn && head.kind === 'close'
      if (head.kind === 'covers' && frame.isOwn) covers = head.files
      const isAccepted = add(frame)
      if (isAccepted && frame.isWhole) continue
      const indices =
        head.kind === 'outcomes' ? fromRuns(head.runs) : Uint32Array.of(...(head.kind === 'failure' ? [head.index] : []))
      damagedItems.push({ block, start, end, indices })
    }
  }
  const isUndamaged = report.damage.length === 0 && report.torn === 0 && damagedItems.length === 0
  const isIntact = file.kind === 'snapshot' && isClosed && covers !== undefined && isUndamaged
  return { ...file, report, damagedItems, valueBytes, covers: covers ?? [], isIntact }
}

function createBuilder({ isKeyed, count = Number.POSITIVE_INFINITY }: LoadOptions) {
  const fulfilled = createItemSet(isKeyed)
  const duplicates = createItemSet(isKeyed)
  const broken = createItemSet(isKeyed)
  const failures = new Map<number | string, FailureEntry>()
  const sessions = new Map<string, SessionTrace>()
  const knownDead = new Set<string>()
  const knownEnded = new Set<string>()
  const lists = createItemLists()
  const source = createSourceRecord(isKeyed)
  let hasMoved = false

  const sessionOf = (stem: string) => {
    const writer = writerOf(stem)
    let session = sessions.get(writer)
    if (session === undefined) {
      session = newTrace(writer)
      sessions.set(writer, session)
    }
    return session
  }

  const addRuns = (session: SessionTrace, runs: readonly number[]) => {
    source.reachRuns(runs)
    for (let at = 0; at < runs.length; at += 2) {
      const [from, length] = [runs[at] as number, runs[at + 1] as number]
      if (!isKeyed) session.running.indices.addRange(from, length)
      session.lastIndex = Math.max(session.lastIndex, from + length - 1)
    }
  }

  const addAgain = (index: number, key: string | undefined) => {
    duplicates.add(index, key)
    if (key !== undefined && fulfilled.placeOf(key) !== index) hasMoved ||= isKeyed
  }

  /** False when the frame names items the run has not. */
  const add = ({ head, isWhole, stem }: Located): boolean => {
    switch (head.kind) {
      case 'outcomes':
        if (isKeyed ? head.keys === undefined : isBeyond(head.runs, count)) return false
        source.reachRuns(head.runs)
        if (isWhole) fulfilled.addAll(head.runs, head.keys, addAgain)
        else broken.addAll(head.runs, head.keys)
        return true
      case 'failure': {
        const id = idOf(isKeyed, head.index, head.key)
        if (id === undefined || (!isKeyed && head.index >= count)) return false
        source.reach(head.index + 1)
        const entry = toEntry(head, writerOf(stem))
        if (!isWhole) broken.add(head.index, head.key)
        else if (isLater(entry, failures.get(id))) failures.set(id, entry)
        return true
      }
      case 'running': {
        const session = sessionOf(stem)
        if (isKeyed) for (const hash of head.hashes ?? []) session.running.hashes.add(hash)
        addRuns(session, head.runs)
        return true
      }
      case 'alone': {
        const session = sessionOf(stem)
        const id = isKeyed ? head.hash : head.index
        if (id === undefined) return false
        session.alone.add(id)
        if (isKeyed) session.running.hashes.add(id)
        addRuns(session, [head.index, 1])
        return true
      }
      case 'source':
        source.addBlock(head)
        return true
      case 'total':
        source.addEnd(head, stem)
        return true
      case 'close':
        if (stem !== '') {
          const { at: lastSeenAt, hasFailed = false, shard, sizes = [] } = head
          Object.assign(sessionOf(stem), { isClosed: true, hasFailed, shard, sizes, lastSeenAt })
        }
        return true
      case 'items':
        if (isKeyed) lists.add(head)
        return true
      case 'died':
        for (const writer of head.writers) (head.hasEnded ? knownEnded : knownDead).add(writer)
        return true
      default:
        return true
    }
  }

  const finish = (files: LoadedFile[], covered: RunFile[]): RunIndex => {
    for (const file of files) if (file.kind === 'segment') sessionOf(file.stem)
    for (const session of sessions.values()) {
      session.isKnownDead = knownDead.has(session.writer)
      session.hasEnded = session.isClosed || knownEnded.has(session.writer)
    }
    for (const [id, { index, key }] of failures) if (fulfilled.has(index, key)) failures.delete(id)
    const list = lists.latest()
    const found = source.finish()
    return {
      ...{ isKeyed, files, covered, fulfilled, failures, list, hasMoved, duplicates, ...found },
      total: list?.keys.length ?? found.total,
      damaged: countUnsettled(broken, fulfilled, failures, list),
      knownDead: [...knownDead].filter((writer) => !knownEnded.has(writer) && !sessions.get(writer)?.isClosed),
      sessions: [...sessions.values()].sort((a, b) => (a.writer < b.writer ? -1 : 1)),
    }
  }
  return { add, finish }
}

export function toEntry(head: FailureHead, session: string): FailureEntry {
  const { index, key, failure: kind, attempts, crashes, firstFailedAt, lastFailedAt } = head
  return { index, key, kind, attempts, crashes, firstFailedAt, lastFailedAt, session }
}

/** Of two failures of an item the later one counts, on every machine the same. */
function isLater(entry: FailureEntry, other: FailureEntry | undefined): boolean {
  if (other === undefined || entry.lastFailedAt > other.lastFailedAt) return true
  return entry.lastFailedAt === other.lastFailedAt && entry.session >= other.session
}

function isBeyond(runs: readonly number[], count: number): boolean {
  for (let at = 0; at < runs.length; at += 2) if ((runs[at] as number) + (runs[at + 1] as number) > count) return true
  return false
}

function countUnsettled(broken: ItemSet, fulfilled: ItemSet, failures: RunIndex['failures'], list: ItemList | undefined): number {
  let unsettled = 0
  for (const key of broken.keys?.keys() ?? [])
    if (!fulfilled.has(-1, key) && !failures.has(key) && (list === undefined || list.places.has(key))) unsettled++
  broken.indices?.without(fulfilled.indices as IndexSet).forEachRange((from, count) => {
    for (let index = from; index < from + count; index++) if (!failures.has(index)) unsettled++
  })
  return unsettled
}
