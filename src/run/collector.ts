import type { Session } from '../checkpoint/session/session.ts'
import type { Clock } from '../clock.ts'
import type { RunFailedError } from '../errors.ts'
import type { Emitter } from '../events.ts'
import { attemptsSince } from '../items/chunk.ts'
import type { ResolvedOptions } from '../options/options.ts'
import type { Chunk, Failure, FulfilledBatch, Outcomes } from '../types.ts'
import type { Codec } from '../values/contract.ts'
import { fulfilledOutcome, toFailure, toOutcome } from './outcomes.ts'
import { fitTo, lengthen, makePlaces } from './result-places.ts'
import type { OutcomeList } from './stream.ts'
import { createTolerance } from './tolerance.ts'
import { weighColumn } from './weight.ts'

/** Time between two `progress` events, in ms. */
const PROGRESS_MS = 100

export interface CollectorOptions<R> {
  readonly options: Pick<ResolvedOptions, 'collect' | 'maxFailures'>
  readonly emitter: Emitter
  readonly clock: Clock
  readonly session: Session | undefined
  /** Reads what the workers packed, when there is a checkpoint. */
  readonly codec: Codec | undefined
  /** Takes each outcome, for `stream`. */
  readonly onOutcomes: ((outcomes: OutcomeList<R>) => void) | undefined
  /** Whoever was to take them has left. */
  isLeft(): boolean
  /** Items there are, in all shards; undefined as long as nobody knows. */
  length(): number | undefined
  /** The items are numbers, so that the results may well be. */
  readonly areNumbers: boolean
  /** Items of this shard. */
  total(): number | undefined
  /** More failed than is tolerated. */
  onTooManyFailures(): void
  /** Some values, once, so that their size can be estimated. */
  onSample(values: readonly unknown[]): void
}

/** Puts outcomes in their place, counts them, records them and tells whoever listens. Each item settles here exactly once. */
export interface Collector<T, R> {
  readonly results: R[]
  readonly failures: Failure<T>[]
  /** Of successes that took more than one, where they may have to be recorded again. */
  readonly attempts: ReadonlyMap<number, number>
  /** False when nobody will look at a value of an earlier session, so that none need be read. */
  readonly needsRestored: boolean
  /** See `EngineRunOptions`. */
  readRecord(record: Uint8Array): { readonly values: R[] | undefined; readonly count: number | undefined }
  readonly counts: { succeeded: number; failed: number; restored: number; dispatched: number }
  /** Outcomes computed by this session. */
  settle(outcomes: Outcomes<T, R>): void
  /** See `RunContext.setAside`. */
  setAside(chunk: Chunk<T>): Promise<void>
  /** Items that were tried in this session and have not settled. */
  readonly triedInVain: number
  /** Successes an earlier session recorded. */
  restore(batch: FulfilledBatch<R>): void
  /** A failure that an earlier session recorded. */
  restoreFailure(failure: Failure<T>): void
  /** An item that was restored as a failure before it was seen. */
  attachItem(index: number, item: T): void
  /** A failure was restored without its item, and has not been given it. */
  readonly lacksItems: boolean
  /** Everything is in its place, and the last progress event told. */
  finish(): void
  /** Tells if more failed than is tolerated, of all that was restored: of a part of it that may be so and mean nothing. */
  judge(): void
  /** Set when more items failed than is tolerated, be it for a while. */
  excess(): RunFailedError | undefined
}

export function createCollector<T, R>(env: CollectorOptions<R>): Collector<T, R> {
  const { options, emitter, clock, session } = env
  let results = makePlaces<R>(options.collect ? (env.length() ?? 0) : 0, env.areNumbers)
  const failures: Failure<T>[] = []
  const retried = new Map<number, number>()
  const tried = new Set<number>()
  const restoredFailures = new Map<number, number>() // Where in `failures` they are, until those are sorted.
  const counts = { succeeded: 0, failed: 0, restored: 0, dispatched: 0 }
  const began = clock.now()
  let toldAt = Number.NEGATIVE_INFINITY
  let isSampled = false
  /** What is on record, nobody is told for the sake of a loop that was left: it would fill the memory. */
  const wantsOutcomes = (restored = false) =>
    emitter.wants('outcome') || (env.onOutcomes !== undefined && !(restored && env.isLeft()))
  const needsValues = (restored = false) => options.collect || wantsOutcomes(restored)

  const progress = (isLast: boolean) => {
    const now = clock.now()
    if ((!isLast && now - toldAt < PROGRESS_MS) || !emitter.wants('progress')) return
    const done = counts.succeeded + counts.failed
    const total = env.total()
    const seconds = (now - began) / 1000
    const itemsPerSecond = seconds > 0 ? (done - counts.restored) / seconds : 0
    const eta = total !== undefined && itemsPerSecond > 0 ? ((total - done) / itemsPerSecond) * 1000 : undefined
    emitter.emit('progress', {
      done,
      total,
      failed: counts.failed,
      restored: counts.restored,
      itemsPerSecond,
      eta: done === total ? 0 : eta,
    })
    toldAt = clock.now() // Not when it set out: listeners are promised 100 ms from one call to the next.
  }

  const tolerance = createTolerance(options.maxFailures)
  const isExceeded = () => tolerance.isExceeded(counts.failed, counts.succeeded + counts.failed, env.total())

  const readRecord = (record: Uint8Array) => {
    const values = needsValues() ? (env.codec?.decode(record, true) as R[]) : undefined
    return { values, count: values ? values.length : env.codec?.countIn(record) }
  }

  const place = (batch: FulfilledBatch<R>, restored: boolean) => {
    const values = batch.values ?? (batch.record && readRecord(batch.record).values)
    const { indices } = batch
    if (values && !isSampled) {
      isSampled = true
      env.onSample(Array.from({ length: Math.min(10, values.length) }, (_, i) => values[i]))
    }
    if (values && options.collect) results = put(results, indices, values, env.length())
    counts.succeeded += indices.length
    const { keys, attempts } = batch
    if (session && options.collect) attempts?.forEach((count, i) => count > 1 && retried.set(indices[i] as number, count))
    if (!values || !wantsOutcomes(restored)) return
    const bytes = env.onOutcomes ? (batch.record?.byteLength ?? weighColumn(values)) : 0
    tell({ length: indices.length, bytes, at: (i) => fulfilledOutcome({ indices, keys, attempts }, values, i, restored) })
  }

  const tell = (outcomes: OutcomeList<R>) => {
    if (emitter.wants('outcome')) for (let i = 0; i < outcomes.length; i++) emitter.emit('outcome', outcomes.at(i))
    env.onOutcomes?.(outcomes)
  }

  const forgetTried = ({ fulfilled, rejected }: Outcomes<T, R>) => {
    if (tried.size === 0) return
    for (const { indices } of fulfilled) for (const index of indices) tried.delete(index)
    for (const { index } of rejected) tried.delete(index)
  }

  const add = (added: readonly Failure<T>[]) => {
    if (added.length === 0) return
    for (const failure of added) failures.push(failure) // Not spread: there may be more than a call takes arguments.
    counts.failed += added.length
    if (wantsOutcomes()) tell({ length: added.length, bytes: 0, at: (i) => toOutcome(added[i] as Failure<T>) })
  }

  const judge = () => {
    if (isExceeded()) env.onTooManyFailures()
  }

  return {
    get results() {
      return results
    },
    failures,
    attempts: retried,
    counts,
    get needsRestored() {
      return needsValues(true)
    },
    readRecord,
    settle: (outcomes) => {
      if (outcomes.fulfilled.length === 0 && outcomes.rejected.length === 0) return
      session?.record(outcomes)
      forgetTried(outcomes)
      for (const batch of outcomes.fulfilled) {
        counts.dispatched += batch.indices.length
        place(batch, false)
      }
      counts.dispatched += outcomes.rejected.length
      add(outcomes.rejected.map((it) => toFailure(it, false, session?.writer)))
      judge()
      progress(false)
    },
    async setAside(chunk) {
      for (let place = 0; place < chunk.indices.length; place++) {
        const index = chunk.indices[place] as number
        if (attemptsSince(chunk, place, session?.restored.historyOf(index, chunk.keys?.[place])) > 0) tried.add(index)
      }
      await session?.setAside(chunk)
    },
    get triedInVain() {
      return tried.size
    },
    restore: (batch) => {
      counts.restored += batch.indices.length
      if (batch.indices.length > 0) place(batch, true)
      progress(false)
    },
    restoreFailure: (failure) => {
      counts.restored++
      restoredFailures.set(failure.index, failures.length)
      add([failure])
      progress(false)
    },
    attachItem: (index, item) => {
      const at = restoredFailures.get(index)
      if (at !== undefined) failures[at] = { ...(failures[at] as Failure<T>), item }
      restoredFailures.delete(index)
    },
    get lacksItems() {
      return Array.from(restoredFailures.values()).some((at) => failures[at]?.item === undefined)
    },
    finish: () => {
      failures.sort((a, b) => a.index - b.index)
      if (options.collect) results = fitTo(results, env.length() ?? endOf(results))
      progress(true)
    },
    judge,
    excess: () => (isExceeded() ? tolerance.error(failures) : undefined),
  }
}

/**
 * Each value in its place, of an array that is made long enough first, if it is not: written far past its end it turns into a slow
 * dictionary.
 */
function put<R>(results: R[], indices: Uint32Array, values: ArrayLike<R>, length: number | undefined): R[] {
  const end = (indices[indices.length - 1] as number) + 1
  const room = end > results.length ? lengthen(results, length ?? end, length !== undefined) : results
  for (let i = 0; i < indices.length; i++) room[indices[i] as number] = values[i] as R
  return room
}

/** One past the last result. */
function endOf(results: readonly unknown[]): number {
  let end = results.length
  while (end > 0 && !(end - 1 in results)) end--
  return end
}
