import type { Measurement } from '../plan/plan.ts'
import type { Dispatch } from '../stages/stage.ts'
import type { TaskFunction } from '../types.ts'
import type { Places } from './places.ts'
import type { RunSetup } from './protocol.ts'

/** What runs items: a pool of worker threads, or the main thread. One engine may serve several runs. */
export interface Engine {
  /** Starts threads until there are `count`, as far as the system gives them. */
  grow(count: number): void
  /** Resolves when one of the threads is up, or none could be started. */
  up(): Promise<void>
  /** An item has begun. */
  readonly hasBegun: boolean
  /** Makes the engine ready for the items of a run. */
  start<T, R>(run: EngineRunOptions): EngineRun<T, R>
  /** Ends all threads. What still runs is cut off. */
  close(): Promise<void>
}

/** One run's part of an engine. */
export interface EngineRun<T = unknown, R = unknown> {
  /**
   * The innermost dispatch. Tries again, alone and in a fresh worker, what took a worker down, up to `maxCrashes`.
   * Rejects when the task cannot be loaded.
   */
  readonly dispatch: Dispatch<T, R>
  /** Of an engine with threads all runs share them. */
  readonly places: Places
  /** How long the task has been loading, in ms; 0 when an item of the run has begun, or nothing waits for that. */
  loadingFor(): number
  /** No chunk of this run follows. */
  end(): void
}

export interface EngineRunOptions {
  /** The engine numbers its runs by itself. */
  readonly setup: Omit<RunSetup, 'run'>
  /** Loads the task on this thread; only the inline engine asks. */
  load(): Promise<TaskFunction<unknown, unknown>>
  /** Milliseconds for one attempt at one item. */
  readonly timeout: number | undefined
  readonly maxCrashes: number
  /** Milliseconds a drain waits for running items. */
  readonly drainTimeout: number
  /** Called with each measurement. */
  observe(measured: Measurement): void
  /** What a worker packed: the values when somebody will look at them, and how many they are unless only the values would say. */
  readRecord(record: Uint8Array): { readonly values?: ArrayLike<unknown> | undefined; readonly count: number | undefined }
  readonly tally: Tally
  /** Called when a worker that knew this run is gone; `index`: the item of this run it died in. */
  workerExit(threadId: number, index: number | undefined, reason: Error): void
  /** Called when the program ran in a worker, since the task is in its own file. `workers`: how many there are by now. */
  ranAgain(workers: number): void
  /**
   * Called, also again, when there are `count` threads and the system, as `error` tells, has no room for as many as are wanted.
   */
  onShortage(count: number, wanted: number, error: Error): void
  /** Time of one item as the planner knows it, in ms; 0 when unknown. */
  itemTime(): number
  /**
   * Whether items may go on running on the main thread. Asked between slices by the inline engine, which leaves the rest
   * of the chunk unsettled when they may not.
   */
  mayStayInline(): boolean
}

/** What the engine counts for `report.stats`. */
export interface Tally {
  attempts: number
  crashes: number
  timeouts: number
  chunks: number
  taskTime: number
}
