import { inspect } from 'node:util'
import type { Report } from './types.ts'
import { inShell, keepWords, option, type Wording, type Words, wording } from './wording.ts'

/** The stable codes. Match on `code`, not on `instanceof`: a program may hold two copies of pawl, and errors cross threads. */
export type ErrorCode =
  | 'ERR_PAWL_RUN_FAILED'
  | 'ERR_PAWL_ABORTED'
  | 'ERR_PAWL_TIMEOUT'
  | 'ERR_PAWL_WORKER_CRASH'
  | 'ERR_PAWL_SERIALIZATION'
  | 'ERR_PAWL_TASK_LOAD'
  | 'ERR_PAWL_NON_RETRYABLE'
  | 'ERR_PAWL_CIRCUIT_OPEN'
  | 'ERR_PAWL_CHECKPOINT_MISMATCH'
  | 'ERR_PAWL_CHECKPOINT_CORRUPT'
  | 'ERR_PAWL_CHECKPOINT_WRITE'
  | 'ERR_PAWL_CHECKPOINT_VERSION'
  | 'ERR_PAWL_STORE_CONFLICT'
  | 'ERR_PAWL_RUN_LOCKED'
  | 'ERR_PAWL_RUN_NOT_FOUND'
  | 'ERR_PAWL_INVALID_OPTION'

/** Base of all errors raised by pawl. A message says what happened, to which item, and what to do next. */
export class PawlError extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.name = new.target.name
  }
}

/** An error that ends a started run. `report` holds all that had settled by then. */
class RunEndedError extends PawlError {
  /** Attached by the run that ends, so that finished work is in hand even then; undefined when it ended before it began. */
  report: Report | undefined
}

/** More items failed than `maxFailures` tolerates. `cause` is the first failure's reason. */
export class RunFailedError extends RunEndedError {
  /** Always there: only a run that has begun has failures. */
  declare report: Report

  constructor(message: string, options?: ErrorOptions) {
    super('ERR_PAWL_RUN_FAILED', message, options)
  }
}

/** The run was drained before every item had settled; `cause` is the signal's reason. Or it could not have even one thread. */
export class RunAbortedError extends RunEndedError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_PAWL_ABORTED', message, options)
  }
}

/** The breaker opened for the last time it may; items are still pending. */
export class CircuitOpenError extends RunEndedError {
  /** Always there: the breaker counts what has run. */
  declare report: Report

  constructor(message: string, options?: ErrorOptions) {
    super('ERR_PAWL_CIRCUIT_OPEN', message, options)
  }
}

/** The task could not be loaded: missing, throws on import, wrong export, or defined where a worker cannot reach it. */
export class TaskLoadError extends RunEndedError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_PAWL_TASK_LOAD', message, options)
  }
}

/** The checkpoint could not be written, after retries. All results are in `report`. */
export class CheckpointWriteError extends RunEndedError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_PAWL_CHECKPOINT_WRITE', message, options)
  }
}

/** The checkpoint belongs to another run: `part` names what differs. */
export class CheckpointMismatchError extends RunEndedError {
  /** `task`, `items`, `config`, `key`, `seed` or `shared`. */
  readonly part: string
  /** What of it is on record, and what this session was given; of contents that are compared by a digest, that. */
  readonly recorded: unknown
  readonly given: unknown

  constructor(part: string, recorded: unknown, given: unknown, message: string) {
    super('ERR_PAWL_CHECKPOINT_MISMATCH', message)
    this.part = part
    this.recorded = recorded
    this.given = given
  }
}

/** An attempt at an item ran longer than `timeout`. The reason of a failure of kind `timeout`. */
export class TaskTimeoutError extends PawlError {
  /** `isAtWork`: it waits in a call of the system, and its thread cannot be ended. */
  constructor(index: number, key: string, timeout: number, isAtWork = false) {
    const words = isAtWork
      ? wording`Cannot finish item ${nameItem(index, key)}: expected an attempt to end within ${timeout} ms, got one that waits in a call of the system, where no thread can be ended. It is at work still, also beside another attempt. Give the call a limit of its own, such as execFileSync(file, args, { timeout }), or raise ${option('timeout')}`
      : wording`Cannot finish item ${nameItem(index, key)}: expected an attempt to end within ${timeout} ms, and its result to be packed within as much, got neither, so its worker was ended. Raise ${option('timeout')} if they need longer`
    super('ERR_PAWL_TIMEOUT', String(words))
    keepWords(this, words)
  }
}

/** An item took its worker down. The reason of a failure of kind `crash` or `memory`. */
export class WorkerCrashError extends PawlError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_PAWL_WORKER_CRASH', message, options)
  }
}

/**
 * A value that cannot be carried to a worker, back from it, or into the checkpoint. `index` says of which item, where it is
 * one's, and `path` where in the value.
 */
export class SerializationError extends PawlError {
  /** As code has it, `tags[3].x`; '' for the value itself, and where it is not known. */
  readonly path: string
  readonly index?: number

  constructor(message: string, path = '', options: ErrorOptions & { readonly index?: number } = {}) {
    super('ERR_PAWL_SERIALIZATION', message, options)
    this.path = path
    if (options.index !== undefined) this.index = options.index
  }
}

/** Thrown by a task: do not try this item again. */
export class NonRetryableError extends PawlError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_PAWL_NON_RETRYABLE', message, options)
  }
}

/** Every part of the checkpoint that could hold what is asked for is damaged. */
export class CheckpointCorruptError extends PawlError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_PAWL_CHECKPOINT_CORRUPT', message, options)
  }
}

/** The checkpoint was written by a newer pawl. Nothing was touched. */
export class CheckpointVersionError extends PawlError {
  constructor(message: string) {
    super('ERR_PAWL_CHECKPOINT_VERSION', message)
  }
}

/** A key of the store is taken. */
export class StoreConflictError extends PawlError {
  readonly key: string

  constructor(key: string) {
    super('ERR_PAWL_STORE_CONFLICT', `Cannot put '${key}' into the store: expected a free key, got one that is taken`)
    this.key = key
  }
}

/** Another live process works on the run. */
export class RunLockedError extends PawlError {
  /** The process. `age`: milliseconds since it began. */
  readonly holder: { pid: number; host: string; age: number }

  /** `isOwn`: it is this very process, at work on the run already. */
  constructor(runId: string, holder: { pid: number; host: string; age: number }, isOwn = false) {
    const who = `process ${holder.pid} on ${holder.host}${isOwn ? ', which is this one' : ''}`
    const end = isOwn ? 'Wait for that run to end before it begins again' : 'Wait for it or stop it, then run again'
    super(
      'ERR_PAWL_RUN_LOCKED',
      `Cannot open run '${runId}': expected nobody at work on it, got ${who}, at it for ${Math.round(holder.age / 1000)} s. ${end}; nothing needs unlocking`,
    )
    this.holder = holder
  }
}

/** The store holds no run of this name. */
export class RunNotFoundError extends PawlError {
  /** `directory`: where the store keeps its runs; undefined of one that is no directory. */
  constructor(runId: string, directory?: string) {
    const command = `'pawl list${directory === '.pawl' ? '' : ` --checkpoint ${inShell(directory ?? '')}`}'`
    const list = { about: 'runs', says: directory === undefined ? 'listRuns(store)' : command } as const
    const words = wording`Cannot find run '${runId}': expected a run of this name in the store, got none. ${list} shows what is there`
    super('ERR_PAWL_RUN_NOT_FOUND', String(words))
    keepWords(this, words)
  }
}

/** An option has a value pawl cannot use. Raised before anything starts. */
export class InvalidOptionError extends PawlError {
  /** Its name, behind that of the option it is part of: `retry.factor`. */
  readonly option: string

  /** `subject`: what cannot be used, when that is no option; `advice`: what stands behind the sentence. */
  constructor(
    option: string,
    expected: string,
    value: unknown,
    options: ErrorOptions & { subject?: string; advice?: string } = {},
  ) {
    const words = refusal(option, expected, value, options)
    super('ERR_PAWL_INVALID_OPTION', String(words), options)
    this.option = option
    keepWords(this, words)
  }
}

/** An InvalidOptionError that expected what a command line has other words for. */
export function invalidOption(option: string, expected: Words, value: unknown): InvalidOptionError {
  return keepWords(new InvalidOptionError(option, String(expected), value), refusal(option, expected, value))
}

function refusal(
  option: string,
  expected: Words,
  value: unknown,
  { subject, advice = '' }: { subject?: string; advice?: string } = {},
): Wording {
  const got = inspect(value, { depth: 1, breakLength: Infinity })
  const what = subject ?? ({ about: 'subject', option, says: `option '${option}'` } as const)
  return wording`Cannot use ${what}: expected ${expected}, got ${got}${advice}`
}

/** Whether `error` is one of pawl's, of this copy or another; with `code`, that one. */
export function isPawlError(error: unknown, code?: ErrorCode): error is PawlError {
  if (!(error instanceof Error) || !('code' in error)) return false
  if (code !== undefined) return error.code === code
  return typeof error.code === 'string' && error.code.startsWith('ERR_PAWL_')
}

/** Whether it is an Error, also one of another realm, as Node's own are to a program in a `vm` (Jest), or a DOMException. */
export function isError(value: unknown): value is Error {
  try {
    return value instanceof Error || Object.prototype.toString.call(value) === '[object Error]' || value instanceof DOMException
  } catch {
    return false // A proxy that lets nobody look is no error we could carry.
  }
}

/** What an error says, for a message; of whatever else was thrown, its text. */
export function messageOf(error: unknown): string {
  return textOf(isError(error) ? error.message : error)
}

/** The text of whatever was thrown, as `String` gives it; an object may have none. */
export function textOf(thrown: unknown): string {
  try {
    return String(thrown)
  } catch {
    return `a value of type ${typeof thrown} that has no text`
  }
}

/** `1 item`, `2 items`; `many` where it is not the noun with an s. */
export function plural(count: number, noun: string, many = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : many}`
}

/** `7`, or `7 (key 'a.txt')` when the key says more than the index. */
export function nameItem(index: number, key: string | undefined): string {
  return key === undefined || key === String(index) ? String(index) : `${index} (key ${inspect(key)})`
}
