import { setTimeout as sleep } from 'node:timers/promises'

/** Time and chance, passed in so that tests and simulations decide them. Durations are in milliseconds. */
export interface Clock {
  /** Monotonic time. */
  now(): number
  /** Wall-clock time, since 1970; may jump. */
  today(): number
  /** Resolves after `ms`; rejects with the signal's reason when it aborts. Keeps the process alive. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** A number in [0, 1). */
  random(): number
}

/** The machine's own time and chance. */
export const systemClock: Clock = {
  now: () => performance.now(),
  today: () => Date.now(),
  sleep: async (ms, signal) => {
    await sleep(ms, undefined, signal ? { signal } : {})
  },
  random: () => Math.random(),
}
