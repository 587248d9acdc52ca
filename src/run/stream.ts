import { onAbort } from '../drain.ts'
import { unlessAgain } from '../engine/program.ts'
import type { Outcome, Report } from '../types.ts'

/** What `stream` returns. `V`: what its report has for an item, undefined among it where results may be missing. */
export type OutcomeStream<R, T, V = R> = AsyncIterable<Outcome<R>> & {
  /**
   * Resolves when the run is over; rejects with what ended it. To ask for it before there is a loop says that there may be none:
   * the run then waits for nobody to take outcomes.
   */
  readonly report: Promise<Report<V, T>>
}

/**
 * Outcomes that may wait for the loop that takes them; then the run waits too. Set by bench/growth.bench.mjs, memory of streams.
 */
const MAX_WAITING = 4096

/**
 * Bytes of values that may wait for it, about, where they are large. Higher: more in memory. Lower: workers idle while the loop
 * is at what it took.
 */
const MAX_WAITING_BYTES = 2 ** 26

/** So many outcomes, each made when it is taken: an object that waits is in the way of every collection of garbage. */
export interface OutcomeList<R> {
  readonly length: number
  /** About how many the values take. */
  readonly bytes: number
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
 * `closing`: aborts when somebody waits for the run to end, which then waits for no loop that has not begun.
 */
export function createStream<R, T>(
  start: (origin: StreamOrigin<R>) => Promise<Report<R, T>>,
  closing?: AbortSignal,
): OutcomeStream<R, T> {
  const handover = new Handover(start, closing)
  return {
    [Symbol.asyncIterator]: () => new Reader(handover),
    get report() {
      handover.lift()
      return handover.report
    },
  }
}

/** What a run has given and no loop has taken. Usually there is one loop; several share the outcomes. */
class Handover<R, T> {
  readonly report: Promise<Report<R, T>>
  readonly #abandoned = new AbortController()
  #lists: OutcomeList<R>[] = []
  #waiting = 0
  #bytes = 0
  #isBounded = true
  #isRead = false
  #isOver = false
  #readers: (() => void)[] = []
  #wakeRun: (() => void) | undefined

  constructor(start: (origin: StreamOrigin<R>) => Promise<Report<R, T>>, closing?: AbortSignal) {
    const origin: StreamOrigin<R> = {
      onOutcomes: (outcomes) => this.#put(outcomes),
      backlog: () => this.#backlog(),
      abandoned: this.#abandoned.signal,
    }
    this.report = unlessAgain(() => start(origin))
    const onClosing = () => {
      if (!this.#isRead) this.lift()
    }
    const stopListening = onAbort(closing, onClosing)
    const end = () => {
      stopListening()
      this.#isOver = true
      this.#wakeReaders()
    }
    this.report.then(end, end)
  }

  /** There is a loop: from here on the run waits while many outcomes do. */
  bound(): void {
    this.#isRead = true
    this.#isBounded = true
  }

  /** From here on the run waits for nobody. */
  lift(): void {
    this.#isBounded = false
    this.#wakeRun?.()
  }

  /** Everything that waits. */
  take(): OutcomeList<R>[] {
    const lists = this.#lists
    this.#lists = []
    this.#waiting = 0
    this.#bytes = 0
    this.#wakeRun?.()
    return lists
  }

  /** Resolves when there may be more. Undefined when the run is over: nothing is to come. */
  more(): Promise<void> | undefined {
    if (this.#isOver) return undefined
    return new Promise((resolve) => this.#readers.push(resolve))
  }

  /** Nobody takes what is still to come. Resolves when the run is over. */
  async abandon(): Promise<void> {
    this.lift()
    this.#abandoned.abort(new Error('the loop over the stream was left'))
    await this.report.catch(() => {})
  }

  #put(outcomes: OutcomeList<R>): void {
    this.#lists.push(outcomes)
    this.#waiting += outcomes.length
    this.#bytes += outcomes.bytes
    this.#wakeReaders()
  }

  #backlog(): Promise<void> | undefined {
    const isFull = this.#waiting >= MAX_WAITING || this.#bytes >= MAX_WAITING_BYTES
    if (!this.#isBounded || !isFull) return undefined
    return new Promise((resolve) => {
      this.#wakeRun = resolve
    })
  }

  #wakeReaders(): void {
    const woken = this.#readers
    this.#readers = []
    for (const wake of woken) wake()
  }
}

/**
 * The iterator of one loop. Written by hand: as an async generator it takes three turns of the microtasks and as many promises
 * for each outcome.
 */
class Reader<R, T> implements AsyncIterableIterator<Outcome<R>> {
  readonly #handover: Handover<R, T>
  #hasBegun = false
  #hasLeft = false
  #taken: OutcomeList<R>[] = []
  #place = 0

  constructor(handover: Handover<R, T>) {
    this.#handover = handover
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<Outcome<R>, undefined>> {
    const result = this.#atHand()
    return result ? Promise.resolve(result) : this.#nextGiven()
  }

  async return(value: undefined): Promise<IteratorResult<Outcome<R>, undefined>> {
    await this.#stop()
    return { value, done: true }
  }

  async throw(error: unknown): Promise<never> {
    await this.#stop()
    throw error
  }

  #atHand(): IteratorResult<Outcome<R>, undefined> | undefined {
    for (let list = this.#taken[0]; list !== undefined && !this.#hasLeft; list = this.#taken[0]) {
      if (this.#place < list.length) return { value: list.at(this.#place++), done: false }
      this.#taken.shift()
      this.#place = 0
    }
    return undefined
  }

  async #nextGiven(): Promise<IteratorResult<Outcome<R>, undefined>> {
    const handover = this.#handover
    if (!this.#hasBegun) handover.bound()
    this.#hasBegun = true
    while (!this.#hasLeft) {
      const result = this.#atHand()
      if (result) return result
      this.#taken = handover.take()
      if (this.#taken.length > 0) continue
      const more = handover.more()
      if (more) await more
      else {
        await this.#leave()
        await handover.report // Throws what ended the run.
      }
    }
    return OVER
  }

  async #leave(): Promise<void> {
    this.#hasLeft = true
    await this.#handover.abandon()
  }

  async #stop(): Promise<void> {
    if (!this.#hasLeft) await this.#leave()
  }
}
