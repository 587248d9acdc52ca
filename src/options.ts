import { InvalidOptionError } from './errors.ts'
import { fileStore } from './store/file.ts'
import type { Store } from './store/store.ts'
import type { Events, Json, Outcome } from './types.ts'

/** Every option of a run, declared once: the README table, the checks, the defaults and the flags of the command line come from OPTIONS below. */

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

/** What an option is: its check, default, help and flag. */
export interface OptionSpec {
  /** What the type may be, for people. */
  readonly type: string
  /** The default, for people. */
  readonly default: string
  readonly help: string
  /** True when the value can be used. */
  check(value: unknown): boolean
  /** What `check` accepts, to complete "expected …". */
  readonly expected: string
  /** How the command line says it, in commander's notation. */
  readonly flag?: string
}

const isInteger = (min: number, max = Number.MAX_SAFE_INTEGER) => ({
  check: (value: unknown) => Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max,
  expected: max === Number.MAX_SAFE_INTEGER ? `an integer >= ${min}` : `an integer from ${min} to ${max}`,
})

/** Longer than Node's timers can wait (2^31 - 1 ms, 24.8 days), a duration would end at once. */
const MAX_DURATION = 2 ** 31 - 1

const isDuration = (min: number) => ({
  check: (value: unknown) => typeof value === 'number' && value >= min && value <= MAX_DURATION,
  expected: `milliseconds from ${min} to ${MAX_DURATION}`,
})

const isOneOf = (...values: readonly unknown[]) => ({
  check: (value: unknown) => values.includes(value),
  expected: values.map((value) => (typeof value === 'string' ? `'${value}'` : String(value))).join(' or '),
})

const isBoolean = isOneOf(true, false)
const isFunction = { check: (value: unknown) => typeof value === 'function', expected: 'a function' }

/** Most items one chunk may hold: a worker answers a chunk at once, and its answer has to fit into memory twice. */
export const MAX_CHUNK_ITEMS = 1_000_000

/** What a run may be called: no separator, no leading dot, so that it is a folder name everywhere. */
export const RUN_ID = /^[\w-][\w.-]{0,127}$/

/** Options inside `retry`, `breaker`, `checkpoint`, `preempt` and `resourceLimits`, by their full name. */
const PARTS: Record<string, OptionSpec> = {
  'retry.retries': { type: 'number', default: '0', help: 'retries per item', ...isInteger(0), flag: '--retries <n>' },
  'retry.factor': {
    type: 'number',
    default: '2',
    help: 'growth of the wait from one retry to the next',
    check: (v) => typeof v === 'number' && v >= 1 && Number.isFinite(v),
    expected: 'a number >= 1',
  },
  'retry.minTimeout': { type: 'ms', default: '1000', help: 'wait before the first retry', ...isDuration(0) },
  'retry.maxTimeout': { type: 'ms', default: '60000', help: 'longest wait', ...isDuration(0) },
  'retry.randomize': {
    type: 'boolean',
    default: 'false',
    help: 'multiply each wait by a random factor from 1 to 2',
    ...isBoolean,
  },
  'retry.shouldRetry': {
    type: 'function',
    default: 'none',
    help: "runs on the main thread with p-retry's context plus `index` and `key`; `false` makes the failure final",
    ...isFunction,
  },
  'retry.budget': {
    type: 'number',
    default: 'off',
    help: 'a share of the items started (at least 10 retries) after which failures are final',
    check: (v) => typeof v === 'number' && v > 0 && v <= 1,
    expected: 'a share > 0 and <= 1',
  },
  'breaker.errorThresholdPercentage': {
    type: 'number',
    default: '50',
    help: 'share of failed chunks that opens the breaker, and of failed items that makes a chunk count as failed',
    check: (v) => typeof v === 'number' && v > 0 && v <= 100,
    expected: 'a number > 0 and <= 100',
  },
  'breaker.volumeThreshold': { type: 'number', default: '10', help: 'chunks seen before it may open', ...isInteger(1) },
  'breaker.resetTimeout': { type: 'ms', default: '30000', help: 'how long it stays open', ...isDuration(1) },
  'breaker.rollingCountTimeout': { type: 'ms', default: '10000', help: 'the window chunks are counted in', ...isDuration(10) },
  'breaker.maxOpens': { type: 'number', default: '5', help: 'the opening that ends the run', ...isInteger(1) },
  'checkpoint.store': {
    type: 'string | Store',
    default: 'none',
    help: 'a directory or a store',
    check: isStoreLike,
    expected: 'a directory or a Store',
  },
  'checkpoint.format': {
    type: "'msgpack' | 'json'",
    default: "'msgpack'",
    help: "`'json'`: a person can read and grep it; limited to what JSON can hold",
    ...isOneOf('msgpack', 'json'),
    flag: '--format <format>',
  },
  'checkpoint.every': {
    type: 'number',
    default: '1000',
    help: 'items after which a flush starts',
    ...isInteger(1),
    flag: '--checkpoint-every <n>',
  },
  'checkpoint.interval': {
    type: 'ms',
    default: '1000',
    help: 'time after which a flush starts, whichever comes first',
    ...isDuration(1),
    flag: '--checkpoint-interval <time>',
  },
  'checkpoint.durability': {
    type: "'fsync' | 'none'",
    default: "'fsync'",
    help: "`'none'` leaves it to the operating system",
    ...isOneOf('fsync', 'none'),
  },
  'checkpoint.compress': {
    type: "'none' | 'gzip'",
    default: "'none'",
    help: 'reading detects it',
    ...isOneOf('none', 'gzip'),
    flag: '--compress',
  },
  'checkpoint.keep': {
    type: 'number',
    default: '2',
    help: 'superseded snapshots kept, to fall back on',
    ...isInteger(0, 1000),
    flag: '--keep <n>',
  },
  'checkpoint.onError': {
    type: "'fail' | 'warn'",
    default: "'fail'",
    help: "after 30 s of retries; `'warn'`: go on without saving, and say so",
    ...isOneOf('fail', 'warn'),
  },
  'preempt.signals': { type: 'boolean', default: 'false', help: 'SIGTERM and SIGINT start a drain', ...isBoolean },
  'preempt.aws': {
    type: 'boolean | { baseUrl }',
    default: 'false',
    help: 'ask the EC2 instance metadata service',
    check: isCloud,
    expected: 'a boolean or { baseUrl }',
  },
  'preempt.gcp': {
    type: 'boolean | { baseUrl }',
    default: 'false',
    help: 'ask the Google Compute Engine metadata server',
    check: isCloud,
    expected: 'a boolean or { baseUrl }',
  },
  'preempt.azure': {
    type: 'boolean | { baseUrl }',
    default: 'false',
    help: 'ask Azure Scheduled Events',
    check: isCloud,
    expected: 'a boolean or { baseUrl }',
  },
  'resourceLimits.maxOldGenerationSizeMb': {
    type: 'number',
    default: "Node's",
    help: 'heap of a worker, in MB',
    check: (v) => typeof v === 'number' && v >= 1,
    expected: 'a number >= 1',
  },
  'resourceLimits.maxYoungGenerationSizeMb': {
    type: 'number',
    default: "Node's",
    help: 'young part of that heap, in MB',
    check: (v) => typeof v === 'number' && v >= 1,
    expected: 'a number >= 1',
  },
  'resourceLimits.codeRangeSizeMb': {
    type: 'number',
    default: "Node's",
    help: 'memory for generated code, in MB',
    check: (v) => typeof v === 'number' && v >= 1,
    expected: 'a number >= 1',
  },
  'resourceLimits.stackSizeMb': {
    type: 'number',
    default: "Node's",
    help: 'stack of a worker, in MB; less than 0.5 would kill the process',
    check: (v) => typeof v === 'number' && v >= 0.5,
    expected: 'a number >= 0.5',
  },
}

/** The options of `ExecuteOptions`, in the order of the README table. */
export const OPTIONS: Record<keyof ExecuteOptions, OptionSpec> = {
  workers: {
    type: 'number',
    default: 'available cores',
    help: 'worker threads; by default the available cores (cgroup `cpu.max` respected), fewer if memory (`memory.max` respected) would not hold them',
    ...isInteger(1, 1024),
    flag: '--workers <n>',
  },
  mode: {
    type: "'auto' | 'threads' | 'inline'",
    default: "'auto'",
    help: 'run on worker threads, on the main thread in slices, or let the planner decide',
    ...isOneOf('auto', 'threads', 'inline'),
  },
  chunkSize: {
    type: "'auto' | number",
    default: "'auto'",
    help: 'items per dispatch; a number pins it',
    check: (v) => v === 'auto' || isInteger(1, MAX_CHUNK_ITEMS).check(v),
    expected: `'auto' or an integer from 1 to ${MAX_CHUNK_ITEMS}`,
    flag: '--chunk-size <n>',
  },
  retry: {
    type: 'number | { retries, factor, … }',
    default: '0',
    help: "retries per item, or p-retry's names",
    check: (v) => isInteger(0).check(v) || isRecord(v),
    expected: 'an integer >= 0 or an object',
    flag: '--retries <n>',
  },
  breaker: {
    type: 'boolean | { … }',
    default: 'false',
    help: "a circuit breaker over the chunks; `true`, or opossum's names",
    check: (v) => typeof v === 'boolean' || isRecord(v),
    expected: 'a boolean or an object',
  },
  timeout: {
    type: 'ms',
    default: 'none',
    help: 'for one attempt at one item; a hung item is killed, which is a failed attempt under `retry`, and its neighbours lose nothing',
    ...isDuration(1),
    flag: '--timeout <time>',
  },
  maxCrashes: {
    type: 'number',
    default: '2',
    help: 'an item that takes its worker down this many times is given up as poison; a crash uses up no retry',
    ...isInteger(1),
    flag: '--max-crashes <n>',
  },
  maxFailures: {
    type: "number | '5%'",
    default: '0',
    help: 'failures tolerated: a count, or a share of the known items (of iterables: of those settled, after 100); when exceeded the run drains and rejects',
    check: (v) => isInteger(0).check(v) || isPercentage(v),
    expected: "an integer >= 0 or a share such as '5%'",
    flag: '--max-failures <n>',
  },
  checkpoint: {
    type: 'string | Store | { … }',
    default: 'none',
    help: 'a directory, a `Store`, or `{ store, format, every, … }`: records what has finished',
    check: (v) => isStoreLike(v) || isRecord(v),
    expected: 'a directory, a Store, or an object with store',
    flag: '--checkpoint <dir>',
  },
  resume: {
    type: "true | 'fresh' | 'require'",
    default: 'true',
    help: "go on where an earlier run of this id stopped; `'fresh'` discards it, `'require'` fails if there is none",
    ...isOneOf(true, 'fresh', 'require'),
    flag: '--resume',
  },
  retryFailed: {
    type: "boolean | 'only'",
    default: 'true',
    help: "a resumed run tries its failures again; `false` keeps them (they count as restored); `'only'` tries nothing else",
    ...isOneOf(true, false, 'only'),
  },
  runId: {
    type: 'string',
    default: 'hash of task and items',
    help: 'names the run in the store; must be given when a checkpoint is wanted for items that are not an array',
    check: (v) => typeof v === 'string' && RUN_ID.test(v),
    expected: `a string that matches ${RUN_ID}`,
    flag: '--run-id <id>',
  },
  key: {
    type: '(item, index) => string',
    default: 'the index',
    help: 'identity by content: items may then be added, removed or moved between sessions; two items with one key are refused',
    ...isFunction,
    flag: '--key <field>',
  },
  config: {
    type: 'JSON',
    default: 'none',
    help: 'any JSON value that results depend on; a resumed run must have the same',
    check: isJson,
    expected: 'a JSON value',
    flag: '--config <json>',
  },
  shard: {
    type: "'K/N' | 'auto'",
    default: 'none',
    help: "the K-th of N parts of the items (1-based), or `'auto'` from Kubernetes, AWS Batch or SLURM variables",
    check: isShard,
    expected: "'K/N' with 1 <= K <= N, or 'auto'",
    flag: '--shard <k/n>',
  },
  preempt: {
    type: "'auto' | { signals, aws, gcp, azure }",
    default: 'none',
    help: 'what starts a drain',
    check: (v) => v === 'auto' || isRecord(v),
    expected: "'auto' or an object",
    flag: '--preempt <auto>',
  },
  drainTimeout: {
    type: 'ms',
    default: '10000',
    help: 'how long a drain waits for running items',
    ...isDuration(0),
    flag: '--drain-timeout <time>',
  },
  collect: {
    type: 'boolean',
    default: 'true',
    help: '`false`: `execute` keeps no values in memory, `results` is empty; read them from the store',
    ...isBoolean,
  },
  seed: {
    type: 'number',
    default: '0',
    help: 'for `context.random()`',
    check: (v) => typeof v === 'number' && Number.isFinite(v),
    expected: 'a finite number',
    flag: '--seed <n>',
  },
  shared: {
    type: 'any',
    default: 'none',
    help: 'a value every task sees as `context.shared`; sent once per worker, not once per item',
    check: () => true,
    expected: 'any value that can be cloned',
  },
  resourceLimits: {
    type: '{ … }',
    default: 'none',
    help: 'limits of each worker thread, as in `node:worker_threads`',
    check: isRecord,
    expected: 'an object',
  },
  signal: {
    type: 'AbortSignal',
    default: 'none',
    help: 'aborting it drains the run',
    check: (v) => v instanceof AbortSignal,
    expected: 'an AbortSignal',
  },
  on: {
    type: '{ event: listener }',
    default: 'none',
    help: 'listeners: plan, progress, outcome, retry, breaker, beforeCheckpoint, afterCheckpoint, workerExit, drain, warning',
    check: isRecord,
    expected: 'an object of functions',
  },
}

/** Every option that has a row in the README: the top ones, each followed by its parts. */
export function listOptions(): { name: string; spec: OptionSpec }[] {
  return Object.entries(OPTIONS).flatMap(([name, spec]) => [
    { name, spec },
    ...Object.entries(PARTS)
      .filter(([part]) => part.startsWith(`${name}.`))
      .map(([part, partSpec]) => ({ name: part, spec: partSpec })),
  ])
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
export interface ResolvedCheckpoint {
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
  if (!isRecord(given)) throw new InvalidOptionError('options', 'an object', given)
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
      throw new InvalidOptionError(prefix + name, `one of the known options (${known.join(', ')})`, value)
    }
    if (!spec.check(value)) throw new InvalidOptionError(prefix + name, spec.expected, value)
  }
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
    if (!EVENTS.includes(event))
      throw new InvalidOptionError(`on.${event}`, `one of the known events (${EVENTS.join(', ')})`, listener)
    if (listener !== undefined && typeof listener !== 'function')
      throw new InvalidOptionError(`on.${event}`, 'a function', listener)
  }
}

function dropUndefined(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, it]) => it !== undefined))
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A directory, or an object with the methods of a Store. */
function isStoreLike(value: unknown): value is string | Store {
  if (typeof value === 'string') return value !== ''
  return isRecord(value) && ['get', 'put', 'list', 'delete'].every((method) => typeof value[method] === 'function')
}

function isPercentage(value: unknown): boolean {
  return typeof value === 'string' && /^\d+(\.\d+)?%$/.test(value) && Number.parseFloat(value) <= 100
}

function isShard(value: unknown): boolean {
  if (value === 'auto') return true
  const match = typeof value === 'string' ? /^([1-9]\d{0,5})\/([1-9]\d{0,5})$/.exec(value) : null
  return match !== null && Number(match[1]) <= Number(match[2])
}

function isCloud(value: unknown): boolean {
  if (typeof value === 'boolean') return true
  if (!isRecord(value)) return false
  return (
    Object.keys(value).every((name) => name === 'baseUrl') && (value.baseUrl === undefined || URL.canParse(String(value.baseUrl)))
  )
}

/** True for what JSON.stringify writes without losing anything. */
function isJson(value: unknown, depth = 0): boolean {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value !== 'object' || depth > 200) return false
  if (Array.isArray(value)) return value.every((it) => isJson(it, depth + 1))
  const prototype = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return false
  return Object.values(value).every((it) => it === undefined || isJson(it, depth + 1))
}
