import { cut, historyAt, withHistories } from '../items/chunk.ts'
import type { Chunk, FailureKind, History, Rejection } from '../types.ts'
import type { Job } from './job.ts'

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
 * Nothing more of a piece settles in this session: none of it begins any more, be it sent or not. Attempts that were lost with a
 * worker are not forgotten.
 */
export function interruptPiece(piece: Piece): void {
  const { settled, end, chunk, job } = piece
  if (chunk.histories && settled < end) void job.context.setAside(cut(chunk, settled, end))
  piece.end = settled
  job.interrupt(end - settled)
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
