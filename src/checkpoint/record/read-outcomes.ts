import { CheckpointCorruptError } from '../../errors.ts'
import { pickBatch } from '../../items/chunk.ts'
import type { Store } from '../../store/store.ts'
import type { FailureKind, FulfilledBatch } from '../../types.ts'
import { loadCodec } from '../../values/codec.ts'
import type { Codec } from '../../values/contract.ts'
import { reviveError } from '../format/error-record.ts'
import { fromRuns, type OutcomesHead } from '../format/frame.ts'
import type { RunFile } from '../format/run-file.ts'
import { decodeColumns } from '../reading/decode-columns.ts'
import { FileGoneError, MAX_STARTS } from '../reading/file-bytes.ts'
import type { Located } from '../reading/read-file.ts'
import { readFiles } from '../reading/read-files.ts'
import { listFiles } from './load.ts'
import type { FailureEntry, RunIndex } from './run-index.ts'
import { type Chooser, createChooser, type Winner } from './winners.ts'

/** Outcomes as recorded. `values` is absent unless asked for. */
export interface RecordedOutcomes {
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

/**
 * All that `index` says is settled, each item once, file by file. Files that another process replaces meanwhile are found
 * again in what replaced them.
 */
export async function* readOutcomes(
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
    try {
      for await (const { file, frames, isChecked } of readFiles(store, files, fingerprint, () => how.values === true)) {
        const codec = isChecked && how.values ? await loadCodec(file.format) : undefined
        const outcomes = selectOutcomes(frames, chooser, codec)
        if (outcomes.fulfilled.length > 0 || outcomes.rejected.length > 0) yield outcomes
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
