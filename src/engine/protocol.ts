import type { MessagePort } from 'node:worker_threads'
import type { CarriedError } from '../carried-error.ts'
import type { PackedItems } from '../items/file-items.ts'
import type { TaskSpec } from '../task/task.ts'
import type { FailureKind } from '../types.ts'
import type { Format } from '../values/contract.ts'

/**
 * What main thread and worker say to one another. Plain data that structured clone carries. A field that has nothing to
 * say is left out: structured clone pays for every name, and a chunk of one item is mostly names.
 */

/**
 * From so many numbers on a column of them travels as a typed array: fewer are cheaper as a plain array, since a typed
 * array brings a block of memory of its own. Set by bench/carriers.bench.mjs.
 */
export const NUMBERS_TOGETHER = 64

/** The first thing a worker gets: where chunks come from and answers go, and the recorder it keeps. */
export interface ServeMessage {
  readonly port: MessagePort
  readonly cells: Int32Array
  /** Load this codec already: values will be packed with it. */
  readonly record: Format | undefined
}

/** What a worker must know of a run; sent once to each. */
export interface RunSetup {
  readonly run: number
  readonly runId: string
  readonly task: TaskSpec
  /** What the tasks share; absent where the worker has it from another run and keeps it. */
  readonly shared?: unknown
  /** All runs of the executor share that, but for those that have something of their own: the worker is to keep it. */
  readonly keepsShared?: true
  readonly seed: number
  /** Pack the values with this codec, to be recorded. */
  readonly record: Format | undefined
  /** Refuse values that JSON cannot hold. */
  readonly jsonResults: boolean
  /** Store the start time of each item, for `timeout`. */
  readonly timed: boolean
}

/** A chunk on its way to a worker. Columns as in Chunk; many numbers travel in one block of memory (items/numbers.ts). */
export interface ChunkMessage {
  readonly id: number
  readonly run: number
  readonly setup?: RunSetup
  /** Runs that are over: forget their setup. */
  readonly ended?: readonly number[]
  /** The slot of the worker's flight recorder to keep. */
  readonly slot: number
  readonly items: ArrayLike<unknown>
  /** The items as bytes of a file; then `items` is empty. */
  readonly packed?: PackedItems
  /** A number: the first of indices that follow one another. */
  readonly indices: Uint32Array | number
  readonly keys?: readonly string[] | undefined
  /** Attempts each item had before. Absent: none. */
  readonly attempts?: Uint32Array | undefined
  /** Answer each item by itself, before the next one starts: one of the results may be the death of the worker (blame.ts). */
  readonly isSingly?: true
}

/**
 * What a worker answers: places [from, to) of the chunk have settled. Long chunks answer in parts, so that a crash
 * loses little; the last part has `end`. Places from `to` on were not started.
 */
export interface PartMessage {
  readonly id: number
  readonly from: number
  readonly to: number
  readonly end: boolean
  /** The values of the fulfilled places, in order; absent when `record` holds them. */
  readonly values?: ArrayLike<unknown>
  readonly record?: Uint8Array
  readonly rejected?: readonly RejectedPlace[]
  /** Time spent in the task since the last part, in ms. */
  readonly taskTime: number
  /** Time to pack one value, in ms, as it was for the values of the run before these: it cannot be in what it measures. */
  readonly packTime?: number
  /** The thread is spoiled, and this is how it is known; there is nothing else to be heard from it. */
  readonly spoiled?: string
  /** The task of `run` could not be loaded: nothing ran. */
  readonly loadError?: CarriedError
  /** Why the chunk that was sent behind `id`, the last one read, cannot be read; nothing else is said then. */
  readonly unread?: string
  /** The program, which has the task of `run` in its own file, reached `execute` in the worker after the task was loaded. */
  readonly ranAgain?: true
  /** Said with `loadError`, which may be about no chunk, and with `ranAgain`. */
  readonly run?: number
}

export interface RejectedPlace {
  readonly place: number
  readonly kind: FailureKind
  readonly error: CarriedError
  /** The item could not be given to the task, so this was no attempt. */
  readonly isUnstarted?: true
}
