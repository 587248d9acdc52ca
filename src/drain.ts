import { setMaxListeners } from 'node:events'
import { messageOf, RunAbortedError } from './errors.ts'
import { createHearing } from './hearing.ts'
import type { Emit } from './types.ts'
import { inReport, worded, wording } from './wording.ts'

/** How a run ends before its time: once, for the first reason given. */
export interface Drain {
  /** Aborts when the drain starts. */
  readonly signal: AbortSignal
  /** Aborts when somebody outside wants the run to end, be it on its way there already: whoever it is may not wait for long. */
  readonly hastened: AbortSignal
  /** Stop: `reason` becomes the cause of a RunAbortedError. */
  begin(reason: unknown): void
  /** The same for somebody outside: `hastened` aborts, too. */
  hasten(reason: unknown): void
  /** The run cannot go on: `error` is what it rejects with. */
  fail(error: Error): void
  /** What the run is to be rejected with, if it was drained before every item had settled. */
  error(): Error | undefined
  /** True when it was `fail` that started or followed the drain. */
  readonly isFatal: boolean
}

export function createDrain(emit: Emit): Drain {
  const controller = new AbortController()
  setMaxListeners(0, controller.signal) // Every chunk that waits for something listens; Node would warn of the eleventh.
  const haste = new AbortController()
  let fatal: Error | undefined
  let reason: unknown

  const begin = (why: unknown) => {
    if (controller.signal.aborted) return
    reason = why
    controller.abort(why)
    emit('drain', { reason: why })
  }

  return {
    signal: controller.signal,
    hastened: haste.signal,
    begin,
    hasten: (why) => {
      haste.abort(why)
      begin(why)
    },
    fail: (error) => {
      fatal ??= error
      begin(error)
    },
    error: () => {
      if (fatal) return fatal
      return controller.signal.aborted ? aborted(reason) : undefined
    },
    get isFatal() {
      return fatal !== undefined
    },
  }
}

const hearings = new WeakMap<AbortSignal, ReturnType<typeof createHearing>>()

/** Calls `act` with the reason once `signal` aborts, at once if it has before. Gives what stops listening. */
export function onAbort(signal: AbortSignal | undefined, act: (reason: unknown) => void): () => void {
  if (signal?.aborted) act(signal.reason)
  if (!signal || signal.aborted) return () => {}
  const hear = hearings.get(signal) ?? createHearing((tell) => listenTo(signal, tell))
  hearings.set(signal, hear)
  return hear(() => act(signal.reason))
}

function listenTo(signal: AbortSignal, tell: () => void): () => void {
  signal.addEventListener('abort', tell, { once: true })
  return () => signal.removeEventListener('abort', tell)
}

/** What `answer` gives, or undefined once `draining` has aborted: it may never come. */
export function untilDrained<V>(draining: AbortSignal, answer: Promise<V>): Promise<V | undefined> {
  return new Promise((resolve, reject) => {
    const stop = onAbort(draining, () => resolve(undefined))
    answer.then(resolve, reject).finally(stop)
  })
}

function aborted(reason: unknown): Error {
  return worded(
    wording`Cannot finish the run: expected every item to settle, got a request to stop (${messageOf(reason)})${inReport('; with a checkpoint, run it again to go on')}`,
    (message) => new RunAbortedError(message, { cause: reason }),
  )
}
