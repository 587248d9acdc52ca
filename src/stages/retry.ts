import { setMaxListeners } from 'node:events'
import type { Clock } from '../clock.ts'
import { untilDrained } from '../drain.ts'
import { nameItem, plural, textOf } from '../errors.ts'
import type { ResolvedOptions } from '../options/options.ts'
import type { Chunk, Outcomes, Rejection } from '../types.ts'
import { countOf, NOTHING, type RunContext, type Stage } from './stage.ts'

/** `retry` with every default filled in. */
type RetrySettings = ResolvedOptions['retry']

/** Retries that `budget` grants however few items were started. Lower: one bad item of a small run is never tried again. */
const BUDGET_FLOOR = 10

/**
 * Tries failed items again, and only those: `pRetry` around a chunk that shrinks from attempt to attempt.
 *
 * What settles in an attempt goes to `context.settle` at once when something is left to retry, and the wait before the
 * next attempt holds no place. `retries` counts beyond the first attempt that went through this stage; attempts of earlier
 * sessions, crashes and waits on the breaker use none up. A failure is final when its kind is `serialization`, `crash` or
 * `memory` (the engine gave those up), its code is ERR_PAWL_NON_RETRYABLE, `shouldRetry` says no or throws
 * (one `warning` SHOULD_RETRY_FAILED per run), or the budget is spent (one `warning` RETRY_BUDGET per run). A drain ends
 * every wait at once: what would have been tried again stays pending.
 *
 * One stage per run. `counter.retries` grows by one for each item that was tried again and is no more in flight. With
 * `retries: 0` there is no stage: `next` itself is returned. p-retry is loaded by the first chunk that has a failure.
 */
export function retry<T, R>(options: RetrySettings, counter: { retries: number } = { retries: 0 }): Stage<T, R> {
  if (options.retries === 0) return (next) => next
  const budget = retryBudget(options.budget)
  const judge = retryJudge<T>(options, budget.take)
  return (next) => async (chunk, context) => {
    budget.start(chunk.indices.length)
    let first: Outcomes<T, R> | undefined = await next(chunk, context)
    if (first.rejected.length === 0) return first
    const { default: pRetry } = await import('p-retry')
    setMaxListeners(0, context.draining) // Every waiting chunk listens; Node would warn of the eleventh.
    let left = chunk

    const tryOnce = async (attemptNumber: number): Promise<Outcomes<T, R>> => {
      if (!first && context.draining.aborted) return NOTHING
      const { fulfilled, rejected } = first ?? (await countIn(counter, context, (counted) => next(left, counted)))
      first = undefined // Its values are settled: they must not stay in memory for the length of a backoff.
      const { final, again } = await judge(rejected, attemptNumber, context)
      const settled = { fulfilled, rejected: final }
      if (again.length === 0) return settled
      const rest = chunkOf(again, chunk.keys !== undefined)
      await context.lend(context.setAside(rest))
      if (context.draining.aborted) return settled
      if (fulfilled.length > 0 || final.length > 0) context.settle(settled)
      left = rest
      throw new UnsettledChunkError(again)
    }

    // p-retry discards a success that arrives after its signal aborted, does not tell its delay, and waits on global
    // timers; so it gets no signal and no timeout of its own, and the wait is ours.
    return pRetry(tryOnce, {
      retries: options.retries,
      factor: 1,
      minTimeout: 0,
      onFailedAttempt: async ({ error, attemptNumber }) => {
        if (!(error instanceof UnsettledChunkError)) throw error // A rejected dispatch: the run cannot go on.
        const delay = backoff(options, attemptNumber, context.clock)
        for (const { index, attempts, reason } of error.again) {
          context.emit('retry', { index, attempt: attempts, error: reason, delay })
        }
        if (delay === 0) return
        try {
          await context.rest(left, () => context.clock.sleep(delay, context.draining))
        } catch (cause) {
          if (!context.draining.aborted) throw cause
        }
      },
    })
  }
}

/** What `next` gives, counted as retries: what a drain has overtaken was not tried again. */
async function countIn<T, R>(
  counter: { retries: number },
  context: RunContext<T, R>,
  next: (context: RunContext<T, R>) => Promise<Outcomes<T, R>>,
): Promise<Outcomes<T, R>> {
  const count = (outcomes: Outcomes<T, R>) => {
    counter.retries += countOf(outcomes)
    return outcomes
  }
  return count(await next({ ...context, settle: (outcomes) => context.settle(count(outcomes)) }))
}

/** What p-retry is told of a chunk with items to try again: an error of our own, for it gives up on every TypeError. */
class UnsettledChunkError extends Error {
  readonly again: readonly Rejection[]

  constructor(again: readonly Rejection[]) {
    super('Some items of the chunk are to be tried again')
    this.again = again
  }
}

/** The wait in milliseconds after the failed attempt `attempt` (from 1), by p-retry's formula. */
function backoff({ factor, minTimeout, maxTimeout, randomize }: RetrySettings, attempt: number, clock: Clock): number {
  if (minTimeout === 0) return 0 // Times an infinite power it would be NaN.
  const random = randomize ? 1 + clock.random() : 1
  return Math.min(Math.round(random * minTimeout * factor ** (attempt - 1)), maxTimeout)
}

/** The chunk of the next attempt. */
function chunkOf<T>(rejected: readonly Rejection<T>[], hasKeys: boolean): Chunk<T> {
  const rows = [...rejected].sort((a, b) => a.index - b.index)
  return {
    items: rows.map((it) => it.item),
    indices: Uint32Array.from(rows, (it) => it.index),
    ...(hasKeys && { keys: rows.map(keyOf) }),
    histories: new Map(
      rows.map(({ index, attempts, crashes, pardoned, firstFailedAt }) => {
        return [index, { attempts, crashes, ...(pardoned && { pardoned }), firstFailedAt }] as const
      }),
    ),
  }
}

interface Verdict<T> {
  readonly final: readonly Rejection<T>[]
  readonly again: readonly Rejection<T>[]
}

/**
 * Parts the failures of an attempt into the final and those to be tried again. What a drain leaves undecided, because
 * `shouldRetry` has not answered, is among these: it stays pending.
 */
type Judge<T> = (rejected: readonly Rejection<T>[], attemptNumber: number, context: RunContext<T>) => Promise<Verdict<T>>

function retryJudge<T>(options: RetrySettings, isGranted: (context: RunContext<T>) => boolean): Judge<T> {
  const askUser = options.shouldRetry && userJudge<T>(options)
  return async (rejected, attemptNumber, context) => {
    if (attemptNumber > options.retries) return { final: rejected, again: [] }
    const open = rejected.filter(isRetryable)
    const answers = askUser ? await untilDrained(context.draining, askUser(open, attemptNumber, context)) : open.map(() => true)
    const again = answers ? open.filter((_, i) => answers[i] && isGranted(context)) : open
    const unsettled = new Set(again)
    return { final: rejected.filter((it) => !unsettled.has(it)), again }
  }
}

/** `shouldRetry` asked about each of some failures. One that throws is a no; the first time it is a warning, too. */
function userJudge<T>({ retries, shouldRetry }: RetrySettings) {
  let isWarned = false
  return (rejected: readonly Rejection<T>[], attemptNumber: number, { emit }: RunContext<T>): Promise<boolean[]> => {
    const ask = async (rejection: Rejection<T>): Promise<boolean> => {
      const { index, reason: error } = rejection
      const key = keyOf(rejection)
      const counts = { attemptNumber, retriesLeft: retries - attemptNumber + 1, retriesConsumed: attemptNumber - 1 }
      try {
        return Boolean(await shouldRetry?.(Object.freeze({ error, ...counts, index, key })))
      } catch (thrown) {
        const message = `Cannot ask 'shouldRetry' about item ${nameItem(index, key)}: expected true or false, got an exception: ${textOf(thrown)}. The failure is final`
        if (!isWarned) emit('warning', { code: 'SHOULD_RETRY_FAILED', message })
        isWarned = true
        return false
      }
    }
    return Promise.all(rejected.map(ask))
  }
}

interface Budget {
  /** Takes note of items that begin; the budget is a share of them. */
  start(items: number): void
  /** Takes one retry out of the budget; false when it is spent, of which the first time warns. */
  take(context: RunContext<never>): boolean
}

function retryBudget(share = Number.POSITIVE_INFINITY): Budget {
  let started = 0
  let granted = 0
  let isWarned = false // From then on it stays spent, though more items start: somebody was told so.
  return {
    start: (items) => {
      started += items
    },
    take: ({ emit }) => {
      const limit = Math.max(BUDGET_FLOOR, share * started)
      if (!isWarned && granted + 1 <= limit) {
        granted++
        return true
      }
      const message = `Cannot retry any more: expected at most ${Math.floor(limit)} retries for ${plural(started, 'item')} started (retry.budget ${share}), got one more. Further failures are final`
      if (!isWarned) emit('warning', { code: 'RETRY_BUDGET', message })
      isWarned = true
      return false
    },
  }
}

/** A TypeError too: which errors pass is for the user to say, and by code, as errors cross threads. */
function isRetryable({ kind, reason }: Rejection): boolean {
  return (kind === 'error' || kind === 'timeout') && (reason as { code?: unknown }).code !== 'ERR_PAWL_NON_RETRYABLE'
}

function keyOf({ index, key }: Rejection): string {
  return key ?? String(index)
}
