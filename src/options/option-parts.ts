import type { OptionSpec } from './option-table.ts'
import { isBoolean, isCloud, isDuration, isFunction, isInteger, isNumber, isOneOf, isStoreLike } from './option-values.ts'

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
