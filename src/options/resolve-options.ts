import { InvalidOptionError } from '../errors.ts'
import { isDirectory } from '../store/directory.ts'
import { fileStore } from '../store/file.ts'
import type { Store } from '../store/store.ts'
import type { Json } from '../types.ts'
import { checkOptions, checkPart } from './check-options.ts'
import { isStoreLike } from './option-values.ts'
import type { BreakerOptions, CheckpointOptions, ExecuteOptions, ResolvedOptions, RetryOptions } from './options.ts'

/**
 * Checks `given` and fills in the defaults.
 *
 * @throws InvalidOptionError for an unknown option, a value out of bounds, or options that exclude one another.
 */
export function resolveOptions<T>(given: ExecuteOptions<T> = {}): ResolvedOptions<T> {
  const options = checkOptions(given)
  return {
    workers: options.workers,
    mode: options.mode ?? 'auto',
    chunkSize: options.chunkSize === 'auto' ? undefined : options.chunkSize,
    retry: resolveRetry(options.retry),
    breaker: resolveBreaker(options.breaker),
    timeout: options.timeout,
    maxCrashes: options.maxCrashes ?? 2,
    maxFailures:
      typeof options.maxFailures === 'string'
        ? { percentage: Number.parseFloat(options.maxFailures) }
        : { count: options.maxFailures ?? 0 },
    checkpoint: options.checkpoint === undefined ? undefined : resolveCheckpoint(options.checkpoint),
    resume: options.resume ?? true,
    retryFailed: options.retryFailed ?? true,
    runId: options.runId,
    key: options.key,
    config: options.config === undefined ? undefined : copyJson(options.config),
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
}

/** As it goes on record: what the program does with it later is not to. Of a proxy, too, which structured clone refuses. */
function copyJson(value: unknown): Json {
  return JSON.parse(JSON.stringify(value))
}

function resolveRetry(given: ExecuteOptions['retry'] = {}): ResolvedOptions['retry'] {
  const options: RetryOptions = checkPart('retry', typeof given === 'number' ? { retries: given } : given)
  const { maxTimeout = 60_000, minTimeout = Math.min(1000, maxTimeout) } = options
  if (minTimeout > maxTimeout)
    throw new InvalidOptionError('retry.minTimeout', `at most retry.maxTimeout (${maxTimeout})`, minTimeout)
  return {
    retries: options.retries ?? 0,
    factor: options.factor ?? 2,
    minTimeout,
    maxTimeout,
    randomize: options.randomize ?? false,
    shouldRetry: options.shouldRetry,
    budget: options.budget,
  }
}

function resolveBreaker(given: ExecuteOptions['breaker'] = false): ResolvedOptions['breaker'] {
  if (given === false) return undefined
  const options: BreakerOptions = checkPart('breaker', given === true ? {} : given)
  return {
    errorThresholdPercentage: options.errorThresholdPercentage ?? 50,
    volumeThreshold: options.volumeThreshold ?? 10,
    resetTimeout: options.resetTimeout ?? 30_000,
    rollingCountTimeout: options.rollingCountTimeout ?? 10_000,
    maxOpens: options.maxOpens ?? 5,
  }
}

function resolveCheckpoint(given: string | URL | Store | CheckpointOptions): ResolvedOptions['checkpoint'] {
  const options: Partial<CheckpointOptions> = isStoreLike(given) ? { store: given } : checkPart('checkpoint', given)
  if (options.store === undefined) throw new InvalidOptionError('checkpoint.store', 'a directory or a Store', undefined)
  return {
    store: isDirectory(options.store) ? fileStore(options.store) : options.store,
    format: options.format ?? 'msgpack',
    every: options.every ?? 1000,
    interval: options.interval ?? 1000,
    durability: options.durability ?? 'fsync',
    compress: options.compress ?? 'none',
    keep: options.keep ?? 2,
    onError: options.onError ?? 'fail',
  }
}
