import { pickBatch } from '../../chunk.ts'
import { CheckpointCorruptError } from '../../errors.ts'
import type { Store } from '../../store/store.ts'
import type { FailureKind, FulfilledBatch, History } from '../../types.ts'
import { type Codec, loadCodec } from '../../values/codec.ts'
import { reviveError } from '../format/error-record.ts'
import { fromRuns, type OutcomesHead } from '../format/frame.ts'
import type { RunFile } from '../format/run-file.ts'
import { FileGoneError, MAX_STARTS } from '../reading/file-bytes.ts'
import { newReport } from '../reading/file-report.ts'
import { readingAhead } from '../reading/read-ahead.ts'
import { type Located, readFrames } from '../reading/read-file.ts'
import { idOf } from './item-set.ts'
import { type FailureEntry, listFiles, type RunIndex } from './load.ts'
import { findSuspects } from './suspects.ts'
import { type Chooser, createChooser, decodeColumns, findWinners, type Winner } from './winners.ts'

/** What earlier sessions of a run left behind. In keyed runs an item is found by its key, else by its index. */
export interface Restored {
  readonly fulfilled: number
  readonly rejected: number
  /** Items whose record is damaged, and that are not settled by another; see `Loss`. */
  readonly damaged: number
  /** Items with two different successes on record. */
  readonly conflicts: number
  /** How many items the source gave; undefined unless it ended. */
  readonly total: number | undefined
  /** It gave no fewer: an item is on record with the index before this one. 0 in keyed runs. */
  readonly atLeast: number
  statusOf(index: number, key?: string): 'fulfilled' | 'rejected' | undefined
  /**
   * The past of a rejected item, of one that was tried, or of one that processes died of, as far as it counts in this session.
   */
  historyOf(index: number, key?: string): History | undefined
  /** Items were tried and have not settled since. */
  readonly hasAttempted: boolean
  /** True when the item was in flight as an earlier process died, and has not settled since. */
  isSuspect(index: number, key?: string): boolean
  /** No suspect had a higher index; -1: there are none. */
  readonly lastSuspect: number
  /** To be run after all other suspects; see `Suspects`. */
  isPutOff(index: number, key?: string): boolean
  /** The digest of block `block` of the source, as an earlier session saw it. */
  sourceDigest(block: number): string | undefined
  /**
   * All that settled, each item once. Batches come in file order; values are decoded as long as `values` is true, which is asked
   * again with each part of a file.
   */
  read(options?: { readonly values?: boolean }): AsyncIterable<RecordedOutcomes>
}

/** Outcomes as recorded. `values` is absent unless asked for. */
interface RecordedOutcomes {
  readonly fulfilled: readonly FulfilledBatch[]
  readonly rejected: readonly RecordedRejection[]
}

/** A failure as recorded. */
export interface RecordedRejection {
  readonly index: number
  readonly key?: string
  readonly kind: FailureKind
  /** Absent unless values were asked for. */
  readonly reason?: Error
  /** The input, when values were asked for and it could be recorded. */
  readonly item?: unknown
  readonly attempts: number
  readonly crashes: number
  /** Milliseconds since 1970. */
  readonly firstFailedAt: number
  readonly lastFailedAt: number
  /** The writer that recorded it. */
  readonly session: string
}

/** How an item settled, as far as it is on record. */
export function statusIn(
  { isKeyed, fulfilled, failures }: RunIndex,
  at: number,
  key: string | undefined,
): 'fulfilled' | 'rejected' | undefined {
  if (fulfilled.has(at, key)) return 'fulfilled'
  const id = idOf(isKeyed, at, key)
  return id !== undefined && failures.has(id) ? 'rejected' : undefined
}

/**
 * @param spared writers of other sessions that did not die, as in `findSuspects`.
 * @param damaged as in `Loss`.
 */
export async function restore(
  store: Store,
  runId: string,
  fingerprint: string,
  index: RunIndex,
  spared: ReadonlySet<string>,
  damaged = index.damaged,
): Promise<Restored> {
  const { fulfilled, failures } = index
  const suspects = findSuspects(index, spared)
  const winners = await findWinners(store, runId, fingerprint, index)
  return {
    fulfilled: fulfilled.size,
    rejected: failures.size,
    damaged,
    conflicts: winners.size,
    total: index.total,
    atLeast: index.atLeast,
    statusOf: (at, key) => statusIn(index, at, key),
    historyOf: (at, key) => suspects.historyOf(at, key),
    hasAttempted: index.attempted.size > 0,
    isSuspect: (at, key) => !fulfilled.has(at, key) && suspects.has(at, key),
    lastSuspect: suspects.lastIndex,
    isPutOff: (at, key) => suspects.isPutOff(at, key),
    sourceDigest: (block) => index.sources.get(block)?.digest,
    read: (how = {}) => readOutcomes(store, runId, fingerprint, index, winners, how),
  }
}

/**
 * All that `index` says is settled, each item once, file by file. Files that another process replaces meanwhile are found
 * again in what replaced them.
 */
async function* readOutcomes(
  store: Store,
  runId: string,
  fingerprint: string,
  index: RunIndex,
  winners: ReadonlyMap<number | string, Winner>,
  how: { readonly values?: boolean },
): AsyncGenerator<RecordedOutcomes> {
  const chooser = createChooser(index, winners)
  let files: readonly RunFile[] = index.files
  for (let starts = 1; ; starts++) {
    const ahead = readingAhead(store, files)
    try {
      for (const file of files) {
        const codec = await loadCodec(file.format)
        const isValued = how.values === true
        for await (const frames of readFrames(ahead, file, fingerprint, isValued, newReport())) {
          const outcomes = selectOutcomes(frames, chooser, isValued && how.values ? codec : undefined)
          if (outcomes.fulfilled.length > 0 || outcomes.rejected.length > 0) yield outcomes
        }
      }
      break
    } catch (error) {
      if (!(error instanceof FileGoneError) || starts === MAX_STARTS) throw error
      files = await listFiles(store, runId)
    }
  }
  const expected = index.fulfilled.size + index.failures.size
  if (chooser.count < expected) {
    throw new CheckpointCorruptError(
      `Cannot read run '${runId}': expected ${expected} outcomes as before, got ${chooser.count}. Run it again: what is damaged runs again`,
    )
  }
}

function selectOutcomes(frames: readonly Located[], chooser: Chooser, codec: Codec | undefined): RecordedOutcomes {
  const fulfilled: FulfilledBatch[] = []
  const rejected: RecordedRejection[] = []
  for (const frame of frames) {
    const { head, stem, isWhole, body } = frame
    if (!isWhole) continue
    if (head.kind === 'outcomes') {
      const batch = selectBatch(head, stem, body, chooser, codec)
      if (batch !== undefined) fulfilled.push(batch)
    }
    if (head.kind !== 'failure') continue
    const entry = chooser.chooseFailure(head, stem)
    if (entry !== undefined) rejected.push(toRejection(entry, codec?.decode(body)))
  }
  return { fulfilled, rejected }
}

function selectBatch(
  head: OutcomesHead,
  stem: string,
  body: Buffer,
  chooser: Chooser,
  codec: Codec | undefined,
): FulfilledBatch | undefined {
  const indices = fromRuns(head.runs)
  const { keys } = head
  const values = codec && decodeColumns(codec, head, body)
  const chosen = chooser.choosePlaces(indices, keys, stem, values)
  if (chosen.length === 0) return undefined
  const attempts = head.attempts && Uint32Array.from(head.attempts)
  const whole = { indices, ...(keys ? { keys } : {}), ...(attempts ? { attempts } : {}), ...(values ? { values } : {}) }
  return chosen.length === indices.length ? whole : pickBatch(whole, chosen)
}

function toRejection({ kind, key, ...entry }: FailureEntry, column: readonly unknown[] | undefined): RecordedRejection {
  return {
    ...entry,
    kind,
    ...(key === undefined ? {} : { key }),
    ...(column === undefined ? {} : { reason: reviveError(column[0]) }),
    ...(column !== undefined && column.length > 1 ? { item: column[1] } : {}),
  }
}
