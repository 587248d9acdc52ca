import type { Clock } from '../../src/clock.ts'

interface Sleeper {
  readonly ms: number
  readonly until: number
  wake(): void
}

/** Time that goes on only when a test says so. */
export interface VirtualClock extends Pick<Clock, 'now' | 'sleep'> {
  /** Lets `ms` pass and wakes, in order, whoever slept until then. */
  advance(ms: number): void
  /** Resolves once `count` sleepers lie down, or lie already, for `ms`. */
  asleep(ms: number, count?: number): Promise<void>
  /** How many sleep for `ms`, or at all. */
  count(ms?: number): number
}

export function virtualClock(): VirtualClock {
  let time = 0
  let sleepers: Sleeper[] = []
  let watchers: (() => boolean)[] = []
  const count = (ms?: number) => sleepers.filter((it) => ms === undefined || it.ms === ms).length
  const remove = (sleeper: Sleeper) => {
    sleepers = sleepers.filter((it) => it !== sleeper)
  }
  return {
    now: () => time,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason)
        const sleeper = { ms, until: time + ms, wake: resolve }
        signal?.addEventListener('abort', () => {
          remove(sleeper)
          reject(signal.reason)
        })
        sleepers.push(sleeper)
        watchers = watchers.filter((isDone) => !isDone())
      }),
    advance: (ms) => {
      time += ms
      const due = sleepers.filter(({ until }) => until <= time).sort((a, b) => a.until - b.until)
      for (const sleeper of due) {
        remove(sleeper)
        sleeper.wake()
      }
    },
    asleep: (ms, wanted = 1) =>
      new Promise((resolve) => {
        const isDone = () => {
          if (count(ms) < wanted) return false
          resolve()
          return true
        }
        if (!isDone()) watchers.push(isDone)
      }),
    count,
  }
}
