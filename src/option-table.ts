import {
  isBoolean,
  isCloud,
  isDuration,
  isFunction,
  isInteger,
  isJson,
  isNumber,
  isOneOf,
  isPercentage,
  isPlain,
  isShard,
  isStoreLike,
} from './option-values.ts'
import type { ExecuteOptions } from './options.ts'

/**
 * The rows behind every option: its check, its default for people, its help text and its flag. The README table is made from
 * them.
 */

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

/** Most items one chunk may hold: a worker answers a chunk at once, and its answer has to fit into memory twice. */
const MAX_CHUNK_ITEMS = 1_000_000

/** What a run may be called: no separator, no leading dot, so that it is a folder name everywhere. */
export const RUN_ID = /^[\w-][\w.-]{0,127}$/

/** Options inside `retry`, `breaker`, `checkpoint`, `preempt` and `resourceLimits`, by their full name. */
export const PARTS: Record<string, OptionSpec> = {
  'retry.retries': { type: 'number', default: '0', help: 'retries per item', ...isInteger(0), flag: '--retries <n>' },
  'retry.factor': {
    type: 'number',
    default: '2',
    help: 'growth of the wait from one retry to the next',
    check: (v) => typeof v === 'number' && v >= 1 && Number.isFinite(v),
    expected: 'a number >= 1',
  },
  'retry.minTimeout': {
    type: 'ms',
    default: '1000',
    help: 'wait before the first retry, or `maxTimeout` if that is shorter',
    ...isDuration(0),
  },
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
    type: 'string | URL | Store',
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
    help: "what a flush waits for; `'none'` leaves it to the operating system",
    ...isOneOf('fsync', 'none'),
  },
  'checkpoint.compress': {
    type: "'none' | 'gzip'",
    default: "'none'",
    help: 'how files are compressed; reading detects it',
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
    help: "once the store has failed for 30 s: end the run, or with `'warn'` go on without saving, and say so",
    ...isOneOf('fail', 'warn'),
  },
  'preempt.signals': {
    type: 'boolean',
    default: 'false',
    help: 'SIGTERM and SIGINT start a drain; on the main thread, since Node gives worker threads no signals',
    ...isBoolean,
  },
  'preempt.aws': {
    type: 'boolean | { baseUrl }',
    default: 'false',
    help: 'ask the EC2 instance metadata service',
    ...isCloud,
  },
  'preempt.gcp': {
    type: 'boolean | { baseUrl }',
    default: 'false',
    help: 'ask the Google Compute Engine metadata server',
    ...isCloud,
  },
  'preempt.azure': {
    type: 'boolean | { baseUrl }',
    default: 'false',
    help: 'ask Azure Scheduled Events',
    ...isCloud,
  },
  'resourceLimits.maxOldGenerationSizeMb': {
    type: 'number',
    default: "Node's",
    help: 'heap of a worker, in MB; less than 4 would kill the process on newer Nodes',
    ...isNumber(4),
  },
  'resourceLimits.maxYoungGenerationSizeMb': {
    type: 'number',
    default: "Node's",
    help: 'young part of that heap, in MB',
    ...isNumber(1),
  },
  'resourceLimits.codeRangeSizeMb': {
    type: 'number',
    default: "Node's",
    help: 'memory for generated code, in MB; more than 2048 may kill the process',
    ...isNumber(1, 2048), // Code calls code that is 2 GiB away at most; what V8 cannot reserve it dies of.
  },
  'resourceLimits.stackSizeMb': {
    type: 'number',
    default: "Node's",
    help: 'stack of a worker, in MB; less than 0.5 would kill the process',
    ...isNumber(0.5, 2 ** 20), // From 2^44 on its bytes are more than Node can count, which kills the process, too.
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
    help: "retries per item, or what follows; all but `budget` by p-retry's names",
    check: (v) => isInteger(0).check(v) || isPlain(v),
    expected: 'an integer >= 0 or a plain object',
    flag: '--retries <n>',
  },
  breaker: {
    type: 'boolean | { … }',
    default: 'false',
    help: "a circuit breaker over the chunks; `true`, or what follows; all but `maxOpens` by opossum's names",
    check: (v) => typeof v === 'boolean' || isPlain(v),
    expected: 'a boolean or a plain object',
  },
  timeout: {
    type: 'ms',
    default: 'none',
    help: 'for one attempt at one item, and as long again to pack its result; a hung item is killed, which is a failed attempt under `retry`, and its neighbours lose nothing',
    ...isDuration(1),
    flag: '--timeout <time>',
  },
  maxCrashes: {
    type: 'number',
    default: '2',
    help: 'an item that takes its worker down this many times, or the process, alone at the last, is given up as poison; a crash uses up no retry',
    ...isInteger(1),
    flag: '--max-crashes <n>',
  },
  maxFailures: {
    type: "number | '5%'",
    default: '0',
    help: 'failures tolerated: a count, or a share of the known items (of iterables: of those settled, after 100); when exceeded the run drains and rejects',
    check: (v) => isInteger(0).check(v) || isPercentage(v),
    expected: "an integer >= 0 or a share such as '5%', of which '100%' tolerates any failure",
    flag: '--max-failures <n>',
  },
  checkpoint: {
    type: 'string | URL | Store | { … }',
    default: 'none',
    help: 'a directory (a path or a `file:` URL), a `Store`, or `{ store, format, every, … }`: records what has finished',
    check: (v) => isStoreLike(v) || isPlain(v),
    expected: 'a directory, a Store, or a plain object with store',
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
    help: "a resumed run tries its failures again, their attempts counted anew; `false` keeps them (they count as restored); `'only'` tries nothing else",
    ...isOneOf(true, false, 'only'),
  },
  runId: {
    type: 'string',
    default: 'hash of task and items',
    help: 'names the run in the store; must be given when a checkpoint is wanted for items that are not an array. Without a checkpoint nothing is looked up by it, and it hashes the number of the items only',
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
    expected: 'a JSON value of at most 16 Mi characters',
    flag: '--config <json>',
  },
  shard: {
    type: "'K/N' | 'auto'",
    default: 'none',
    help: "the K-th of N parts of the items (1-based), or `'auto'` from the variables of AWS Batch, SLURM or Kubernetes, which does not tell N: set `PAWL_SHARD_COUNT` to the Job's `completions`",
    check: isShard,
    expected: "'K/N' with 1 <= K <= N, or 'auto'",
    flag: '--shard <k/n>',
  },
  preempt: {
    type: "'auto' | { signals, aws, gcp, azure }",
    default: 'none',
    help: 'what starts a drain',
    check: (v) => v === 'auto' || isPlain(v),
    expected: "'auto' or a plain object",
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
    help: 'for `context.random()`; a resumed run must have the same',
    check: (v) => typeof v === 'number' && Number.isFinite(v),
    expected: 'a finite number',
    flag: '--seed <n>',
  },
  shared: {
    type: 'any',
    default: 'none',
    help: 'a value every task sees as `context.shared`; sent once per worker, not once per item; a resumed run must have the same',
    check: () => true,
    expected: 'any value that can be cloned',
  },
  resourceLimits: {
    type: '{ … }',
    default: 'none',
    help: 'limits of each worker thread, as in `node:worker_threads`',
    check: isPlain,
    expected: 'a plain object',
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
    check: isPlain,
    expected: 'a plain object of functions',
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
