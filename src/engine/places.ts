/**
 * How many chunks an engine takes at once. Runs that share an engine take turns: whoever has waited longest gets the
 * next place.
 */
export interface Places {
  /** Resolves with true when there is a place, with false when `signal` aborts first. */
  take(signal: AbortSignal): Promise<boolean>
  give(): void
  /** Takes a place also when there is none. */
  borrow(): void
  /** Changes the number of places; those taken beyond it are not taken back. */
  resize(count: number): void
  readonly count: number
}

/** Who waits for a place. */
interface Waiting {
  readonly signal: AbortSignal
  resolve(isTaken: boolean): void
}

export function createPlaces(initial: number): Places {
  let count = initial
  let taken = 0
  const waiting = new Set<Waiting>()
  /** Those that are listened to. A run has one signal, and waits for every one of its chunks. */
  const heard = new WeakSet<AbortSignal>()

  const hear = (signal: AbortSignal) => {
    if (heard.has(signal)) return
    heard.add(signal)
    const giveUp = () => {
      for (const it of waiting) if (it.signal === signal && waiting.delete(it)) it.resolve(false)
    }
    signal.addEventListener('abort', giveUp, { once: true })
  }

  const next = () => {
    for (const it of waiting) {
      if (taken >= count) return
      waiting.delete(it)
      taken++
      it.resolve(true)
    }
  }

  return {
    get count() {
      return count
    },
    take: (signal) => {
      if (signal.aborted) return Promise.resolve(false)
      if (taken < count && waiting.size === 0) {
        taken++
        return Promise.resolve(true)
      }
      hear(signal)
      return new Promise((resolve) => waiting.add({ signal, resolve }))
    },
    borrow: () => {
      taken++
    },
    give: () => {
      taken--
      next()
    },
    resize: (to) => {
      count = to
      next()
    },
  }
}
