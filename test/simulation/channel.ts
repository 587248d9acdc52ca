import { EventEmitter } from 'node:events'

/**
 * What main thread and worker talk through, in place of the channel of `node:worker_threads`. What the main thread posts is
 * there at once; what the worker posts waits until the world delivers it, or the main thread asks.
 */
export class SimulatedChannel {
  readonly port1 = new SimulatedPort()
  readonly port2 = new SimulatedPort()

  constructor() {
    this.port1.far = this.port2
    this.port2.far = this.port1
  }
}

const UNREADABLE = 'Maximum call stack size exceeded'

export class SimulatedPort extends EventEmitter {
  far: SimulatedPort | undefined
  readonly #waiting: { readonly message: unknown; readonly isReadable: boolean }[] = []

  postMessage(message: unknown): void {
    this.far?.emit('message', structuredClone(message))
  }

  /** Has a message wait for this port until `deliver`, or somebody takes it. */
  wait(message: unknown, isReadable: boolean): void {
    this.#waiting.push({ message, isReadable })
  }

  take(): { message: unknown } | undefined {
    const next = this.#waiting.shift()
    if (next && !next.isReadable) throw new RangeError(UNREADABLE)
    return next
  }

  deliver(): void {
    const next = this.#waiting.shift()
    if (next?.isReadable) this.emit('message', next.message)
    else if (next) this.emit('messageerror', new RangeError(UNREADABLE))
  }

  ref(): void {}
  unref(): void {}
  close(): void {}
}
