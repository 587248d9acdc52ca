import { cut, historyAt, withHistories } from '../chunk.ts'
import type { RunContext } from '../stages/stage.ts'
import type { Chunk, FailureKind, FulfilledBatch, History, Outcomes, Rejection } from '../types.ts'
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

/** Part of a job's chunk that goes to one worker, in one message. */
export interface Piece {
  readonly id: number
  readonly job: Job
  readonly chunk: Chunk
  /** A suspect, to be run with nothing else on its worker. */
  readonly isAlone: boolean
  /** The worker answers each item by itself. */
  isSingly: boolean
  /** Places before this one have settled. */
  settled: number
  /** Places from this one on belong to other pieces, or to none any more. */
  end: number
  /** When its thread had nothing else to do before it, on the clock's monotonic time, in ms; undefined until then. */
  since: number | undefined
  /** The run was drained before its task was up in the thread: nothing is waited for there, be it an import without an end. */
  isVain: boolean
  /** Another thread had it before, and did not begin it in time. */
  readonly wasTakenBack: boolean
  slot: number
  /** Time the main thread took to send it, in ms; undefined when its message held more than its items. */
  sendTime: number | undefined
}

let pieces = 0

export function createPiece(job: Job, chunk: Chunk, isAlone = false, isSingly = false): Piece {
  return {
    id: ++pieces,
    job,
    chunk,
    isAlone,
    isSingly,
    settled: 0,
    end: chunk.items.length,
    since: undefined,
    isVain: false,
    wasTakenBack: false,
    slot: -1,
    sendTime: undefined,
  }
}

/** The places [from, to) of a piece as a piece of its own. A suspect stays one. */
export function cutPiece(piece: Piece, from: number, to: number): Piece {
  return createPiece(piece.job, cut(piece.chunk, from, to), piece.isAlone, piece.isSingly)
}

/**
 * Nothing more of a piece settles in this session: none of it begins any more, be it sent or not. That a suspect took a worker
 * down is not forgotten.
 */
export function interruptPiece(piece: Piece): void {
  const { settled, end } = piece
  if (piece.isAlone) void piece.job.context.setAside(piece.chunk)
  piece.end = settled
  piece.job.interrupt(end - settled)
}

/** The attempt at `place` failed. `crashed`: it took the worker down. */
export function rejectPlace(
  chunk: Chunk,
  place: number,
  kind: FailureKind,
  reason: Error,
  today: number,
  crashed = 0,
): Rejection {
  const past = nextHistory(historyAt(chunk, place), crashed, today)
  const key = chunk.keys?.[place]
  return {
    index: chunk.indices[place] as number,
    ...(key !== undefined ? { key } : {}),
    item: chunk.items[place],
    kind,
    reason,
    ...past,
    lastFailedAt: today,
  }
}

/** The item at `place` could not be given to the task: a failure, but no attempt. */
export function refusePlace(chunk: Chunk, place: number, reason: Error, today: number): Rejection {
  const attempts = historyAt(chunk, place)?.attempts ?? 0
  return { ...rejectPlace(chunk, place, 'serialization', reason, today), attempts }
}

/** The past of an item after one more attempt that ended badly. */
export function nextHistory(past: History | undefined, crashed: number, today: number): History & { firstFailedAt: number } {
  return {
    ...past,
    attempts: (past?.attempts ?? 0) + 1,
    crashes: (past?.crashes ?? 0) + crashed,
    firstFailedAt: past?.firstFailedAt ?? today,
  }
}

/** The places [from, to) of `piece` once more, whose attempts came to nothing: what they gave was lost with their worker. */
export function startAnew(piece: Piece, from: number, to: number, isSingly = piece.isSingly): Piece {
  const chunk = cut(piece.chunk, from, to)
  const lost = Array.from(chunk.indices, (index): [number, History] => {
    const past = chunk.histories?.get(index)
    return [index, { crashes: 0, firstFailedAt: undefined, ...past, attempts: (past?.attempts ?? 0) + 1 }]
  })
  piece.job.run.tally.attempts += lost.length
  return createPiece(piece.job, withHistories(chunk, lost), false, isSingly)
}

/** The item at `place` once more, alone, remembering that it took a worker down. */
export function suspectOf(piece: Piece, place: number, history: History): Piece {
  const chunk = cut(piece.chunk, place, place + 1)
  return createPiece(piece.job, withHistories(chunk, [[chunk.indices[0] as number, history]]), true)
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
