import { echoed } from '../preempt/signals.ts'
import { formatDuration } from './duration.ts'

/** Why a run was asked to stop; its message goes into the summary. */
class Interruption extends Error {}

/** A first signal came. */
export class Signalled extends Interruption {}

/** The time limit is near. */
export class TimeUp extends Interruption {
  /** For a session that got no item done: another one as long would not, either. */
  readonly advice: string

  constructor(limit: number) {
    const name = formatDuration(limit)
    super(`the time limit of ${name} is near`)
    this.advice = `no item settled in this session, and with --time-limit ${name} none may in the next: give a longer one, or none. To start and one item at least have to fit into half of it`
  }
}

const SECOND = { SIGINT: 130, SIGTERM: 143 } as const

/** What may stop a run from outside. */
export interface Interrupts {
  /** Aborts at the first signal, or when the time is up. */
  readonly signal: AbortSignal
  /** Signals mean again what they meant before. */
  stop(): void
}

/**
 * Listens for SIGINT and SIGTERM: the first one aborts `signal`, so that the run drains; the second ends the process at
 * once, with 130 or 143, and a third by itself. The same one again before `echoed` is no second one. `stopAt`: milliseconds since
 * the process began at which to abort in any case.
 */
export function watchInterrupts(options: { stopAt?: number | undefined; timeLimit?: number | undefined } = {}): Interrupts {
  const controller = new AbortController()
  let first: string | undefined
  let hasEchoed = false
  const listeners = (['SIGINT', 'SIGTERM'] as const).map((name) => {
    const listener = () => {
      if (first === name && !hasEchoed) return
      if (first !== undefined) {
        stop() // It waits for threads, and one may be in a call that nothing ends: a third signal is not to be held back by us.
        process.exit(SECOND[name])
      }
      first = name
      void echoed().then(() => {
        hasEchoed = true
        controller.abort(new Signalled(`${name} received`)) // Of a run that drains for the time limit it changes nothing.
      })
    }
    process.on(name, listener)
    return { name, listener }
  })
  const { stopAt, timeLimit = 0 } = options
  const timer =
    stopAt === undefined
      ? undefined
      : setTimeout(() => controller.abort(new TimeUp(timeLimit)), Math.max(0, stopAt - performance.now())).unref()
  const stop = () => {
    clearTimeout(timer)
    for (const { name, listener } of listeners) process.off(name, listener)
  }
  return { signal: controller.signal, stop }
}

/**
 * When to begin a drain so that it ends within `timeLimit`, and how long it may take, in milliseconds. A drain timeout
 * that was asked for is at most half of the limit, else every session would stop before it had settled anything; one that
 * was not, at most a quarter. A twentieth, at most a second, is left for the last flush and the output.
 */
export function planDrain(timeLimit: number, drainTimeout: number | undefined): { stopAt: number; drainTimeout: number } {
  const drain = Math.min(drainTimeout ?? Math.min(10_000, timeLimit / 4), timeLimit / 2)
  return { stopAt: Math.max(0, timeLimit - drain - Math.min(1000, timeLimit / 20)), drainTimeout: drain }
}
