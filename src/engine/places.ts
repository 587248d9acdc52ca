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

export function createPlaces(initial: number): Places {
  let count = initial
  let taken = 0
  const waiting = new Set<() => void>()

  const next = () => {
    for (const wake of waiting) {
      if (taken >= count) return
      waiting.delete(wake)
      taken++
      wake()
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
      return new Promise((resolve) => {
        const onAbort = () => {
          waiting.delete(wake)
          resolve(false)
        }
        const wake = () => {
          signal.removeEventListener('abort', onAbort)
          resolve(true)
        }
        waiting.add(wake)
        signal.addEventListener('abort', onAbort, { once: true })
      })
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
