import { EventEmitter } from 'node:events'
import type { Clock } from '../clock.ts'
import { CircuitOpenError, plural } from '../errors.ts'
import type { ResolvedOptions } from '../options/options.ts'
import type { Chunk, Events, Outcomes } from '../types.ts'
import { NOTHING, type RunContext, type Stage } from './stage.ts'

/** `breaker` with every default filled in. */
type BreakerSettings = NonNullable<ResolvedOptions['breaker']>

/** Slices of the window that chunks are counted in: opossum's default. More would forget more smoothly. */
const BUCKETS = 10

/** A breaker and its end. */
export interface Breaker<T, R> {
  readonly stage: Stage<T, R>
  /** Ends the breaker with its run: no timer is left, and what is still held stays pending. */
  close(): void
}

/**
 * Holds chunks back while too many fail. One for a whole run; the state machine is opossum's.
 *
 * A chunk counts as failed when the share of its items that failed reaches `errorThresholdPercentage`, and the breaker
 * opens when the share of failed chunks reaches it, `volumeThreshold` of them having been seen within
 * `rollingCountTimeout`. It stays open for `resetTimeout`, then lets one chunk through: if that fails it opens again, else
 * it closes and counts anew. Each change is emitted as `breaker`. A chunk that is held has no place and uses up no attempt;
 * a drain ends the hold at once and leaves its items pending. The opening number `maxOpens` ends the run with
 * `CircuitOpenError`, unless every item settles all the same. opossum is loaded by the first chunk.
 */
export function breaker<T, R>(options: BreakerSettings): Breaker<T, R> {
  let opening: Promise<Gate<T, R>> | undefined
  let gate: Gate<T, R> | undefined
  let isClosed = false
  const open = async (context: RunContext<T, R>) => {
    gate = new Gate(options, context, await openCircuit(options, context.clock.now))
    return gate
  }
  return {
    stage: (next) => async (chunk, context) => {
      opening ??= open(context)
      const opened = gate ?? (await opening)
      const epoch = isClosed ? undefined : await opened.admit(chunk, context)
      if (epoch === undefined) return NOTHING
      let outcomes: Outcomes<T, R> | undefined
      try {
        outcomes = await next(chunk, context)
        return outcomes
      } finally {
        await opened.observe(chunk, outcomes, epoch)
      }
    },
    close: () => {
      isClosed = true
      gate?.close()
    },
  }
}

/** Decides when a chunk may pass, and learns from what came of it. */
class Gate<T, R> {
  readonly #options: BreakerSettings
  readonly #context: RunContext<T, R>
  readonly #circuit: Circuit
  readonly #hold: HoldingPlace
  /** Counts changes of state: an outcome says nothing about a state its chunk was not dispatched in. */
  #epoch = 0
  #opens = 0
  /** The one chunk that a half-open circuit lets through. */
  #probe: Chunk<T> | undefined
  #lastReason: Error | undefined
  #isClosed = false

  constructor(options: BreakerSettings, context: RunContext<T, R>, circuit: Circuit) {
    this.#options = options
    this.#context = context
    this.#circuit = circuit
    this.#hold = holdingPlace(options.resetTimeout, context.clock)
    circuit.onChange((state) => this.#changed(state))
    context.draining.addEventListener('abort', this.#hold.wake)
  }

  /**
   * Waits until `chunk` may pass, without the place that its own context says it has. Resolves with the epoch it passes in, or
   * undefined when the run is over.
   */
  async admit(chunk: Chunk<T>, { rest }: RunContext<T, R>): Promise<number | undefined> {
    const untilFree = async () => {
      while (this.#mustWait(chunk)) await this.#hold.next()
    }
    // Once more after each rest: while the chunk waited for its place, the circuit may have opened again.
    while (this.#mustWait(chunk)) {
      try {
        await rest(chunk, untilFree)
      } catch (error) {
        if (!this.#isOver()) throw error
      }
    }
    return this.#isOver() ? undefined : this.#epoch
  }

  /** Takes in what came of a chunk that passed in `epoch`; undefined when its dispatch rejected. */
  async observe(chunk: Chunk<T>, outcomes: Outcomes<T, R> | undefined, epoch: number): Promise<void> {
    if (outcomes && epoch === this.#epoch && !this.#isOver()) {
      const failed = outcomes.rejected.length
      this.#lastReason = outcomes.rejected[0]?.reason ?? this.#lastReason
      await this.#circuit.count(failed * 100 >= this.#options.errorThresholdPercentage * chunk.indices.length)
    }
    if (this.#probe !== chunk) return
    this.#probe = undefined // It told nothing: the next one may try.
    this.#hold.wake()
  }

  close(): void {
    this.#isClosed = true
    this.#circuit.close()
    this.#context.draining.removeEventListener('abort', this.#hold.wake)
    this.#hold.wake()
  }

  #isOver(): boolean {
    return this.#isClosed || this.#context.draining.aborted
  }

  /** In a half-open circuit the first chunk that asks becomes the probe. */
  #mustWait(chunk: Chunk<T>): boolean {
    if (this.#isOver() || this.#circuit.state === 'closed') return false
    if (this.#circuit.state === 'halfOpen') this.#probe ??= chunk
    return this.#probe !== chunk
  }

  #changed(state: CircuitState): void {
    this.#epoch++
    this.#probe = undefined
    this.#context.emit('breaker', { state })
    if (state === 'open' && ++this.#opens >= this.#options.maxOpens) {
      this.close()
      this.#context.fail(patienceEnded(this.#options, this.#lastReason))
    }
    this.#hold.wake()
  }
}

type CircuitState = Events['breaker']['state']

/** opossum's circuit, as far as it is used here. */
interface Circuit {
  readonly state: CircuitState
  onChange(listener: (state: CircuitState) => void): void
  /** Counts a chunk; resolves when the state is what it makes of it. */
  count(isFailed: boolean): Promise<void>
  close(): void
}

/**
 * Of opossum's timers only that of `resetTimeout` is left (monotonic, does not keep the process alive): the window is
 * turned here, by `now`, when a chunk is counted, so that neither an interval runs nor can the wall clock move it.
 */
async function openCircuit(options: BreakerSettings, now: () => number): Promise<Circuit> {
  const { default: CircuitBreaker } = await import('opossum')
  const window = new EventEmitter()
  const bucketTime = options.rollingCountTimeout / BUCKETS
  let turnedAt = now()
  const turn = (buckets: number) => {
    for (let i = 0; i < Math.min(buckets, BUCKETS); i++) window.emit('rotate')
  }
  const breaker = new CircuitBreaker(passOn, {
    name: 'pawl',
    timeout: false,
    // opossum opens above its threshold, pawl at it; 100 could never be exceeded.
    errorThresholdPercentage: Math.max(0, options.errorThresholdPercentage - 0.001),
    volumeThreshold: options.volumeThreshold,
    resetTimeout: options.resetTimeout,
    rollingCountTimeout: options.rollingCountTimeout,
    rollingCountBuckets: BUCKETS,
    rollingPercentilesEnabled: false,
    enableSnapshots: false,
    rotateBucketController: window,
  })
  breaker.on('close', () => turn(BUCKETS)) // Chunks from before the change are ignored: they must not open it again.
  return {
    get state() {
      return breaker.opened ? 'open' : breaker.halfOpen ? 'halfOpen' : 'closed'
    },
    onChange: (listener) => {
      breaker.on('open', () => listener('open'))
      breaker.on('halfOpen', () => listener('halfOpen'))
      breaker.on('close', () => listener('closed'))
    },
    count: async (isFailed) => {
      const buckets = Math.floor((now() - turnedAt) / bucketTime)
      turn(buckets)
      turnedAt += buckets * bucketTime
      await breaker.fire(isFailed).catch(() => {})
    },
    close: () => breaker.shutdown(),
  }
}

/**
 * What opossum guards: settles as the chunk did. Not async: a failure thrown is counted in the turn of its fire; a rejection
 * is counted later, and failures in between would be measured against a fire that is not yet known to be one.
 */
function passOn(isFailed: boolean): Promise<void> {
  if (isFailed) throw new Error('Too many items of the chunk failed')
  return Promise.resolve()
}

interface HoldingPlace {
  /** Resolves at the next `wake`. */
  next(): Promise<void>
  wake(): void
}

/** Where held chunks wait together. While one waits the process stays alive, which opossum's timer would not see to. */
function holdingPlace(interval: number, clock: Clock): HoldingPlace {
  let waking = new AbortController()
  let waited: Promise<void> | undefined
  const untilAborted = async (signal: AbortSignal) => {
    while (!signal.aborted) {
      try {
        await clock.sleep(interval, signal)
      } catch (error) {
        if (!signal.aborted) throw error
      }
    }
  }
  return {
    next: () => {
      waited ??= untilAborted(waking.signal)
      return waited
    },
    wake: () => {
      waking.abort()
      waking = new AbortController()
      waited = undefined
    },
  }
}

function patienceEnded({ errorThresholdPercentage, maxOpens }: BreakerSettings, cause: Error | undefined): CircuitOpenError {
  return new CircuitOpenError(
    `Cannot go on: expected fewer than ${errorThresholdPercentage} % of the chunks to fail, got a breaker that opened ${plural(maxOpens, 'time')} (breaker.maxOpens)${cause ? `, last because of: ${cause.message}` : ''}. What has not settled is pending: see to the cause, then run again`,
    cause ? { cause } : undefined,
  )
}
