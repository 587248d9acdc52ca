import type { Events } from '../types.ts'
import { PARTS } from './option-parts.ts'
import {
  isBoolean,
  isDuration,
  isFunction,
  isInteger,
  isJson,
  isOneOf,
  isPercentage,
  isPlain,
  isShard,
  isStoreLike,
  type OptionSpec,
} from './option-values.ts'
import type { ExecuteOptions } from './options.ts'

/**
 * The rows behind every option: its check, its default for people, its help text and its flag; of options that are made of others
 * those are in option-parts.ts. The README table is made from them.
 */

/** Most items one chunk may hold: a worker answers a chunk at once, and its answer has to fit into memory twice. */
const MAX_CHUNK_ITEMS = 1_000_000

/** What a run may be called: no separator, no leading dot, so that it is a folder name everywhere. */
export const RUN_ID = /^[\w-][\w.-]{0,127}$/

/** What listeners may hear of. */
export const EVENTS = Object.keys({
  plan: true,
  progress: true,
  outcome: true,
  retry: true,
  breaker: true,
  beforeCheckpoint: true,
  afterCheckpoint: true,
  workerExit: true,
  drain: true,
  warning: true,
} satisfies Record<keyof Events, true>)

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
    help: 'names the run in the store; must be given when a checkpoint is wanted for items that are neither an array nor a typed array. Without a checkpoint nothing is looked up by it, and it hashes the number of the items only',
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
    ...isJson,
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
    help: `listeners: ${EVENTS.join(', ')}`,
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
