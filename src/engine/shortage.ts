import { isError, RunAbortedError } from '../errors.ts'
import { option, type Wording, wording } from '../wording.ts'

/**
 * So long after the system had no room for a thread it is asked again, in ms; then twice as long each time, up to
 * MAX_WAIT_MS. That of a thread which has just ended may be free only a little later. Each try costs a channel that Piscina
 * leaves behind.
 */
const FIRST_WAIT_MS = 100
const MAX_WAIT_MS = 30_000

/**
 * After so many tries in a row, over three seconds, a run that has no thread at all ends. Whoever runs it again can wait for
 * longer.
 */
export const MAX_TRIES = 6

/** Whether the system gives threads, and when it is asked next. */
export class Shortage {
  #refusals = 0
  #pause: NodeJS.Timeout | undefined
  readonly #over: () => void

  /** `over`: called when it may be asked again. */
  constructor(over: () => void) {
    this.#over = over
  }

  /** It is not to be asked now. */
  get isPausing(): boolean {
    return this.#pause !== undefined
  }

  /** It gave no thread. Gives how often in a row it did not. */
  refused(): number {
    const wait = Math.min(FIRST_WAIT_MS * 2 ** this.#refusals++, MAX_WAIT_MS)
    this.#pause = setTimeout(() => {
      this.#pause = undefined
      this.#over()
    }, wait).unref()
    return this.#refusals
  }

  /** It gave one, or nobody waits any more for what it did not give. */
  end(): void {
    this.#refusals = 0
    clearTimeout(this.#pause)
    this.#pause = undefined
  }
}

/** So many threads wait in a call of the system where none can be ended, that no other is started beside them. */
export class StuckError extends Error {
  constructor(count: number) {
    super(`${count} threads that were told to end wait in a call of the system, such as execFileSync`)
  }
}

/** True of what `new Worker` throws where the system has no room for a thread, memory for its stack included. */
export function isRefusal(error: unknown): error is Error {
  if (error instanceof StuckError) return true
  return isError(error) && (error as NodeJS.ErrnoException).code === 'ERR_WORKER_INIT_FAILED'
}

function waysOn(cause: Error): string {
  if (cause instanceof StuckError) return `Such calls want a limit of their own: ${LIMIT}`
  return `The limit on processes and threads is reached, or there is no memory for one more: ${WAYS_ON}`
}

const LIMIT = 'execFileSync(file, args, { timeout }), or end the processes that they wait for'

const WAYS_ON = 'raise pids.max of the container, or `ulimit -u` of the user, or end other processes'

/** A run has no thread at all. */
export function noThreadError(cause: Error): RunAbortedError {
  return new RunAbortedError(
    `Cannot start a worker: expected room for a thread, got none in ${MAX_TRIES} tries (${cause.message}). ` +
      `${waysOn(cause)}, and run it again`,
    { cause },
  )
}

/** A run goes on with fewer threads than it was to have. */
export function describeShortage(count: number, wanted: number, cause: Error): Wording {
  const fewer = cause instanceof StuckError ? '' : wording`, or ask for fewer ${option('workers')}`
  return wording`Cannot start all workers: expected room for ${wanted} threads, got it for ${count} (${cause.message}). The run goes on with these, and tries again now and then. ${waysOn(cause)}${fewer}`
}
