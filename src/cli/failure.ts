import { isPawlError, PawlError } from '../errors.ts'
import { codeOf, DENIED, nameError } from '../store/errno.ts'
import { printable, say } from './terminal.ts'

/**
 * EXIT CODES
 *
 *     0          every item settled, tolerated failures included
 *     1          more failures than tolerated; `verify` found damage; a fault of pawl itself, with its stack
 *     2          usage, bad input, mismatch, unknown run, task not loadable, checkpoint unreadable
 *     75         interrupted, circuit open, run locked, checkpoint not writable: run it again
 *     130, 143   second SIGINT, second SIGTERM
 */
export const OK = 0
export const FAILED = 1
export const USAGE = 2
export const AGAIN = 75

/** Something the user gave cannot be used; the message is the whole sentence. Exit code 2. */
export class UsageError extends PawlError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_PAWL_INVALID_OPTION', message, options)
  }
}

const CODES: Record<string, number> = {
  ERR_PAWL_RUN_FAILED: FAILED,
  ERR_PAWL_ABORTED: AGAIN,
  ERR_PAWL_CIRCUIT_OPEN: AGAIN,
  ERR_PAWL_RUN_LOCKED: AGAIN,
  ERR_PAWL_CHECKPOINT_WRITE: AGAIN,
  ERR_PAWL_STORE_CONFLICT: AGAIN,
}

/** Errors of the operating system that go away by themselves or by making room, so that running again may help. */
const PASSING = new Set([
  ...['ENOSPC', 'EDQUOT', 'EIO', 'EMFILE', 'ENFILE', 'EAGAIN', 'EBUSY', 'ENOMEM'],
  ...['ESTALE', 'ETIMEDOUT', 'EHOSTDOWN', 'ENOTCONN'], // Of a file system on another machine.
])

/** What an error means to the shell. */
export interface Explanation {
  readonly exitCode: number
  readonly code: string
  /** A sentence; of a bug the stack. */
  readonly message: string
  readonly isBug: boolean
}

/** One sentence on stderr, of a bug the stack. */
export function tell({ message, isBug }: Explanation): void {
  if (isBug) process.stderr.write(`pawl: a fault of pawl itself:\n${message.split('\n').map(printable).join('\n')}\n`)
  else say(message)
}

export function explain(given: unknown): Explanation {
  const error = nameError(given)
  const known = findKnown(error)
  if (known) {
    // Of a run that failed the cause is an item's own error, which may be denied as well.
    const isClosed = known.code === 'ERR_PAWL_CHECKPOINT_WRITE' && isUnreadable(known.cause)
    const exitCode = isClosed ? USAGE : CODES[known.code]
    return { exitCode: exitCode ?? USAGE, code: known.code, message: known.message, isBug: false }
  }
  if (isSystemError(error)) {
    const exitCode = isPassing(error) ? AGAIN : USAGE
    return { exitCode, code: error.code, message: `Cannot go on: ${error.message}`, isBug: false }
  }
  const { message, stack } = error instanceof Error ? error : new Error(String(error))
  return { exitCode: FAILED, code: 'ERR_PAWL_BUG', message: stack ?? message, isBug: true }
}

/** The error itself, or a usage error that it was caused by (a bad line met while the run was under way). */
function findKnown(error: unknown): PawlError | undefined {
  for (let it = error, depth = 0; it instanceof Error && depth < 10; it = it.cause, depth++) {
    if (it instanceof UsageError) return it
  }
  return isPawlError(error) ? error : undefined
}

/** Whether it is an error of the system that may be gone when the command is run again. */
export function isPassing(error: unknown): boolean {
  return PASSING.has(codeOf(nameError(error)))
}

/** Whether Node's permission model lets nobody read it. */
function isUnreadable(error: unknown): boolean {
  return codeOf(error) === DENIED && (error as { readonly permission?: unknown }).permission === 'FileSystemRead'
}

/** Of the system, or of Node's permission model, which names no call. */
function isSystemError(error: unknown): error is Error & { code: string } {
  if (!(error instanceof Error) || !('code' in error)) return false
  return error.code === DENIED || ('syscall' in error && typeof error.code === 'string')
}
