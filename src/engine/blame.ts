import { countCrashes, historyAt } from '../chunk.ts'
import { nameItem, plural, TaskTimeoutError, WorkerCrashError } from '../errors.ts'
import type { FailureKind } from '../types.ts'
import { type Bench, packedPlaces } from './bench.ts'
import { cursorOf, limitOf, slotOf } from './flight-recorder.ts'
import { cutPiece, nextHistory, type Piece, rejectPlace, startAnew, suspectOf } from './job.ts'
import type { Seat } from './seat.ts'

/** A worker that is gone. */
interface LostWorker {
  readonly seat: Pick<Seat, 'cells' | 'threadId'>
  readonly pieces: readonly Piece[]
  readonly doom: Bench['doom']
  /** It has answered before. */
  readonly isProven: boolean
}

export interface Verdict {
  /** What is to be run again, suspects first. */
  readonly again: readonly Piece[]
  /** Some item had begun. */
  readonly started: boolean
  readonly suspectIndex: number | undefined
  readonly reason: Error
}

/**
 * Finds the item a worker died in, by its flight recorder, and settles it or sends it back to be tried alone. The
 * items around it are innocent: those behind it did not start, those before it ended, and only their results are lost.
 *
 * An exception that surfaces after its item settled (a forgotten timer) hits whichever item runs by then: that one is
 * only a suspect, and alone in a fresh worker it clears itself.
 */
export function blame(worker: LostWorker, error: Error | undefined, exitCode: number, today: number): Verdict {
  const reason = error ?? new Error(`the worker thread ended with exit code ${exitCode}`)
  const suspects: Piece[] = []
  const innocents: Piece[] = []
  let started = false
  let suspectIndex: number | undefined
  const lost = (piece: Piece, from: number, to: number) => {
    if (from < to) innocents.push(worker.doom === 'drain' ? cutPiece(piece, from, to) : startAnew(piece, from, to))
  }
  const unstarted = (piece: Piece, from: number) => {
    if (from < piece.end) innocents.push(cutPiece(piece, from, piece.end))
  }
  for (const piece of worker.pieces) {
    const slot = slotOf(worker.seat.cells, piece.slot)
    const cursor = cursorOf(slot)
    if (cursor >= 0) started = true
    const isBlamed = suspectIndex !== undefined || suspects.length > 0
    const packed = packedPlaces(worker.seat.cells, piece)
    if (packed > piece.settled) {
      const isDue = isDoomed(worker.doom, piece, undefined)
      if (!isBlamed && (isDue || worker.doom === undefined)) {
        const { index, again } = halve(piece, packed, isDue ? undefined : reason, today)
        suspectIndex = index
        suspects.push(...again)
      } else lost(piece, piece.settled, packed)
      unstarted(piece, packed)
      continue
    }
    const isRunning = cursor >= piece.settled && cursor < Math.min(piece.end, limitOf(slot))
    if (!isRunning) {
      unstarted(piece, piece.settled)
      continue
    }
    const isInnocent = isBlamed || (worker.doom !== undefined && !isDoomed(worker.doom, piece, cursor))
    lost(piece, piece.settled, isInnocent ? cursor + 1 : cursor)
    unstarted(piece, cursor + 1)
    if (isInnocent) continue
    suspectIndex = piece.chunk.indices[cursor] as number
    // What is thrown outside of any item may be what an earlier one left behind.
    const isSure = piece.isAlone || error === undefined || isOutOfMemory(error) || (cursor === 0 && !worker.isProven)
    const again = charge(piece, cursor, worker.doom !== undefined ? undefined : reason, isSure, today)
    if (again) suspects.push(again)
  }
  return { again: [...suspects, ...innocents], started, suspectIndex, reason }
}

/**
 * The items of `piece` up to `packed` had ended, and the thread was lost on the way with their results: one of these took it
 * along, or never came to an end (a getter that ends the process, say). Halves are run again by themselves until the item
 * is alone. `crash` is missing for one that never ends.
 */
function halve(piece: Piece, packed: number, crash: Error | undefined, today: number): { index?: number; again: Piece[] } {
  const { settled } = piece
  if (packed - settled === 1) {
    const suspect = charge(piece, settled, crash, true, today)
    return { index: piece.chunk.indices[settled] as number, again: suspect ? [suspect] : [] }
  }
  const middle = (settled + packed) >> 1
  return { again: [startAnew(piece, settled, middle, true), startAnew(piece, middle, packed, true)] }
}

/** The main thread ended the worker because of this very item, which did not end in the meantime; `place` is undefined for results. */
function isDoomed(doom: LostWorker['doom'], piece: Piece, place: number | undefined): boolean {
  return doom !== undefined && doom !== 'drain' && doom.piece === piece && doom.place === place
}

function isOutOfMemory(error: Error): boolean {
  return (error as { code?: unknown }).code === 'ERR_WORKER_OUT_OF_MEMORY'
}

/**
 * Counts the attempt that ended the worker. Gives the item as a suspect, or nothing when it has settled: one that may be
 * innocent is never given up before it had a worker to itself. `crash` is missing for a timeout.
 */
function charge(piece: Piece, place: number, crash: Error | undefined, isSure: boolean, today: number): Piece | undefined {
  const { chunk, job } = piece
  const { run } = job
  run.tally.attempts++
  const key = chunk.keys?.[place]
  const index = chunk.indices[place] as number
  if (!crash) {
    run.tally.timeouts++
    const reason = new TaskTimeoutError(index, key ?? String(index), run.timeout as number)
    job.settle(undefined, [rejectPlace(chunk, place, 'timeout', reason, today)])
    return undefined
  }
  run.tally.crashes++
  const history = nextHistory(historyAt(chunk, place), 1, today)
  const crashes = countCrashes(history)
  if (crashes < run.maxCrashes) return suspectOf(piece, place, history)
  if (!isSure) return suspectOf(piece, place, { ...history, crashes: history.crashes - 1 })
  const kind: FailureKind = isOutOfMemory(crash) ? 'memory' : 'crash'
  const message =
    `Cannot finish item ${nameItem(index, key)}: expected its worker to survive it, got ${crash.message} ` +
    `(${plural(crashes, 'time')}, and maxCrashes is ${run.maxCrashes})`
  job.settle(undefined, [rejectPlace(chunk, place, kind, new WorkerCrashError(message, { cause: crash }), today, 1)])
  return undefined
}
