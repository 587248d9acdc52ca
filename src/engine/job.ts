import type { RunContext } from '../stages/stage.ts'
import type { Chunk, FulfilledBatch, Outcomes, Rejection } from '../types.ts'
import type { EngineRunOptions } from './engine.ts'

/** A run inside an engine. */
export interface JobRun extends EngineRunOptions {
  readonly number: number
  /** Chunks that were lost while their results were packed, less the items that were found to be why. */
  unexplained: number
  /** When it was over, on the clock's monotonic time, in ms; undefined before. */
  endedAt: number | undefined
}

/** A dispatched chunk on its way through the engine, until each of its items has settled or was interrupted. */
export interface Job {
  readonly run: JobRun
  readonly context: RunContext
  /** Takes outcomes of places of `chunk`, which is the job's chunk or a piece of it. */
  settle(batch: FulfilledBatch | undefined, rejected: readonly Rejection[]): void
  /** `count` items will not settle in this session: a drain was in the way. */
  interrupt(count: number): void
  /** The run cannot go on. */
  fail(error: Error): void
  readonly isOver: boolean
}

/**
 * So long what a chunk gave waits for the rest of it, in ms. Chunks are shorter unless their size is pinned, or items are slow:
 * then a record, a stream or a listener would hear of nothing until all of it is back. Lower, and chunks of usual length are
 * settled in pieces, each of which costs what a chunk does.
 */
const HAND_OVER_MS = 250

export function createJob(chunk: Chunk, run: JobRun, context: RunContext): { job: Job; done: Promise<Outcomes> } {
  const fulfilled: FulfilledBatch[] = []
  const rejected: Rejection[] = []
  let left = chunk.items.length
  let handedAt = context.clock.now()
  const { promise: done, resolve, reject } = promiseWithResolvers<Outcomes>()
  const leave = (count: number) => {
    left -= count
    if (left <= 0) resolve({ fulfilled, rejected })
  }
  /** Successes only: what becomes of failures the stages decide. */
  const handOver = () => {
    const now = context.clock.now()
    if (now - handedAt < HAND_OVER_MS || fulfilled.length === 0 || left <= 0) return
    context.settle({ fulfilled: fulfilled.splice(0), rejected: [] })
    handedAt = now
  }
  const job: Job = {
    run,
    context,
    settle: (batch, rejections) => {
      if (batch) fulfilled.push(batch)
      handOver()
      for (const rejection of rejections) rejected.push(rejection) // Not spread: a chunk may hold more items than a call takes arguments.
      leave((batch?.indices.length ?? 0) + rejections.length)
    },
    interrupt: leave,
    fail: (error) => {
      left = 0
      reject(error)
    },
    get isOver() {
      return left <= 0
    },
  }
  return { job, done }
}

/** Promise.withResolvers, which Node 20 does not have. */
function promiseWithResolvers<V>(): { promise: Promise<V>; resolve(value: V): void; reject(error: Error): void } {
  let resolve!: (value: V) => void
  let reject!: (error: Error) => void
  const promise = new Promise<V>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}
