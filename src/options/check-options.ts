import { InvalidOptionError } from '../errors.ts'
import { didYouMean } from '../nearest.ts'
import { PARTS } from './option-parts.ts'
import { EVENTS, OPTIONS } from './option-table.ts'
import { isPlain, isStoreLike, type OptionSpec } from './option-values.ts'
import type { ExecuteOptions, Listeners } from './options.ts'

/** The options that are objects of options, or of listeners. */
const MADE_OF_OTHERS = new Set(['on', ...Object.keys(PARTS).map((part) => part.slice(0, part.indexOf('.')))])

/**
 * A copy of `given`, and of the objects of options in it, without what is undefined: what the program does with them later changes
 * nothing. Those that have defaults are left to `checkPart`.
 *
 * @throws InvalidOptionError for an unknown option, a value out of bounds, or options that exclude one another.
 */
export function checkOptions<T>(given: ExecuteOptions<T>): ExecuteOptions<T> {
  if (!isPlain(given)) throw new InvalidOptionError('options', 'a plain object', given)
  const options: ExecuteOptions<T> = copyOptions(given)
  checkAll(options, OPTIONS, '')
  if (options.resourceLimits) checkPart('resourceLimits', options.resourceLimits)
  if (typeof options.preempt === 'object') checkPart('preempt', options.preempt)
  checkListeners(options.on)
  checkTogether(options)
  return options
}

/**
 * The options inside of the option `name`, without what is undefined.
 *
 * @throws InvalidOptionError as `checkOptions` does.
 */
export function checkPart<O extends object>(name: keyof ExecuteOptions, given: O): Partial<O> {
  const options = dropUndefined(given)
  checkAll(options, PARTS, `${name}.`)
  return options
}

function checkAll(options: object, specs: Record<string, OptionSpec>, prefix: string): void {
  for (const [name, value] of Object.entries(options)) {
    const spec = Object.hasOwn(specs, prefix + name) ? specs[prefix + name] : undefined
    if (!spec) {
      const known = Object.keys(specs).filter((it) => it.startsWith(prefix))
      throw unknown('options', prefix + name, known, value)
    }
    if (spec.check(value)) continue
    const { path, part } = spec.findUnfit?.(value) ?? { path: '', part: value }
    const advice = path === '' ? '' : ` at ${prefix}${name}${path}`
    throw new InvalidOptionError(prefix + name, spec.expected, part, { advice })
  }
}

/** What options are called in p-map, Piscina, workerpool, joblib and p-queue, and what many would call them. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  ...{ concurrency: 'workers', maxThreads: 'workers', maxWorkers: 'workers', threads: 'workers', n_jobs: 'workers' },
  ...{ parallelism: 'workers', poolSize: 'workers', numWorkers: 'workers', maxConcurrency: 'workers' },
  ...{ stopOnError: 'maxFailures', workerData: 'shared', batchSize: 'chunkSize', batch_size: 'chunkSize' },
  ...{ maxRetries: 'retry.retries', retryDelay: 'retry.minTimeout', taskTimeout: 'timeout', abortSignal: 'signal' },
  ...{ onProgress: 'on.progress', onRetry: 'on.retry', onResult: 'on.outcome', onError: 'on.outcome' },
}

const last = (path: string) => path.slice(path.lastIndexOf('.') + 1)

/** `name` is none of `known`; both may have the name of what they are part of in front. */
function unknown(what: string, name: string, known: readonly string[], value: unknown): InvalidOptionError {
  const meant = Object.hasOwn(ELSEWHERE, name) ? ELSEWHERE[name] : Object.keys(PARTS).find((part) => last(part) === name)
  const advice = meant === undefined ? didYouMean(last(name), known.map(last)) : `. Did you mean '${meant}'?`
  return new InvalidOptionError(name, `one of the known ${what} (${known.join(', ')})`, value, { advice })
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

function checkListeners(listeners: Listeners | undefined): void {
  for (const [event, listener] of Object.entries(listeners ?? {})) {
    if (!EVENTS.includes(event)) throw unknown('events', `on.${event}`, EVENTS, listener)
    if (listener !== undefined && typeof listener !== 'function')
      throw new InvalidOptionError(`on.${event}`, 'a function', listener)
  }
}

function copyOptions<O extends object>(given: O): Partial<O> {
  const isMadeOfOthers = (name: string, value: unknown): value is object =>
    MADE_OF_OTHERS.has(name) && isPlain(value) && !isStoreLike(value)
  const copied = Object.entries(given).map(([name, value]) => [name, isMadeOfOthers(name, value) ? { ...value } : value])
  return dropUndefined(Object.fromEntries(copied) as O)
}

/** A copy of `value` without what is undefined in it: that is not given. */
export function dropUndefined<O extends object>(value: O): { [K in keyof O]?: Exclude<O[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, it]) => it !== undefined)) as ReturnType<typeof dropUndefined<O>>
}
