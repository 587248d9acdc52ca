import { RunAbortedError } from '../errors.ts'
import type { TaskContext } from '../types.ts'
import { createRandom } from './random.ts'

/** What all items of a run have in common. */
export interface RunFacts {
  readonly runId: string
  readonly shared?: unknown
  readonly seed: number
}

/** What a task is given besides its item. One per attempt, so that a task may keep it; costly parts are made when asked for. */
export class ItemContext implements TaskContext {
  readonly index: number
  readonly attempt: number
  readonly #run: RunFacts
  readonly #key: string | undefined
  readonly #signal: () => AbortSignal
  #next: (() => number) | undefined

  constructor(run: RunFacts, index: number, key: string | undefined, attempt: number, signal: () => AbortSignal) {
    this.index = index
    this.attempt = attempt
    this.#run = run
    this.#key = key
    this.#signal = signal
  }

  get key(): string {
    return this.#key ?? String(this.index)
  }

  get runId(): string {
    return this.#run.runId
  }

  get shared(): unknown {
    return this.#run.shared
  }

  get signal(): AbortSignal {
    return this.#signal()
  }

  /** A function that needs no `this`, since tasks take it out of the context. */
  get random(): () => number {
    this.#next ??= createRandom(`${this.#run.seed}/${this.key}`)
    return this.#next
  }
}

/**
 * An AbortSignal that asks `isStopped` whenever its `aborted` is read, so that a loop that never awaits sees a drain
 * too. `stopped` resolves when the drain starts and makes the signal fire for whoever listens.
 */
export function createDrainSignal(isStopped: () => boolean, stopped: Promise<unknown> | undefined): AbortSignal {
  const controller = new AbortController()
  const { signal } = controller
  const isAborted = (Object.getOwnPropertyDescriptor(AbortSignal.prototype, 'aborted') as { get(): boolean }).get.bind(signal)
  const check = () => {
    if (!isAborted() && isStopped()) {
      controller.abort(
        new RunAbortedError('Cannot go on with this item: expected the run to go on, got a drain. It will be tried again'),
      )
    }
    return isAborted()
  }
  Object.defineProperty(signal, 'aborted', { get: check, configurable: true })
  Object.defineProperty(signal, 'throwIfAborted', {
    value: () => {
      if (check()) throw signal.reason
    },
    configurable: true,
  })
  stopped?.then(check)
  check()
  return signal
}
