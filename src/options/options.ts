import type { Store } from '../store/store.ts'
import type { AnyShared, Events, Json, Outcome } from '../types.ts'

/**
 * Every option of a run: its type here, its row (check, default, help, flag) in option-table.ts, and its value when it is
 * not given in resolve-options.ts. The build writes what the row says into the published types (scripts/option-comments.mjs).
 */

/** Retries, by p-retry's names but for `budget`. Durations in milliseconds. */
export interface RetryOptions {
  retries?: number | undefined
  factor?: number | undefined
  minTimeout?: number | undefined
  maxTimeout?: number | undefined
  randomize?: boolean | undefined
  shouldRetry?: ((context: RetryContext) => boolean | Promise<boolean>) | undefined
  budget?: number | undefined
}

/** p-retry's context of a failed attempt, and the item it was about. */
export interface RetryContext {
  readonly error: Error
  /** Counts from 1. */
  readonly attemptNumber: number
  readonly retriesLeft: number
  readonly retriesConsumed: number
  readonly index: number
  readonly key: string
}

/** The circuit breaker, by opossum's names but for `maxOpens`. Durations in milliseconds. */
export interface BreakerOptions {
  errorThresholdPercentage?: number | undefined
  volumeThreshold?: number | undefined
  resetTimeout?: number | undefined
  rollingCountTimeout?: number | undefined
  maxOpens?: number | undefined
}

/** Where and how finished items are recorded. Durations in milliseconds. */
export interface CheckpointOptions {
  store: string | URL | Store
  format?: 'msgpack' | 'json' | undefined
  every?: number | undefined
  interval?: number | undefined
  durability?: 'fsync' | 'none' | undefined
  compress?: 'none' | 'gzip' | undefined
  keep?: number | undefined
  onError?: 'fail' | 'warn' | undefined
}

/** Which notices start a drain. A base URL replaces the cloud's own, so that tests serve it from loopback. */
export interface PreemptOptions {
  signals?: boolean | undefined
  aws?: boolean | { baseUrl?: string | undefined } | undefined
  gcp?: boolean | { baseUrl?: string | undefined } | undefined
  azure?: boolean | { baseUrl?: string | undefined } | undefined
}

/** Limits of a worker thread, as in node:worker_threads. */
export interface WorkerLimits {
  maxOldGenerationSizeMb?: number | undefined
  maxYoungGenerationSizeMb?: number | undefined
  codeRangeSizeMb?: number | undefined
  stackSizeMb?: number | undefined
}

/** Listeners by event. One that throws is reported once as a `warning` and never stops the run. */
export type Listeners<R = unknown> = {
  [E in keyof Events]?: ((payload: E extends 'outcome' ? Outcome<R> : Events[E]) => void) | undefined
}

/**
 * Options of `execute`, `stream` and `plan`. Durations in milliseconds; unknown options are refused; `undefined` means not given.
 */
export interface ExecuteOptions<T = unknown, S = AnyShared> {
  workers?: number | undefined
  mode?: 'auto' | 'threads' | 'inline' | undefined
  chunkSize?: 'auto' | number | undefined
  retry?: number | RetryOptions | undefined
  breaker?: boolean | BreakerOptions | undefined
  timeout?: number | undefined
  maxCrashes?: number | undefined
  maxFailures?: number | `${number}%` | undefined
  checkpoint?: string | URL | Store | CheckpointOptions | undefined
  resume?: true | 'fresh' | 'require' | undefined
  retryFailed?: boolean | 'only' | undefined
  runId?: string | undefined
  key?: ((item: T, index: number) => string) | undefined
  // An interface has no index signature, and so is no Json to TypeScript. What else is none is refused as the run is called.
  config?: Json | object | undefined
  shard?: `${number}/${number}` | 'auto' | undefined
  preempt?: 'auto' | PreemptOptions | undefined
  drainTimeout?: number | undefined
  collect?: boolean | undefined
  seed?: number | undefined
  shared?: S | undefined
  resourceLimits?: WorkerLimits | undefined
  signal?: AbortSignal | undefined
  // biome-ignore lint/suspicious/noExplicitAny: what a task gives is known of the task, and not of its options; so listeners say it.
  on?: Listeners<any> | undefined
}

/** The options of a run with every default filled in. Durations in milliseconds. */
export interface ResolvedOptions<T = unknown> {
  readonly workers: number | undefined
  readonly mode: 'auto' | 'threads' | 'inline'
  /** undefined: the planner chooses. */
  readonly chunkSize: number | undefined
  readonly retry: {
    readonly retries: number
    readonly factor: number
    readonly minTimeout: number
    readonly maxTimeout: number
    readonly randomize: boolean
    readonly shouldRetry: ((context: RetryContext) => boolean | Promise<boolean>) | undefined
    readonly budget: number | undefined
  }
  readonly breaker: Required<{ [K in keyof BreakerOptions]: number }> | undefined
  readonly timeout: number | undefined
  readonly maxCrashes: number
  readonly maxFailures: { readonly count: number } | { readonly percentage: number }
  readonly checkpoint: ResolvedCheckpoint | undefined
  readonly resume: true | 'fresh' | 'require'
  readonly retryFailed: boolean | 'only'
  readonly runId: string | undefined
  readonly key: ((item: T, index: number) => string) | undefined
  readonly config: Json | undefined
  readonly shard: string | undefined
  readonly preempt: 'auto' | PreemptOptions | undefined
  readonly drainTimeout: number
  readonly collect: boolean
  readonly seed: number
  readonly shared: unknown
  readonly resourceLimits: WorkerLimits | undefined
  readonly signal: AbortSignal | undefined
  readonly on: Listeners
}

/** `checkpoint` with every default filled in. */
interface ResolvedCheckpoint {
  readonly store: Store
  readonly format: 'msgpack' | 'json'
  readonly every: number
  readonly interval: number
  readonly durability: 'fsync' | 'none'
  readonly compress: 'none' | 'gzip'
  readonly keep: number
  readonly onError: 'fail' | 'warn'
}
