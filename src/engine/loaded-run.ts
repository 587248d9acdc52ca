import type { TaskContext, TaskFunction } from '../types.ts'
import { type LineCheck, loadCodec, loadLineCheck } from '../values/codec.ts'
import type { Codec } from '../values/contract.ts'
import type { ChunkMessage, PartMessage, RunSetup } from './protocol.ts'

/** What it takes to run items on a thread, be it a worker or the main thread. */

/** The items of a chunk, as far as whoever runs them needs to know. */
export type ItemColumns = Pick<ChunkMessage, 'id' | 'items' | 'packed' | 'indices' | 'keys' | 'attempts' | 'isSingly'>

export type CallTask = (run: TaskFunction<unknown, unknown>, item: unknown, context: TaskContext) => unknown

/** A run whose task is at hand. */
export interface LoadedRun {
  readonly setup: Omit<RunSetup, 'run'>
  readonly run: TaskFunction<unknown, unknown>
  /** How many strides in a row had items that are not that short; and how the task is called once there were enough of them. */
  longStrides?: number
  call?: CallTask | undefined
  readonly codec: Codec | undefined
  /** For results that are to be lines of output, and that no codec has checked to be JSON. */
  readonly checkLines: LineCheck | undefined
  /**
   * What it took to pack one value when there were many last, or heavy ones, in ms; undefined before, and when a codec packs
   * them.
   */
  packTime?: number
  /** What it took to copy a result that is not plain, when that was last done, in ms. */
  cloneTime?: number
}

/** What packs the results of a run, or checks them, loaded. */
export async function loadPacking({ record, jsonResults }: LoadedRun['setup']): Promise<Pick<LoadedRun, 'codec' | 'checkLines'>> {
  const [codec, checkLines] = await Promise.all([
    record ? loadCodec(record, jsonResults) : undefined,
    jsonResults && record !== 'json' ? loadLineCheck() : undefined,
  ])
  return { codec, checkLines }
}

/** Where the outcomes go, and how the thread they are computed on wants to be treated. */
export interface Port {
  /** Throws when a value cannot be cloned; nothing was posted then. */
  post(part: PartMessage, transfer: ArrayBuffer[]): void
  /** A chunk that runs longer than this answers in parts, in ms. */
  readonly partMs: number
  /** Items at most between two looks at the clock, while items are short: what turns slow is noticed so many items later. */
  readonly maxStride: number
  /** Called after each part but the last. */
  readonly turn?: () => Promise<void>
  /**
   * Resolves when what tasks printed has left this thread; undefined when nothing waits. A thread may be ended once its last
   * chunk is answered, and its unread output with it.
   */
  readonly flushOutput?: () => Promise<void> | undefined
  /** What in this thread a task has spoiled, when it has; asked when results are packed, and before they are posted. */
  readonly findSpoiled?: (codec: Codec | undefined) => string | undefined
  /** Calls a task whose items are not that short. Default: it is called where they are run, and V8 may inline it there. */
  readonly call?: CallTask
  /**
   * What the task gets to see of an item that did not come from another thread. Throws when the item cannot be cloned, which is a
   * failure of that item.
   */
  readonly clone?: (item: unknown) => unknown
}
