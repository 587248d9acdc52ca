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

export class SimulatedPort extends EventEmitter {
  far: SimulatedPort | undefined
  readonly #waiting: unknown[] = []

  postMessage(message: unknown): void {
    this.far?.emit('message', structuredClone(message))
  }

  /** Has a message wait for this port until `deliver`. */
  wait(message: unknown): void {
    this.#waiting.push(message)
  }

  take(): { message: unknown } | undefined {
    return this.#waiting.length > 0 ? { message: this.#waiting.shift() } : undefined
  }

  deliver(): void {
    const next = this.take()
    if (next) this.emit('message', next.message)
  }

  ref(): void {}
  unref(): void {}
  close(): void {}
}
