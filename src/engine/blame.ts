import { packError } from '../carried-error.ts'
import { nameItem, plural, TaskTimeoutError, WorkerCrashError } from '../errors.ts'
import { countCrashes, historyAt } from '../items/chunk.ts'
import type { FailureKind } from '../types.ts'
import { option, type Words, worded, wording } from '../wording.ts'
import { type Bench, type Overdue, packedPlaces } from './bench.ts'
import { begunTo, cursorOf, isAwaited, isPacking, limitOf, slotOf } from './flight-recorder.ts'
import type { JobRun } from './job.ts'
import { cutPiece, nextHistory, type Piece, rejectPlace, startAnew, suspectOf } from './piece.ts'
import type { PartMessage } from './protocol.ts'
import { unreadableError } from './run-errors.ts'
import type { Seat } from './seat.ts'

/** A worker that is gone. */
interface LostWorker {
  readonly seat: Pick<Seat, 'cells' | 'threadId'>
  readonly pieces: readonly Piece[]
  readonly doom: Bench['doom']
  /** It has answered before. */
  readonly isProven: boolean
}

export interface Blame {
  /** What is to be run again, suspects first. */
  readonly again: readonly Piece[]
  /** The item it died in, of whichever run; undefined when it is none, or cannot be told. */
  readonly suspect: { readonly run: JobRun; readonly index: number } | undefined
  readonly reason: Error
}

/**
 * Finds the item a worker died in, by its flight recorder, and settles it or sends it back to be tried alone. The
 * items around it are innocent: those behind it did not start, those before it ended, and only their results are lost.
 *
 * An exception that surfaces after its item settled (a forgotten timer) hits whichever item runs by then: that one is
 * only a suspect, and alone in a fresh worker it clears itself.
 *
 * Results that leave a worker together are packed together, and one of them may be the end of it: a getter that loops or
 * ends the process. Which one nobody can see from outside, so the same items run once more and are answered one by one. Or
 * nobody is to blame: together they are too large for the memory, or for one `timeout`; one by one they come through. So it is
 * with results that arrived and cannot be read. An answer that cannot be true is a deed of a task: the same pass finds whose, and
 * that counts as a crash.
 */
export function blame(worker: LostWorker, error: Error | undefined, exitCode: number | undefined, today: number): Blame {
  let reason = reasonOf(worker, error, exitCode)
  const suspects: Piece[] = []
  const innocents: Piece[] = []
  let suspect: Blame['suspect']
  for (const piece of worker.pieces) {
    const trace = traceOf(worker, piece)
    const { settled, job } = piece
    const isFound = suspects.length > 0 || suspect !== undefined
    const culprit = isFound ? 'none' : accuse(worker, piece, trace)
    // Of those answered one by one it is the next that was to be answered, whatever else began meanwhile.
    const place = trace.state === 'untrue' && piece.isSingly ? settled : trace.end - 1
    if (culprit === 'some') suspects.push(startAnew(piece, settled, trace.end, true))
    else if (culprit === 'none') innocents.push(...loseResults(worker, piece, settled, trace.end))
    else innocents.push(...loseResults(worker, piece, settled, place), ...loseResults(worker, piece, place + 1, trace.end))
    if (trace.state === 'unreadable') piece.isSingly = true // Where one is, there may be more.
    if (trace.end < piece.end) innocents.push(cutPiece(piece, trace.end, piece.end))
    if (culprit !== 'none' && trace.state !== 'running') explain(job.run, culprit === 'some')
    if (culprit !== 'one') continue
    suspect = { run: job.run, index: piece.chunk.indices[place] as number }
    if (worker.doom === undefined || trace.state === 'untrue') {
      const crash = { reason, advice: adviceOn(worker, error) }
      const again = charge(piece, place, crash, isSure(worker, error, piece, place), today)
      if (again) suspects.push(again)
    } else reason = timeOut(piece, place, exitCode === undefined, today)
  }
  return { again: [...suspects, ...innocents], suspect, reason }
}

/** How far a worker came with a piece. */
interface Trace {
  /** The places from `settled` to before this one were begun, and nothing came of them. */
  readonly end: number
  /**
   * What it was at when it ended: the last of them, the packing of what all of them gave, or what it sent of them cannot be read
   * or be true.
   */
  readonly state: 'waiting' | 'running' | 'packing' | 'unreadable' | 'untrue'
}

function reasonOf({ doom }: LostWorker, error: Error | undefined, exitCode: number | undefined): Error {
  if (doom instanceof Error) return doom
  if (error) return error
  if (doom === undefined) return new Error(`the worker thread ended with exit code ${exitCode}`)
  if (typeof doom === 'object') return new Error("the worker was ended: what its items gave was not packed within 'timeout'")
  return new Error(DOOMS[doom])
}

/** What to do about an item that ends its worker so. Of an exception that nobody caught its own message tells. */
function adviceOn({ doom }: LostWorker, error: Error | undefined): Words {
  if (doom !== undefined) return ''
  if (error === undefined) return '. If its task called process.exit, which ends the thread, have it throw an error instead'
  if (!isOutOfMemory(error)) return ''
  return wording`. Give workers more heap by ${option('resourceLimits.maxOldGenerationSizeMb')}, perhaps with fewer of them`
}

/** Why a worker was ended, when no item is to blame. */
const DOOMS = {
  drain: "the worker was ended: what it ran did not end within 'drainTimeout'",
  unreadable: 'the worker was ended: what it sent cannot be read',
  idle: 'the worker ran none of the items it was given',
  hung: 'the worker was ended: it ran none of the next items, and something that earlier ones left behind instead, such as a timer',
  vain: 'the worker was ended: it was loading the task of a run that is over, or was told to stop',
} as const

function traceOf({ seat: { cells }, doom, pieces }: LostWorker, piece: Piece): Trace {
  const slot = slotOf(cells, piece.slot)
  const cursor = cursorOf(slot)
  const begun = Math.min(piece.end, begunTo(slot, piece.chunk.items.length))
  // It may say that it is nowhere; but something it said, of what comes next.
  if (doom instanceof Error && piece === pieces[0] && piece.settled < piece.end)
    return { end: Math.max(begun, piece.settled + 1), state: 'untrue' }
  if (doom === 'unreadable' && piece === pieces[0] && begun > piece.settled) return { end: begun, state: 'unreadable' }
  const packed = packedPlaces(cells, piece)
  if (packed > piece.settled) return { end: packed, state: 'packing' }
  const isRunning = cursor >= piece.settled && cursor < (isOverdue(doom, piece) ? piece.end : Math.min(piece.end, limitOf(slot)))
  return isRunning ? { end: begun, state: 'running' } : { end: piece.settled, state: 'waiting' }
}

/** Which of the places that were begun may have ended the worker: none of them, only one, or one of some. */
function accuse({ seat, doom }: LostWorker, piece: Piece, { end, state }: Trace): 'none' | 'one' | 'some' {
  if (state === 'waiting') return 'none'
  if (state === 'unreadable') return 'some' // Also of one: it did its worker no harm, and fails as what it is when it is answered by itself.
  const isPacked = state === 'packing' || state === 'untrue'
  if (state !== 'untrue' && doom !== undefined && !isDoomed(doom, piece, cursorOf(slotOf(seat.cells, piece.slot)), isPacked))
    return 'none'
  return isPacked && end - piece.settled > 1 && !piece.isSingly ? 'some' : 'one'
}

/** The places [from, end) of `piece`, which began, once more: a drain holds nothing against them. */
function loseResults({ doom }: LostWorker, piece: Piece, from: number, end: number): Piece[] {
  if (end <= from) return []
  return [doom === 'drain' ? cutPiece(piece, from, end) : startAnew(piece, from, end)]
}

/**
 * Whether it can be nobody but the item at `place`. What is thrown outside of any item may be what an earlier one left behind,
 * and so may be what spoils an answer, or ends the thread while the item is awaited. Packing lets nothing of that in between.
 */
function isSure({ seat, doom, isProven }: LostWorker, error: Error | undefined, piece: Piece, place: number): boolean {
  const isToItself = piece.isAlone || (place === 0 && !isProven)
  if (doom instanceof Error || isToItself) return isToItself
  const slot = slotOf(seat.cells, piece.slot)
  if (isPacking(slot)) return true
  return error === undefined ? !isAwaited(slot, place) : isOutOfMemory(error)
}

/**
 * What the worker of `piece` said when its next answer cannot be read: that the item it is of failed. Undefined when it may be
 * of more than one.
 */
export function answerUnread(piece: Piece, cause: Error): PartMessage | undefined {
  const { id, chunk, settled, isSingly } = piece
  const to = settled + 1
  const end = to === chunk.items.length
  if (!isSingly && !end) return undefined
  if (isSingly) explain(piece.job.run, false)
  const error = packError(unreadableError(nameItem(chunk.indices[settled] as number, chunk.keys?.[settled]), cause))
  const taskTime = piece.job.run.itemTime() // As far as anybody can tell.
  return { id, from: settled, to, end, taskTime, rejected: [{ place: settled, kind: 'serialization', error }] }
}

/** The main thread ended the worker because of this very item, or packing, which did not end in the meantime. */
function isDoomed(doom: LostWorker['doom'], piece: Piece, cursor: number, isPacked: boolean): boolean {
  return isOverdue(doom, piece) && doom.cursor === cursor && doom.isPacking === isPacked
}

/**
 * The main thread ended the worker because of something in `piece` that took too long: a stop, which counts for nothing else,
 * does not excuse it.
 */
function isOverdue(doom: LostWorker['doom'], piece: Piece): doom is Overdue {
  return typeof doom === 'object' && !(doom instanceof Error) && doom.piece === piece
}

/** Counts a chunk that was lost while packed, and it is unclear why, or an item that was found to be why. */
function explain(run: JobRun, isUnclear: boolean): void {
  run.unexplained = Math.max(0, run.unexplained + (isUnclear ? 1 : -1))
}

function isOutOfMemory(error: Error): boolean {
  return (error as { code?: unknown }).code === 'ERR_WORKER_OUT_OF_MEMORY'
}

/**
 * Counts the attempt that took too long, and settles its item with the reason it gives. `isAtWork`: it goes on, as its thread
 * cannot be ended.
 */
function timeOut({ chunk, job }: Piece, place: number, isAtWork: boolean, today: number): TaskTimeoutError {
  const { run } = job
  run.tally.attempts++
  run.tally.timeouts++
  const index = chunk.indices[place] as number
  const reason = new TaskTimeoutError(index, chunk.keys?.[place] ?? String(index), run.timeout as number, isAtWork)
  job.settle(undefined, [rejectPlace(chunk, place, 'timeout', reason, today)])
  return reason
}

/**
 * Counts the attempt that ended the worker. Gives the item as a suspect, or nothing when it has settled: one that may be
 * innocent is never given up before it had a worker to itself.
 */
function charge(
  piece: Piece,
  place: number,
  { reason: cause, advice }: { readonly reason: Error; readonly advice: Words },
  isSure: boolean,
  today: number,
): Piece | undefined {
  const { chunk, job } = piece
  const { run } = job
  run.tally.attempts++
  const key = chunk.keys?.[place]
  const index = chunk.indices[place] as number
  run.tally.crashes++
  const history = nextHistory(historyAt(chunk, place), 1, today)
  const crashes = countCrashes(history)
  if (crashes < run.maxCrashes) return suspectOf(piece, place, history)
  if (!isSure) return suspectOf(piece, place, { ...history, crashes: history.crashes - 1 })
  const kind: FailureKind = isOutOfMemory(cause) ? 'memory' : 'crash'
  const words = wording`Cannot finish item ${nameItem(index, key)}: expected its worker to survive it, got ${cause.message} (${plural(crashes, 'time')}, and ${option('maxCrashes', 'maxCrashes')} is ${run.maxCrashes})${advice}`
  const reason = worded(words, (message) => new WorkerCrashError(message, { cause }))
  job.settle(undefined, [rejectPlace(chunk, place, kind, reason, today, 1)])
  return undefined
}
