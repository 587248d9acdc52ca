import type { Store, StoredObject } from '../store/store.ts'
import { joinBytes, packFrames } from './entries.ts'
import { blockSeedOf, endOf, FORMAT_VERSION, seedOf } from './frame.ts'
import { type LoadedFile, listFiles, loadFile, type RunIndex } from './load.ts'
import { type Located, newReport, readFrames } from './read-file.ts'
import { layoutOf, newWriter, type RunFile, toRunFile, writerOf } from './run-file.ts'
import type { Format } from './values/codec.ts'

/**
 * Compaction: many small segments become one snapshot, so that a run of many sessions, or on a store whose objects cannot
 * grow, does not end in as many files.
 *
 * Each byte of a segment is copied at most once: snapshots are never merged again, and segments of SMALL_BYTES or more, for
 * which nothing is gained, not at all. So with a copy of everything a run writes at most twice what its segments hold. For
 * 100,000 records of four fields, flushed ten at a time, a segment is 1.18 (JSON) or 0.57 (msgpack) of the results as JSON,
 * copied once 2.07 and 0.97 in all. Where objects cannot grow, each flush of ten is an object with a header, and JSON would come to
 * 2.6: so of JSON, whose values are as large as the results, no more is copied than leaves the whole under MAX_COST. To bound the number of files instead, what waits for a snapshot grows with the
 * number of snapshots: of n segments there are about 2 * sqrt(n) files left.
 */
export interface Compaction {
  readonly bytesWritten: number
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

/** What a snapshot is put with. */
export interface SnapshotOptions {
  readonly store: Store
  readonly runId: string
  readonly fingerprint: string
  readonly isCompressed: boolean
  readonly count: number | undefined
  readonly index: RunIndex
  /** Milliseconds since 1970. */
  today(): number
}

export interface CompactionOptions extends SnapshotOptions {
  /** Snapshots, counted from the newest, for which the files they stand for are kept. */
  readonly keep: number
  /** Of this session. */
  readonly writer: string
  readonly format: Format
  /** Bytes of the values this session has recorded. */
  recordedBytes(): number
  /** Of other sessions at work. */
  readonly live: ReadonlySet<string>
  /** Of sessions that were found dead. */
  readonly dead: ReadonlySet<string>
}

/** Fewer small segments are not worth a snapshot. */
const MIN_SEGMENTS = 16

/** All that is written over a run, for its values as JSON. The promise is 2.3; frames of the last flush come on top. */
const MAX_COST = 2.2

/** What may be copied whatever it costs: a run of many short sessions with little to say is worth few files more than few bytes. */
const FREE_BYTES = 2 ** 20

/** A segment of this size or more stays as it is. */
const SMALL_BYTES = 2 ** 24

/** A snapshot is put together in memory, and gets no larger than this, or one segment more. */
export const MAX_SNAPSHOT_BYTES = 2 ** 26

export function createCompaction(options: CompactionOptions): Compaction {
  const { store, runId, index } = options
  const files: RunFile[] = index.files.filter(isSound)
  const snapshots: LoadedFile[] = index.files.filter(({ isIntact }) => isIntact)
  const broken = index.files.filter(({ kind, isIntact, covers }) => kind === 'snapshot' && !isIntact && covers.length > 0)
  const ended = new Set(index.sessions.filter(({ isClosed, isKnownDead }) => isClosed || isKnownDead).map(({ writer }) => writer))
  // One of which nothing is known may be at work after all, its claim lost: what it writes to a file deleted here would be gone.
  const hasEnded = (writer: string) => !options.live.has(writer) && (ended.has(writer) || options.dead.has(writer))
  let waiting = files.filter(({ kind, size, stem }) => kind === 'segment' && size < SMALL_BYTES && hasEnded(writerOf(stem)))
  const made: StoredObject[] = []
  const deleted = new Set<string>()
  let bytesWritten = 0
  let jsonBytes = index.files.reduce((sum, file) => sum + costOf(file), 0)
  const jsonValues = index.files.reduce((sum, { format, valueBytes }) => sum + (format === 'json' ? valueBytes : 0), 0)
  let running: Promise<void> | undefined
  let isHopeless = false
  let isSwept = false

  const choose = (format: Format): RunFile[] => {
    const ours = waiting.filter((file) => file.format === format).sort((a, b) => (a.stem < b.stem ? -1 : 1))
    const needed = Math.max(MIN_SEGMENTS, 2 * snapshots.filter((file) => file.format === format).length)
    // What a damaged snapshot stands for is worth one again, however few.
    const isBroken = broken.some((file) => file.format === format && isReplaced(file, ours))
    if (ours.length < needed && !isBroken) return []
    const values = jsonValues + (options.format === 'json' ? options.recordedBytes() : 0)
    const copied = snapshots.reduce((sum, { size }) => sum + size, 0)
    const left = Math.max(MAX_COST * values - jsonBytes, FREE_BYTES - copied)
    const affordable = format === 'json' && !isBroken ? left : Number.POSITIVE_INFINITY
    let bytes = 0
    const chosen = ours.filter((file) => {
      const fits = bytes < MAX_SNAPSHOT_BYTES && bytes + file.size <= affordable
      if (fits) bytes += file.size
      return fits
    })
    return chosen.length < needed && !isBroken ? [] : chosen
  }

  async function run(): Promise<void> {
    if (!isSwept) await sweep()
    isSwept = true
    for (const format of ['msgpack', 'json'] as const) {
      for (let chosen = choose(format); chosen.length > 0; chosen = choose(format)) {
        const live = await listWriters(store, runId)
        const closed = chosen.filter(({ stem }) => writerOf(stem) === options.writer || !live.has(writerOf(stem)))
        waiting = waiting.filter((file) => !chosen.includes(file))
        if (closed.length > 1) await compact(closed)
      }
    }
  }

  async function compact(chosen: readonly RunFile[]): Promise<void> {
    const stem = `${newWriter(options.today())}-0`
    const frames: Uint8Array[] = []
    const covers: RunFile[] = []
    let version = 1
    for (const file of chosen) {
      const copied = await copyFrames(options, stem, file)
      if (copied === undefined) continue
      covers.push(file)
      frames.push(...copied.frames)
      version = Math.max(version, copied.version)
    }
    const [first] = covers
    if (first === undefined || covers.length < 2) return
    const written = await putSnapshot(options, stem, { version, format: first.format, covers, frames })
    bytesWritten += written.size
    if (first.format === 'json') jsonBytes += written.size
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
    for (const { covers } of old) {
      for (const { name, size } of covers) if (sizes.get(name) === size) await remove(`${runId}/${name}`)
    }
  }

  async function remove(key: string): Promise<void> {
    deleted.add(key)
    await store.delete(key)
  }

  const isDue = () => !isHopeless && (choose('json').length > 0 || choose('msgpack').length > 0)
  const start = () => {
    running ??= run()
      .catch(() => {
        isHopeless = true // A store that fails, or a file that another process compacted first.
      })
      .finally(() => {
        running = undefined
      })
    return running
  }
  return {
    get bytesWritten() {
      return bytesWritten
    },
    made,
    deleted,
    add(key, size) {
      const file = toRunFile(key, size)
      if (file?.format === 'json') jsonBytes += size
      if (file !== undefined && size < SMALL_BYTES) waiting.push(file)
    },
    startIfDue() {
      if (isDue()) void start()
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

function isSound({ report, damagedItems }: LoadedFile): boolean {
  return report.damage.length === 0 && damagedItems.length === 0
}

/** Whether all that a damaged snapshot stands for is among `files`, so that it says nothing they do not. */
function isReplaced({ covers }: LoadedFile, files: readonly RunFile[]): boolean {
  return covers.every(({ name }) => files.some((file) => file.name === name))
}

/** Of sessions that left a claim, live or dead. */
export async function listWriters(store: Store, runId: string): Promise<Set<string>> {
  const claims = await store.list(`${runId}/lease/`)
  return new Set(claims.map(({ key }) => key.slice(key.lastIndexOf('/') + 1)))
}

interface Copied {
  readonly version: number
  readonly frames: readonly Uint8Array[]
}

/** The frames of a segment, as they are, less what nobody needs any more; undefined when it is damaged: it stays as it is. */
async function copyFrames(options: CompactionOptions, stem: string, file: RunFile): Promise<Copied | undefined> {
  const { index } = options
  const ended = new Set(index.sessions.filter(({ hasEnded }) => hasEnded).map(({ writer }) => writer))
  const report = newReport()
  const copied: Uint8Array[] = []
  for await (const frames of readFrames(options.store, file, options.fingerprint, true, report)) {
    if (frames.some((frame) => !frame.isWhole)) return undefined
    for (const frame of frames) if (isNeeded(frame)) copied.push(toWhole(frame, file.format))
  }
  // Of a file of our own all bytes were acknowledged: what reads like a write that death cut off is damage.
  const isCut = report.torn > 0 && writerOf(file.stem) === options.writer
  if (isCut || report.damage.length > 0) return undefined
  const origin = layoutOf(file.format).writeFrame({ kind: 'origin', stem: file.stem }, [], seedOf(stem, options.fingerprint))
  return { version: report.header?.version ?? FORMAT_VERSION, frames: [joinBytes(origin), ...copied] }

  function isNeeded({ head, stem }: Located): boolean {
    if (head.kind === 'running') return isOfUse(head.runs, stem)
    if (head.kind === 'alone') return isOfUse([head.index, 1], stem)
    if (head.kind !== 'failure') return true
    return !index.fulfilled.has(head.index, head.key)
  }

  /** Of what was begun: that nobody knows how it ended, or that the source had so many items. */
  function isOfUse(runs: readonly number[], stem: string): boolean {
    if (options.count === undefined && endOf(runs) === index.atLeast) return true
    return !ended.has(writerOf(stem)) && !isAllSettled(runs)
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

/** A line of JSON may have lost its newline, to the end of its file or to damage. */
export function toWhole({ raw }: Located, format: Format): Uint8Array {
  const last = raw[raw.length - 1]
  if (format !== 'json' || last === 0x0a) return Buffer.from(raw)
  return Buffer.concat([last === 0x7d ? raw : raw.subarray(0, -1), Buffer.from('\n')])
}

/** Puts a snapshot, and reads it back. Durable whatever the session asked for: what it stands for is deleted, and others may have made that durable. */
export async function putSnapshot(
  options: SnapshotOptions,
  stem: string,
  { version, format, covers, frames }: Copied & { readonly format: Format; readonly covers: readonly RunFile[] },
): Promise<LoadedFile> {
  const { store, runId, fingerprint, isCompressed, today, index, count } = options
  const layout = layoutOf(format)
  const seed = seedOf(stem, fingerprint)
  const files = covers.map(({ name, size }) => ({ name, size }))
  const opening = [
    layout.writeHeader({ version, kind: 'snapshot', fingerprint, createdAt: today() }),
    joinBytes(layout.writeFrame({ kind: 'covers', files }, [], seed)),
  ]
  const rest = [...frames, joinBytes(layout.writeFrame({ kind: 'close', at: today() }, [], seed))]
  // A block of its own for what it stands for: worth most when the rest is damaged.
  const pack = (pieces: readonly Uint8Array[]) => packFrames(pieces, blockSeedOf(stem))
  const bytes = isCompressed ? joinBytes([await pack(opening), await pack(rest)]) : joinBytes([...opening, ...rest])
  const key = `${runId}/snap/${stem}.${format}${isCompressed ? '.gz' : ''}`
  await store.put(key, bytes)
  const file = toRunFile(key, bytes.length) as RunFile
  return loadFile(store, file, fingerprint, { isKeyed: index.isKeyed, isChecked: true, count })
}
