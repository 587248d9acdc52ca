import type { StoredObject } from '../../store/store.ts'
import type { Format } from '../../values/contract.ts'
import { listWriters } from '../claims/claim.ts'
import { endOf, FORMAT_VERSION } from '../format/frame.ts'
import { type RunFile, toRunFile, writerOf } from '../format/run-file.ts'
import { askForEach } from '../patience/at-once.ts'
import type { Readable } from '../reading/file-bytes.ts'
import { isSound, newReport } from '../reading/file-report.ts'
import { readingAhead } from '../reading/read-ahead.ts'
import { type Located, readFrames } from '../reading/read-file.ts'
import { findOver } from '../record/ends.ts'
import { listFiles } from '../record/load.ts'
import type { LoadedFile } from '../record/run-index.ts'
import { type Candidate, chooseSegments, isReplaced, isSmall } from './choose-segments.ts'
import { type Copied, newStem, putSnapshot, type SnapshotOptions, toWhole, writeOrigin } from './snapshot.ts'

/**
 * Compaction: many small segments become one snapshot, so that a run of many sessions, or on a store whose objects cannot
 * grow, does not end in as many files. When and of which, `chooseSegments` says.
 */
export interface Compaction {
  /** The snapshots it put. */
  readonly made: readonly StoredObject[]
  /** Keys of what it deleted, or is about to. */
  readonly deleted: ReadonlySet<string>
  /** Takes note of a segment that will not grow any more. */
  add(key: string, size: number): void
  /** Compacts in the background when it is due. Failures are left for the next session: nothing depends on it. */
  startIfDue(): void
  /** Compacts if it is due; resolves when nothing is going on any more. */
  finish(): Promise<void>
}

export interface CompactionOptions extends SnapshotOptions {
  /** Snapshots, counted from the newest, for which the files they stand for are kept. */
  readonly keep: number
  readonly format: Format
  /** Bytes of the values this session has recorded. */
  recordedBytes(): number
  /** Of other sessions at work. */
  readonly live: ReadonlySet<string>
  /** Of sessions that were found dead. */
  readonly dead: ReadonlySet<string>
}

export function createCompaction(options: CompactionOptions): Compaction {
  const { store, runId, index } = options
  const files: Candidate[] = index.files.filter(isSound)
  const snapshots: LoadedFile[] = index.files.filter(({ isIntact }) => isIntact)
  const broken = index.files.filter(({ kind, isIntact, covers }) => kind === 'snapshot' && !isIntact && covers.length > 0)
  const ended = findOver(index)
  // One of which nothing is known may be at work after all, its claim lost: what it writes to a file deleted here would be gone.
  const hasEnded = (writer: string) => !options.live.has(writer) && (ended.has(writer) || options.dead.has(writer))
  let waiting = files.filter(({ kind, size, stem }) => kind === 'segment' && isSmall(size) && hasEnded(writerOf(stem)))
  const made: StoredObject[] = []
  const deleted = new Set<string>()
  let jsonBytes = index.files.reduce((sum, file) => sum + costOf(file), 0)
  const jsonValues = index.files.reduce((sum, { format, valueBytes }) => sum + (format === 'json' ? valueBytes : 0), 0)
  let running: Promise<void> | undefined
  let isSwept = false
  /** With fewer that wait nothing is due: to look at all of them with each that comes would take the square of the time. */
  let enough = 0

  const choose = (format: Format): Candidate[] => {
    const values = jsonValues + (options.format === 'json' ? options.recordedBytes() : 0)
    return chooseSegments(format, { waiting, snapshots, broken, json: { values, bytes: jsonBytes } })
  }

  async function run(): Promise<void> {
    const isFirst = !isSwept
    isSwept = true
    if (isFirst) await sweep()
    for (const format of ['msgpack', 'json'] as const) {
      for (let chosen = choose(format); chosen.length > 0; chosen = choose(format)) {
        // Before anything can fail: each is tried once, and what comes behind them is not kept waiting.
        const taken = new Set(chosen)
        waiting = waiting.filter((file) => !taken.has(file))
        const live = await listWriters(store, runId)
        const closed = chosen.filter(({ stem }) => writerOf(stem) === options.writer || !live.has(writerOf(stem)))
        if (closed.length > 1) await compact(closed)
      }
    }
  }

  async function compact(chosen: readonly Candidate[]): Promise<void> {
    const stem = newStem(options)
    const { version, covers, frames } = await copyAll(options, stem, chosen)
    const [first] = covers
    if (first === undefined || covers.length < 2) return
    if (first.format === 'json') jsonBytes += covers.reduce((sum, { size }) => sum + size, 0) // Also if only its answer is lost.
    const written = await putSnapshot(options, stem, { version, format: first.format, covers, frames })
    if (!written.isIntact) throw new Error(`${written.key} did not read back as it was written`)
    snapshots.push(written)
    made.push({ key: written.key, size: written.size })
    for (const file of broken.filter((old) => isReplaced(old, covers))) await remove(file.key)
    await sweep()
  }

  /** Deletes what snapshots stand for, but for the newest `keep`; the ones with more bytes than were copied stay. */
  async function sweep(): Promise<void> {
    const old = snapshots.sort((a, b) => (a.stem < b.stem ? 1 : -1)).slice(options.keep)
    if (old.length === 0) return
    const sizes = new Map((await listFiles(store, runId)).map(({ name, size }) => [name, size]))
    const useless = old.flatMap(({ covers }) => covers.filter(({ name, size }) => sizes.get(name) === size))
    await askForEach(useless, ({ name }) => remove(`${runId}/${name}`))
  }

  async function remove(key: string): Promise<void> {
    deleted.add(key)
    await store.delete(key)
  }

  const isDue = () => choose('json').length > 0 || choose('msgpack').length > 0
  const start = () => {
    running ??= run()
      .catch(() => {}) // A store that fails, or a file that another process compacted first.
      .finally(() => {
        running = undefined
      })
    return running
  }
  return {
    made,
    deleted,
    add(key, size) {
      const file = toRunFile(key, size)
      if (file?.format === 'json') jsonBytes += size
      if (file !== undefined && isSmall(size)) waiting.push(file)
    },
    startIfDue() {
      if (waiting.length < enough) return
      const isNow = isDue()
      enough = isNow ? 0 : waiting.length + (waiting.length >>> 4)
      if (isNow) void start()
    },
    async finish() {
      await running
      if (isDue()) await start()
    },
  }
}

/** What was written of JSON for a file to be there: of a snapshot, with what it stands for. */
function costOf({ format, size, covers }: LoadedFile): number {
  return format === 'json' ? covers.reduce((sum, covered) => sum + covered.size, size) : 0
}

/** What the snapshot `stem` has to hold for `files`; those that are damaged are left out, and stay as they are. */
async function copyAll(
  options: CompactionOptions,
  stem: string,
  files: readonly Candidate[],
): Promise<Copied & { readonly covers: readonly RunFile[] }> {
  const frames: Uint8Array[] = []
  const covers: RunFile[] = []
  let version = 1
  const ahead = readingAhead(options.store, files)
  for (const file of files) {
    const copied = await copyFrames(options, ahead, stem, file)
    if (copied === undefined) continue
    covers.push(file)
    for (const frame of copied.frames) frames.push(frame) // Not spread: there may be more than a call takes arguments.
    version = Math.max(version, copied.version)
  }
  return { version, covers, frames }
}

/** The frames of a segment, as they are, less what nobody needs any more; undefined when it is damaged. */
async function copyFrames(
  options: CompactionOptions,
  store: Readable,
  stem: string,
  file: Candidate,
): Promise<Copied | undefined> {
  const { index } = options
  const ended = new Set(index.sessions.filter(({ hasEnded }) => hasEnded).map(({ writer }) => writer))
  const report = newReport()
  const copied: Uint8Array[] = []
  for await (const frames of readFrames(store, file, options.fingerprint, true, report)) {
    if (frames.some((frame) => !frame.isWhole)) return undefined
    for (const frame of frames) if (isNeeded(frame)) copied.push(toWhole(frame, file.format))
  }
  // What reads like a write that death cut off is damage where it did not as the run was opened, and in a file of our own, all
  // bytes of which were acknowledged.
  const isCut = report.torn > (file.report?.torn ?? 0)
  if (isCut || report.damage.length > 0) return undefined
  return { version: report.header?.version ?? FORMAT_VERSION, frames: [writeOrigin(options, stem, file), ...copied] }

  function isNeeded({ head, stem }: Located): boolean {
    if (head.kind === 'running') return isOfUse(head.runs, stem)
    if (head.kind === 'alone') return isOfUse([head.index, 1], stem)
    if (head.kind === 'items') return isListOfUse(head.list)
    if (head.kind !== 'failure') return true
    return !index.fulfilled.has(head.index, head.key)
  }

  /** Of what was begun: that nobody knows how it ended, or that the source had so many items. */
  function isOfUse(runs: readonly number[], stem: string): boolean {
    if (options.count === undefined && endOf(runs) === index.atLeast) return true
    return !ended.has(writerOf(stem)) && !isAllSettled(runs)
  }

  /** Of lists of items: one that is newer than what is known, or a part of that; others at work may go on from an older one. */
  function isListOfUse(id: string): boolean {
    const { list } = index
    return list === undefined || id > list.id || list.lists.has(id) || options.live.size > 0
  }

  function isAllSettled(runs: readonly number[]): boolean {
    if (index.isKeyed) return false
    for (let at = 0; at < runs.length; at += 2) {
      const from = runs[at] as number
      for (let place = from; place < from + (runs[at + 1] as number); place++)
        if (!index.fulfilled.has(place, undefined)) return false
    }
    return true
  }
}
