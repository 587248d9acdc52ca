import type { Entry } from '../format/entries.ts'

/** Notes that are sent off together. */
export interface SentNotes {
  readonly entries: readonly Entry[]
  /** Tells those who wait that they are off. */
  tell(): void
}

/** Entries that need not be durable and are yet to be sent off, and who waits for that. */
export class Notes {
  #entries: Entry[] = []
  #waiters: (() => void)[] = []

  get isEmpty(): boolean {
    return this.#entries.length === 0
  }

  add(entry: Entry): void {
    this.#entries.push(entry)
  }

  /** Resolves when all that was added so far is off, or given up. */
  wait(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve))
  }

  /** Sends off what there is. */
  take(): SentNotes {
    const entries = this.#entries
    const waiters = this.#waiters
    this.#entries = []
    this.#waiters = []
    return {
      entries,
      tell: () => {
        for (const resolve of waiters) resolve()
      },
    }
  }
}
