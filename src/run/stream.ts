import { callsAgain } from '../engine/program.ts'
import type { Outcome, Report } from '../types.ts'

/** What `stream` returns. */
export type OutcomeStream<R, T> = AsyncIterable<Outcome<R>> & { readonly report: Promise<Report<R, T>> }

/** Outcomes that may wait for the loop that takes them; then the run waits too. Set by bench/growth.bench.mjs, memory of streams. */
const MAX_WAITING = 4096

/** So many outcomes, each made when it is taken: an object that waits is in the way of every collection of garbage. */
export interface OutcomeList<R> {
  readonly length: number
  at(place: number): Outcome<R>
}

const OVER = { value: undefined, done: true } as const

/** What the run is given of the stream: where outcomes go, whether to hold on, and when nobody wants more. */
export interface StreamOrigin<R> {
  onOutcomes(outcomes: OutcomeList<R>): void
  backlog(): Promise<void> | undefined
  readonly abandoned: AbortSignal
}

/**
 * A stream of the outcomes of a run. The run starts at once. It waits while the loop has many outcomes before it;
 * asking for `report` before looping lifts that bound, since then there may never be a loop. Leaving the loop drains
 * the run; a run that fails throws its error in the loop once all outcomes were taken, and rejects `report` with it.
 */
export function createStream<R, T>(start: (origin: StreamOrigin<R>) => Promise<Report<R, T>>): OutcomeStream<R, T> {
  const abandoned = new AbortController()
  let queues: OutcomeList<R>[] = []
  let waiting = 0
  let isBounded = true
  let isOver = false
  let failure: unknown
  let readers: (() => void)[] = []
  let wakeRun: (() => void) | undefined

  /** Usually one; several loops over one stream share its outcomes. */
  const wakeReaders = () => {
    const woken = readers
    readers = []
    for (const wake of woken) wake()
  }
  const settled = () => {
    isOver = true
    wakeReaders()
  }
  const report = callsAgain()
    ? new Promise<never>(() => {})
    : start({
        onOutcomes: (outcomes) => {
          queues.push(outcomes)
          waiting += outcomes.length
          wakeReaders()
        },
        backlog: () => {
          if (!isBounded || waiting < MAX_WAITING) return undefined
          return new Promise((resolve) => {
            wakeRun = resolve
          })
        },
        abandoned: abandoned.signal,
      })
  report.then(settled, (error) => {
    failure = error
    settled()
  })

  /** Written by hand: as an async generator it takes three turns of the microtasks and as many promises for each outcome. */
  const read = (): AsyncIterableIterator<Outcome<R>> => {
    let hasBegun = false
    let hasLeft = false
    let taken: OutcomeList<R>[] = []
    let place = 0
    const atHand = (): IteratorResult<Outcome<R>, undefined> | undefined => {
      for (let list = taken[0]; list !== undefined && !hasLeft; list = taken[0]) {
        if (place < list.length) return { value: list.at(place++), done: false }
        taken.shift()
        place = 0
      }
      return undefined
    }
    const take = () => {
      taken = queues
      queues = []
      waiting = 0
      wakeRun?.()
    }
    const leave = async () => {
      hasLeft = true
      isBounded = false // Nobody takes what is still to come.
      wakeRun?.()
      abandoned.abort(new Error('the loop over the stream was left'))
      await report.catch(() => {})
    }
    const next = async (): Promise<IteratorResult<Outcome<R>, undefined>> => {
      if (!hasBegun) isBounded = true
      hasBegun = true
      while (!hasLeft) {
        const result = atHand()
        if (result) return result
        take()
        if (taken.length > 0) continue
        if (!isOver) {
          await new Promise<void>((resolve) => readers.push(resolve))
          continue
        }
        await leave()
        if (failure !== undefined) throw failure
      }
      return OVER
    }
    const stop = async () => {
      if (hasBegun && !hasLeft) await leave()
      hasLeft = true
    }
    return {
      next: () => {
        const result = atHand()
        return result ? Promise.resolve(result) : next()
      },
      return: async (value) => {
        await stop()
        return { value, done: true }
      },
      throw: async (error) => {
        await stop()
        throw error
      },
      [Symbol.asyncIterator]() {
        return this
      },
    }
  }

  return {
    [Symbol.asyncIterator]: read,
    get report() {
      isBounded = false
      wakeRun?.()
      return report
    },
  }
}
