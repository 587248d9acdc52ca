import type { FailureKind } from '../../types.ts'
import type { FailureHead, OutcomesHead } from '../format/frame.ts'
import type { RunFile } from '../format/run-file.ts'
import type { FileReport } from '../reading/file-report.ts'
import type { FrameAddress } from '../reading/read-file.ts'
import type { ItemList } from './item-list.ts'
import type { ItemSet } from './item-set.ts'
import type { SessionTrace } from './session-trace.ts'
import type { SourceRecord } from './source-record.ts'

/** What a run came to so far, without values. */
export interface RunIndex extends SourceRecord, LeftRecord {
  readonly isKeyed: boolean
  /** How many items the run has: as its manifest says, else what is on record; undefined as long as neither does. */
  readonly itemCount: number | undefined
  /** Outcomes are recorded with keys: so are those of keyed runs. */
  readonly hasKeys: boolean
  /** The files it was read from; those that an intact snapshot stands for are left out. */
  readonly files: readonly LoadedFile[]
  /** Files that an intact snapshot stands for. */
  readonly covered: readonly CoveredFile[]
  readonly fulfilled: ItemSet
  /** Failures of items that did not succeed elsewhere, by `idOf`. */
  readonly failures: ReadonlyMap<number | string, FailureEntry>
  /**
   * What became of items that were tried and have not settled since, by index or, in keyed runs, `hashKey`. Read it with
   * `attemptedIn`.
   */
  readonly attempted: ReadonlyMap<number, Attempted>
  /** In keyed runs, where the items are, and which there are; undefined: as they were recorded. */
  readonly list: ItemList | undefined
  /** An item was recorded more than once as fulfilled, with different indices. */
  readonly hasMoved: boolean
  /** Items recorded more than once as fulfilled. */
  readonly duplicates: ItemSet
  /** Items of frames whose head holds and whose body does not, settled otherwise or not. */
  readonly broken: ItemSet
  /** How many of them are not settled otherwise. What else is damaged, `findLoss` tells. */
  readonly damaged: number
  readonly sessions: readonly SessionTrace[]
  /** Sessions that a later one found dead; of some nothing else is left. */
  readonly knownDead: readonly string[]
  /** Sessions that a later one found at an end without a word of it; of some nothing else is left. */
  readonly knownEnded: readonly string[]
}

/** What could be read of sessions as others found them at an end: what is less by now was lost since. */
export interface LeftRecord {
  /** How many bytes segments have at least, by their names below the run. */
  readonly left: ReadonlyMap<string, number>
  /** Names of those that are not there any more, and that no snapshot stood for. */
  readonly gone: readonly string[]
  /** Names of segments of which a later session has said that they are there. */
  readonly noted: ReadonlySet<string>
}

/** Attempts at an item that has not settled since, as an `attempted` frame tells them. */
export interface Attempted {
  readonly attempts: number
  readonly crashes: number
  /** When the first of them failed, in milliseconds since 1970; undefined: all of them were lost with a worker. */
  readonly since: number | undefined
  /** The writer that recorded them. */
  readonly session: string
}

/** A file that an intact snapshot stands for, and what that says of it. */
export interface CoveredFile extends RunFile {
  /** Bytes that were copied of it. */
  readonly copiedBytes: number
  /** Frames of it that are in the snapshot, as in `kept`. */
  readonly copiedFrames: number
}

export interface LoadedFile extends RunFile {
  readonly report: FileReport
  /** Items of frames whose head holds and whose body does not. */
  readonly damagedItems: readonly DamagedFrame[]
  /** Where its whole outcomes are; undefined unless that was asked for. */
  readonly settled: readonly SettledFrame[] | undefined
  /** Bytes of the values of successes. */
  readonly valueBytes: number
  /** How many whole frames it has of each segment, but for notes of what began. */
  readonly kept: ReadonlyMap<string, number>
  /** In snapshots: what it stands for, if it does. */
  readonly covers: readonly { readonly name: string; readonly size: number }[]
  /** Of a snapshot: nothing is missing, so that it stands for what it covers. */
  readonly isIntact: boolean
}

export interface DamagedFrame {
  /** As in Located, like what follows. */
  readonly block: number
  readonly start: number
  readonly end: number
  readonly indices: Uint32Array
}

/** Where a frame is that holds outcomes, and of which items. */
export interface SettledFrame extends FrameAddress {
  readonly head: Pick<OutcomesHead, 'kind' | 'runs' | 'keys'> | FailureHead
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
