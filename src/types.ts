/** What every layer speaks of: items, chunks, outcomes, plans, reports. Types only, and imports nothing. */

/** How an item failed: the task threw, ran too long, took its worker down, ran out of memory, or could not be carried. */
export type FailureKind = 'error' | 'timeout' | 'crash' | 'memory' | 'serialization'

interface OutcomeBase {
  /** Place of the item, from 0. */
  readonly index: number
  /** Identity of the item: what `key` gave, else the index in decimal digits. */
  readonly key: string
  /** How often the item was started, over all sessions since it last was a failure on record; interruptions do not count. */
  readonly attempts: number
  /** True when the outcome was read from the checkpoint and not computed by this session. */
  readonly restored: boolean
}

/** The outcome of an item that succeeded. */
export interface Fulfilled<R = unknown> extends OutcomeBase {
  readonly status: 'fulfilled'
  readonly value: R
}

/** The outcome of an item that failed for good. `reason` is always an Error; a thrown non-error is its `cause`. */
export interface Rejected extends OutcomeBase {
  readonly status: 'rejected'
  readonly reason: Error
  readonly kind: FailureKind
}

/** How an item settled. */
export type Outcome<R = unknown> = Fulfilled<R> | Rejected

/** A rejected outcome together with the item it belongs to, and what is known of its past. */
export interface Failure<T = unknown> extends Rejected {
  readonly item: T
  /** How often the item took its worker, or the process, down: in all sessions, also before it last was a failure on record. */
  readonly crashes: number
  /** When the first and the last attempt failed, in milliseconds since 1970. */
  readonly firstFailedAt: number
  readonly lastFailedAt: number
  /** The session (its writer name) in which the item failed; undefined without a checkpoint. */
  readonly session: string | undefined
}

/**
 * Items dispatched together, column by column: place `i` of each column is
 * about the same item. Indices ascend.
 */
export interface Chunk<T = unknown> {
  readonly items: ArrayLike<T>
  readonly indices: Uint32Array
  /** Absent: the key of an item is its index. */
  readonly keys?: readonly string[]
  /** What is known of the past of the items, by index. Absent for items that were never tried. */
  readonly histories?: ReadonlyMap<number, History>
  /** A suspect: it may take down its worker, or the process, so nothing else should be at risk with it. */
  readonly alone?: boolean
}

/** The past of an item that did not succeed at once. */
export interface History {
  /** Attempts that ended, in all sessions since it last was a failure on record. */
  readonly attempts: number
  /** How often it took its worker, or the process, down; with those before it was a failure on record. */
  readonly crashes: number
  /** Of the crashes, those for which an earlier session gave the item up: they are told, and count no more. Absent: none. */
  readonly pardoned?: number
  /** When the first attempt failed, in milliseconds since 1970; undefined when none did, and only its worker was lost. */
  readonly firstFailedAt: number | undefined
}

/**
 * Items that succeeded, column by column. Either `values` or `record` may be
 * missing, never both: `record` holds the values as a codec wrote them.
 */
export interface FulfilledBatch<R = unknown> {
  readonly indices: Uint32Array
  readonly keys?: readonly string[]
  /** Attempts of each item; absent: one each. */
  readonly attempts?: Uint32Array
  readonly values?: ArrayLike<R>
  readonly record?: Uint8Array
}

/** An attempt that failed, with the item, so that it can be tried again. */
export interface Rejection<T = unknown> {
  readonly index: number
  readonly key?: string
  readonly item: T
  readonly kind: FailureKind
  readonly reason: Error
  readonly attempts: number
  readonly crashes: number
  /** As in its history. */
  readonly pardoned?: number
  /** Milliseconds since 1970. */
  readonly firstFailedAt: number
  readonly lastFailedAt: number
}

/** What came of a chunk. Items that a drain interrupted are in neither list. */
export interface Outcomes<T = unknown, R = unknown> {
  readonly fulfilled: readonly FulfilledBatch<R>[]
  readonly rejected: readonly Rejection<T>[]
}

/** What the planner chose, and why. */
export interface Plan {
  readonly mode: 'threads' | 'inline'
  /** Worker threads; 1 when inline. */
  readonly workers: number
  /** Items per dispatch, now. */
  readonly chunkSize: number
  /** Measured time of one item in milliseconds; 0 when nothing was measured yet. */
  readonly itemTime: number
  /** Measured cost in milliseconds of carrying one item to a worker and its result back. */
  readonly overhead: number
  /** Estimated speed-up against running the items one after the other. */
  readonly speedup: number
  /** A sentence for people. */
  readonly reason: string
  readonly warnings: string[]
}

/** Counts and times of a session. Times are in milliseconds, sizes in bytes. */
export interface Stats {
  /** Items of this run (of this shard), as far as known. */
  readonly items: number
  /** Distinct items this session ran. */
  readonly dispatched: number
  /** Items answered from the checkpoint. */
  readonly restored: number
  /** Items that have settled as the one or the other, restored ones included. */
  readonly succeeded: number
  readonly failed: number
  /** Starts of items in this session, those that were interrupted left out. */
  readonly attempts: number
  /** Starts that followed a failed attempt, as `retry` has it. */
  readonly retries: number
  /** Attempts that took their worker down, and that ran longer than `timeout`. */
  readonly crashes: number
  readonly timeouts: number
  /** Dispatches to workers. */
  readonly chunks: number
  /** Flushes that made outcomes durable. */
  readonly checkpoints: number
  /** All that went to the store. */
  readonly bytesWritten: number
  /** Items run again because their record was damaged. */
  readonly damaged: number
  /** Items with two different successes on record. */
  readonly conflicts: number
  /** From when the run began to its report. */
  readonly wallTime: number
  /** Time spent in the task, summed over all workers. */
  readonly taskTime: number
  /** `taskTime / (workers × wallTime)`, from 0 to 1. */
  readonly utilization: number
}

/** What a run came to. `results[i]` belongs to item `i`. */
export interface Report<R = unknown, T = unknown> {
  readonly runId: string
  /** `complete`: every item (of this shard) has settled, tolerated failures included. */
  readonly status: 'complete' | 'partial'
  /** In the order of the items; a hole where an item failed, or has not settled. Empty with `collect: false`. */
  readonly results: R[]
  /** In the order of the items. */
  readonly failures: readonly Failure<T>[]
  readonly plan: Plan
  readonly stats: Stats
}

/** What a task is given besides its item. */
export interface TaskContext<S = unknown> {
  /** Place of the item, from 0. */
  readonly index: number
  /** What the option `key` gave for the item, else the index in decimal digits. */
  readonly key: string
  /** Counts from 1, on from earlier sessions in which the item did not settle. */
  readonly attempt: number
  /** Name of the run. */
  readonly runId: string
  /** Aborts when a drain starts; `aborted` is current even in a loop that never awaits. */
  readonly signal: AbortSignal
  /**
   * The `shared` option, sent once per worker; that of an executor once for all its runs. To be read only: what a task writes
   * stays in its thread.
   */
  readonly shared: S
  /**
   * A number in [0, 1) of 53 random bits, seeded by the option `seed` and the key: the same sequence on every attempt, however the
   * run was cut or resumed, and another one for each item. Not for secrets.
   */
  random(): number
}

/** What tasks may share of whom nothing is known: it is between a task and an option, and nothing but any is assignable both ways. */
// biome-ignore lint/suspicious/noExplicitAny: see above.
export type AnyShared = any

/** The function run once per item. */
export type TaskFunction<T, R, S = unknown> = (item: T, context: TaskContext<S>) => R | Promise<R>

/** Recursive JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined }

/** What the `on` listeners are called with. */
export interface Events<R = unknown> {
  /** Once the first items are measured, or soon after the start. */
  plan: Plan
  /** At most every 100 ms, and once at the end. */
  progress: {
    /** Items that have settled, failures and restored ones included. */
    done: number
    /** Items of this run (of this shard); undefined as long as nobody knows. */
    total: number | undefined
    failed: number
    restored: number
    /** Of this session: restored items are left out. */
    itemsPerSecond: number
    /** Milliseconds left; undefined when unknown. */
    eta: number | undefined
  }
  /** For each item that settles, restored ones included. */
  outcome: Outcome<R>
  /** An attempt failed and another follows after `delay` ms; `attempt` is the one that failed, as the task's context had it. */
  retry: { index: number; attempt: number; error: Error; delay: number }
  /** The circuit breaker changed: `open` holds chunks back, `halfOpen` lets one through. */
  breaker: { state: 'open' | 'halfOpen' | 'closed' }
  /** A flush begins, of `pending` items. */
  beforeCheckpoint: { runId: string; pending: number }
  /** A flush of so many `bytes` took `duration` ms; `recorded`: items durable so far. */
  afterCheckpoint: { runId: string; recorded: number; bytes: number; duration: number }
  /** A worker is gone; `index`: the item of this run that it died in. */
  workerExit: { threadId: number; index: number | undefined; reason: Error }
  /** The run is told to stop: by its signal, by a notice, or by an error that ends it. */
  drain: { reason: unknown }
  /**
   * `code` says of what kind, as the README lists them; `message` is for people. Without a listener it goes to
   * `process.emitWarning`.
   */
  warning: { code: string; message: string }
}

/** Calls whoever listens to `event`. */
export type Emit = <E extends keyof Events>(event: E, payload: Events[E]) => void
