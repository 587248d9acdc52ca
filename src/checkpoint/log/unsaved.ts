import type { Entry } from '../format/entries.ts'

/** Entries that are flushed together; their items and bytes, summed up. */
export interface Batch {
  readonly entries: Entry[]
  items: number
  bytes: number
}

/** Who waits until so many entries are durable, of all that were ever added. */
interface Waiter {
  readonly upTo: number
  resolve(): void
  reject(error: Error): void
}

/**
 * More bytes than this do not go together, unless they are of one entry: with the largest of those behind a segment that is
 * almost full they still fit into an object.
 */
const BATCH_BYTES = 2 ** 27

const emptyBatch = (): Batch => ({ entries: [], items: 0, bytes: 0 })

function addTo(batch: Batch, entry: Entry): void {
  batch.entries.push(entry)
  batch.items += entry.items
  batch.bytes += entry.bytes
}

/** Entries that are to be durable and are not yet, be they on their way, and who waits for them. */
export class Unsaved {
  #pending = emptyBatch()
  #bytes = 0
  #added = 0
  #durable = 0
  #waiters: Waiter[] = []

  /** What the next flush takes. */
  get pending(): Readonly<Batch> {
    return this.#pending
  }

  /** Of all, on their way or not. */
  get bytes(): number {
    return this.#bytes
  }

  get isEmpty(): boolean {
    return this.#durable === this.#added
  }

  /** Somebody waits for entries that are not durable. */
  get isAwaited(): boolean {
    return this.#waiters.some(({ upTo }) => upTo > this.#durable)
  }

  add(entries: readonly Entry[]): void {
    for (const entry of entries) {
      addTo(this.#pending, entry)
      this.#bytes += entry.bytes
    }
    this.#added += entries.length
  }

  /** Sends what is pending on its way, the first of it where it is too much at once. */
  take(): Batch {
    const batch = this.#pending
    this.#pending = emptyBatch()
    if (batch.bytes <= BATCH_BYTES) return batch
    const first = emptyBatch()
    let isFull = false
    for (const entry of batch.entries) {
      isFull ||= first.bytes > 0 && first.bytes + entry.bytes > BATCH_BYTES
      addTo(isFull ? this.#pending : first, entry)
    }
    return first
  }

  /** A batch is durable. Nobody hears of it before `tell`. */
  acknowledge({ entries, bytes }: Batch): void {
    this.#durable += entries.length
    this.#bytes -= bytes
  }

  /** Resolves when all that was added so far is durable, rejects when it is given up. */
  wait(): Promise<void> {
    return new Promise((resolve, reject) => this.#waiters.push({ upTo: this.#added, resolve, reject }))
  }

  /** Tells those who wait what is durable. */
  tell(): void {
    const ready = this.#waiters.filter(({ upTo }) => upTo <= this.#durable)
    this.#waiters = this.#waiters.filter((waiter) => !ready.includes(waiter))
    for (const { resolve } of ready) resolve()
  }

  /**
   * Nothing of it will be durable. Whoever waits hears of `failure`, or, when there is none, that there is nothing to wait for.
   */
  giveUp(failure: Error | undefined): void {
    const waiters = this.#waiters
    this.#waiters = []
    this.#pending = emptyBatch()
    this.#bytes = 0
    for (const { resolve, reject } of waiters) failure === undefined ? resolve() : reject(failure)
  }
}
