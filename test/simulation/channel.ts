import { EventEmitter } from 'node:events'

/**
 * What main thread and worker talk through, in place of the channel of `node:worker_threads`. What the main thread posts is
 * there at once, or when the worker begins to listen; what the worker posts waits until the world delivers it, or the main
 * thread asks.
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

  readonly #unheard: unknown[] = []

  constructor() {
    super()
    this.on('newListener', (event) => {
      if (event === 'message') queueMicrotask(() => this.#unheard.splice(0).forEach((message) => this.emit('message', message)))
    })
  }

  postMessage(message: unknown): void {
    this.far?.hear(structuredClone(message))
  }

  hear(message: unknown): void {
    if (this.listenerCount('message') > 0) this.emit('message', message)
    else this.#unheard.push(message)
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
