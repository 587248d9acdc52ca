import { type Bench, hasBegunRun } from './bench.ts'
import { cursorOf, slotOf, takeTail } from './flight-recorder.ts'
import { isLate } from './late.ts'
import { cutPiece, type Piece } from './piece.ts'
import { DEPTH } from './seat.ts'

/** Which thread gets the next piece, and what is taken from one for another. */

/**
 * The bench for the next piece: the one with the least to do, but for those that are late. A suspect gets a worker that has run
 * nothing yet, if there is one: what others left behind in it must not be held against the suspect. `now` is on the clock's
 * monotonic time, in ms, here and below.
 */
export function leastBusy(benches: Iterable<Bench>, isSuspect: boolean, now: number): Bench | undefined {
  let best: Bench | undefined
  for (const bench of benches) {
    const load = bench.pieces.length
    if (bench.doom || load >= (isSuspect ? 1 : DEPTH) || bench.pieces[0]?.isAlone || isLate(bench, now)) continue
    const isBetter = isSuspect ? best?.isProven && !bench.isProven : load < (best?.pieces.length ?? DEPTH)
    if (!best || isBetter) best = bench
  }
  return best
}

/**
 * A tail worth less than this is not taken from its worker, in ms: to send it costs about a tenth of that. Set by
 * bench/chunk-size.bench.mjs.
 */
const MIN_STEAL_MS = 0.5

/**
 * Takes work that was not started yet from the bench with the most of it, for `thief`, as a piece of its own. A thread in which
 * the task is up takes first what was sent to one where it has yet to come up, and all of it: that takes longer than most
 * chunks, or for ever. What waits behind another run's item may wait for long, too, however short it is. A suspect stays in the
 * thread it has to itself until that is late.
 */
export function steal(benches: Iterable<Bench>, thief: Bench): Piece | undefined {
  let best: { bench: Bench; piece: Piece; from: number; worth: number } | undefined
  for (const bench of benches) {
    const [first] = bench.pieces
    for (const piece of bench.pieces) {
      const { run, context } = piece.job
      if (context.draining.aborted || bench.doom) continue
      const cursor = cursorOf(slotOf(bench.seat.cells, piece.slot))
      const rest = piece.end - Math.max(cursor, piece.settled - 1, -1) - 1
      const isRescue = !piece.isAlone && hasBegunRun(thief, run) && !hasBegunRun(bench, run)
      const length = isRescue ? rest : tailLength(rest, cursor >= 0, piece === first)
      const least = first?.job.run === run ? 0 : MIN_STEAL_MS
      const worth = isRescue ? Number.POSITIVE_INFINITY : Math.max(least, rest * (run.itemTime() || MIN_STEAL_MS))
      if (length > 0 && worth >= MIN_STEAL_MS && worth > (best?.worth ?? 0))
        best = { bench, piece, from: piece.end - length, worth }
    }
  }
  return best && take(best.bench, best.piece, best.from)
}

/**
 * Takes the places of `piece` from `from` on from its bench. Undefined when its worker may have claimed some of them, or there
 * are none.
 */
function take({ seat }: Bench, piece: Piece, from: number): Piece | undefined {
  if (!takeTail(slotOf(seat.cells, piece.slot), from)) return undefined
  const tail = cutPiece(piece, from, piece.end)
  piece.end = from
  return tail
}

/**
 * How much of the `rest` of a chunk to take: all of one that waits behind another, half of one that runs, and never the only item
 * of one that is about to.
 */
function tailLength(rest: number, isRunning: boolean, isFirst: boolean): number {
  if (!isRunning && !isFirst) return rest
  return isRunning ? Math.ceil(rest / 2) : Math.floor(rest / 2)
}

/**
 * Takes what can begin elsewhere from benches that are late, whether or not one is idle: where the source has no end, none may
 * ever be.
 */
export function takeBack(benches: Iterable<Bench>, now: number): Piece[] {
  const sound = [...benches].filter(({ doom }) => !doom)
  const late = sound.filter((bench) => isLate(bench, now))
  const others = sound.filter((bench) => !late.includes(bench))
  return late.flatMap((bench) => {
    const pieces = bench.pieces.filter((piece) => mayLeave(bench, piece) && others.some((other) => mayBegin(other, piece, bench)))
    return pieces.flatMap((piece) => {
      const taken = take(bench, piece, piece.settled)
      return taken ? { ...taken, wasTakenBack: true } : []
    })
  })
}

/**
 * From threads in which its task is up a piece is taken back once: one that takes long to be read would go to and fro for ever.
 */
function mayLeave(bench: Bench, { job, wasTakenBack }: Piece): boolean {
  return !wasTakenBack || !hasBegunRun(bench, job.run)
}

/**
 * Whether `piece` may begin on `other` before it does on `late`. Where its task has yet to come up as well it may be no sooner,
 * but all others may wait for a suspect, and what is behind another task does not wait for its own.
 */
function mayBegin(other: Bench, { job: { run }, isAlone }: Piece, late: Bench): boolean {
  if (hasBegunRun(other, run)) return true
  return (isAlone || late.pieces[0]?.job.run !== run) && !other.knows.has(run.number)
}
