import { InvalidOptionError } from './errors.ts'
import { didYouMean } from './nearest.ts'
import { isPlain, isStoreLike, OPTIONS, type OptionSpec, PARTS } from './option-table.ts'
import { fileStore } from './store/file.ts'
import type { Store } from './store/store.ts'
import type { Events, Json, Outcome } from './types.ts'

export { listOptions, type OptionSpec, RUN_ID } from './option-table.ts'

/** Every option of a run: its type here, its row (check, default, help, flag) in option-table.ts, its value when it is not given below. */

/** Retries, by p-retry's names. Durations in milliseconds. */
export interface RetryOptions {
  retries?: number | undefined
  factor?: number | undefined
  minTimeout?: number | undefined
  maxTimeout?: number | undefined
  randomize?: boolean | undefined
  /** Runs on the main thread; false makes the failure final. */
  shouldRetry?: ((context: RetryContext) => boolean | Promise<boolean>) | undefined
  /** Share of the items started, in (0, 1], after which failures are final; never fewer than 10 retries. */
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

/** The circuit breaker, by opossum's names. Durations in milliseconds. */
export interface BreakerOptions {
  errorThresholdPercentage?: number | undefined
  /** In chunks. */
  volumeThreshold?: number | undefined
  resetTimeout?: number | undefined
  rollingCountTimeout?: number | undefined
  /** The opening that ends the run. */
  maxOpens?: number | undefined
}

/** Where and how finished items are recorded. Durations in milliseconds. */
export interface CheckpointOptions {
  store: string | Store
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

/** Options of `execute`, `stream` and `plan`. Durations in milliseconds; unknown options are refused; `undefined` means not given. */
export interface ExecuteOptions<T = unknown> {
  workers?: number | undefined
  mode?: 'auto' | 'threads' | 'inline' | undefined
  chunkSize?: 'auto' | number | undefined
  retry?: number | RetryOptions | undefined
  breaker?: boolean | BreakerOptions | undefined
  timeout?: number | undefined
  maxCrashes?: number | undefined
  maxFailures?: number | `${number}%` | undefined
  checkpoint?: string | Store | CheckpointOptions | undefined
  resume?: true | 'fresh' | 'require' | undefined
  retryFailed?: boolean | 'only' | undefined
  runId?: string | undefined
  key?: ((item: T, index: number) => string) | undefined
  config?: Json | undefined
  shard?: `${number}/${number}` | 'auto' | undefined
  preempt?: 'auto' | PreemptOptions | undefined
  drainTimeout?: number | undefined
  collect?: boolean | undefined
  seed?: number | undefined
  shared?: unknown
  resourceLimits?: WorkerLimits | undefined
  signal?: AbortSignal | undefined
  on?: Listeners | undefined
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
  readonly maxFailures: { readonly count: number } | { readonly share: number }
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
  /** Where the store is, for people: the directory, else undefined. */
  readonly directory: string | undefined
  readonly format: 'msgpack' | 'json'
  readonly every: number
  readonly interval: number
  readonly durability: 'fsync' | 'none'
  readonly compress: 'none' | 'gzip'
  readonly keep: number
  readonly onError: 'fail' | 'warn'
}

/**
 * Checks `given` and fills in the defaults.
 *
 * @throws InvalidOptionError for an unknown option, a value out of bounds, or options that exclude one another.
 */
export function resolveOptions<T>(given: ExecuteOptions<T> = {}): ResolvedOptions<T> {
  if (!isPlain(given)) throw new InvalidOptionError('options', 'a plain object', given)
  const options = dropUndefined(given) as ExecuteOptions<T>
  checkAll(options, OPTIONS, '')
  const retry = part('retry', typeof options.retry === 'number' ? { retries: options.retry } : options.retry) as RetryOptions
  const breaker = typeof options.breaker === 'object' ? (part('breaker', options.breaker) as BreakerOptions) : {}
  if (options.resourceLimits) part('resourceLimits', options.resourceLimits)
  if (typeof options.preempt === 'object') part('preempt', options.preempt)
  checkListeners(options.on)
  checkTogether(options)
  const resolved: ResolvedOptions<T> = {
    workers: options.workers,
    mode: options.mode ?? 'auto',
    chunkSize: options.chunkSize === 'auto' ? undefined : options.chunkSize,
    retry: {
      retries: retry.retries ?? 0,
      factor: retry.factor ?? 2,
      minTimeout: retry.minTimeout ?? 1000,
      maxTimeout: retry.maxTimeout ?? 60_000,
      randomize: retry.randomize ?? false,
      shouldRetry: retry.shouldRetry,
      budget: retry.budget,
    },
    breaker: options.breaker
      ? {
          errorThresholdPercentage: breaker.errorThresholdPercentage ?? 50,
          volumeThreshold: breaker.volumeThreshold ?? 10,
          resetTimeout: breaker.resetTimeout ?? 30_000,
          rollingCountTimeout: breaker.rollingCountTimeout ?? 10_000,
          maxOpens: breaker.maxOpens ?? 5,
        }
      : undefined,
    timeout: options.timeout,
    maxCrashes: options.maxCrashes ?? 2,
    maxFailures:
      typeof options.maxFailures === 'string'
        ? { share: Number.parseFloat(options.maxFailures) / 100 }
        : { count: options.maxFailures ?? 0 },
    checkpoint: options.checkpoint === undefined ? undefined : resolveCheckpoint(options.checkpoint),
    resume: options.resume ?? true,
    retryFailed: options.retryFailed ?? true,
    runId: options.runId,
    key: options.key,
    config: options.config,
    shard: options.shard,
    preempt: options.preempt,
    drainTimeout: options.drainTimeout ?? 10_000,
    collect: options.collect ?? true,
    seed: options.seed ?? 0,
    shared: options.shared,
    resourceLimits: options.resourceLimits,
    signal: options.signal,
    on: options.on ?? {},
  }
  if (resolved.retry.minTimeout > resolved.retry.maxTimeout) {
    throw new InvalidOptionError(
      'retry.minTimeout',
      `at most retry.maxTimeout (${resolved.retry.maxTimeout})`,
      resolved.retry.minTimeout,
    )
  }
  return resolved
}

function resolveCheckpoint(given: string | Store | CheckpointOptions): ResolvedCheckpoint {
  const options = isStoreLike(given) ? { store: given } : (part('checkpoint', given) as CheckpointOptions)
  if (options.store === undefined) throw new InvalidOptionError('checkpoint.store', 'a directory or a Store', undefined)
  const { store } = options
  return {
    store: typeof store === 'string' ? fileStore(store) : store,
    directory: typeof store === 'string' ? store : undefined,
    format: options.format ?? 'msgpack',
    every: options.every ?? 1000,
    interval: options.interval ?? 1000,
    durability: options.durability ?? 'fsync',
    compress: options.compress ?? 'none',
    keep: options.keep ?? 2,
    onError: options.onError ?? 'fail',
  }
}

/** Options that mean nothing, or something else than meant, in each other's company. */
function checkTogether(options: ExecuteOptions<never>): void {
  const needs = (option: 'resume' | 'retryFailed', isUsed: boolean) => {
    if (isUsed && options.checkpoint === undefined) {
      throw new InvalidOptionError(option, "to be used together with 'checkpoint'", options[option])
    }
  }
  needs('resume', options.resume !== undefined && options.resume !== true)
  needs('retryFailed', options.retryFailed !== undefined && options.retryFailed !== true)
  if (options.mode !== 'inline') return
  for (const option of ['timeout', 'resourceLimits'] as const) {
    if (options[option] !== undefined) {
      throw new InvalidOptionError(
        'mode',
        `'threads' or 'auto' when '${option}' is given, which only a worker thread can obey`,
        'inline',
      )
    }
  }
}

function checkAll(options: object, specs: Record<string, OptionSpec>, prefix: string): void {
  for (const [name, value] of Object.entries(options)) {
    const spec = Object.hasOwn(specs, prefix + name) ? specs[prefix + name] : undefined
    if (!spec) {
      const known = Object.keys(specs).filter((it) => it.startsWith(prefix))
      throw unknown('options', prefix + name, known, value)
    }
    if (!spec.check(value)) throw new InvalidOptionError(prefix + name, spec.expected, value)
  }
}

/** `name` is none of `known`; both may have the name of what they are part of in front. */
function unknown(what: string, name: string, known: readonly string[], value: unknown): InvalidOptionError {
  const last = (path: string) => path.slice(path.lastIndexOf('.') + 1)
  const advice = didYouMean(last(name), known.map(last))
  return new InvalidOptionError(name, `one of the known ${what} (${known.join(', ')})`, value, { advice })
}

/** A nested object of options, checked, without what is undefined. */
function part(name: string, value: object | undefined): object {
  const given = dropUndefined(value ?? {})
  checkAll(given, PARTS, `${name}.`)
  return given
}

const EVENTS = [
  'plan',
  'progress',
  'outcome',
  'retry',
  'breaker',
  'beforeCheckpoint',
  'afterCheckpoint',
  'workerExit',
  'drain',
  'warning',
]

function checkListeners(listeners: Listeners | undefined): void {
  for (const [event, listener] of Object.entries(listeners ?? {})) {
    if (!EVENTS.includes(event)) throw unknown('events', `on.${event}`, EVENTS, listener)
    if (listener !== undefined && typeof listener !== 'function')
      throw new InvalidOptionError(`on.${event}`, 'a function', listener)
  }
}

function dropUndefined(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, it]) => it !== undefined))
}
