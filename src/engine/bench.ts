import { cursorOf, packedTo, slotOf, takeTail } from './flight-recorder.ts'
import { cutPiece, type JobRun, type Piece } from './job.ts'
import { DEPTH, type Seat } from './seat.ts'

/** A worker, and what it was sent, oldest first. */
export interface Bench {
  readonly seat: Seat
  readonly pieces: Piece[]
  readonly freeSlots: number[]
  /** Runs whose setup it has, and those of them that are over, which it has not been told yet. */
  readonly knows: Set<number>
  forget: number[]
  /** The piece with which it was sent what the runs of the executor share; undefined as long as it does not have that. */
  sharedBy: Piece['id'] | undefined
  /** How often in a row it answered without having run anything. */
  idled: number
  /** It began an item, or answered: its thread and its task came up. */
  isProven: boolean
  /** Runs of which it answered something: their tasks came up in it. */
  readonly ran: Set<number>
  /** As it was when `look` last saw it at nothing: its oldest piece, and how often in a row it was seen so since the first time. */
  still: { readonly piece: Piece; readonly settled: number; readonly looks: number } | undefined
  /**
   * Why the main thread ended it: an item, or the packing of what items gave, took too long; a drain; what it said of some
   * items of its oldest piece cannot be read: it is not heard any more; it runs nothing of what it is given; nobody waits any
   * more for its oldest piece, whose task is not up in it; it begins nothing more, though the task is up; or, an error, what it
   * said cannot be true: it is not heard any more either.
   */
  doom: Overdue | 'drain' | 'unreadable' | 'idle' | 'vain' | 'hung' | Error | undefined
}

/** What takes too long: the item at the cursor, or the packing of what the items up to the cursor gave. */
export interface Overdue {
  readonly piece: Piece
  readonly cursor: number
  readonly isPacking: boolean
}

/** A bench around the seat that `open` opens for it. */
export function createBench(open: (bench: Bench) => Seat): Bench {
  const bench = {
    seat: undefined as unknown as Seat,
    pieces: [],
    freeSlots: Array.from({ length: DEPTH }, (_, slot) => slot),
    knows: new Set<number>(),
    forget: [],
    sharedBy: undefined,
    idled: 0,
    isProven: false,
    ran: new Set<number>(),
    still: undefined,
    doom: undefined,
  }
  bench.seat = open(bench)
  return bench
}

/** Whether an item has begun on it. */
export function hasBegun({ isProven, pieces, seat }: Bench): boolean {
  return isProven || pieces.some((piece) => cursorOf(slotOf(seat.cells, piece.slot)) >= 0)
}

/** Whether an item of `run` has begun on it: an import may wait for ever in one thread, also in one that ran other tasks. */
export function hasBegunRun({ ran, pieces, seat }: Bench, run: JobRun): boolean {
  return ran.has(run.number) || pieces.some((it) => it.job.run === run && cursorOf(slotOf(seat.cells, it.slot)) >= 0)
}

/**
 * So long a task may take to come up in a thread, in ms, longer than most take: an import may wait for ever. Then what the
 * thread was sent goes to others. Lower, and a suspect is sooner blamed for what others left behind in the thread it gets.
 */
export const LATE_MS = 2000

/** Whether it is late with its oldest piece: it had LATE_MS for that, and has begun nothing of the run, or nothing more. */
function isLate(bench: Bench, now: number): boolean {
  const [first] = bench.pieces
  if (first?.since === undefined) return false
  return (now - first.since >= LATE_MS && !hasBegunRun(bench, first.job.run)) || stillFor(bench) >= LATE_MS
}

/** How often `look` sees to a thread, in ms. */
export const LOOK_MS = LATE_MS / 4

/**
 * Sees whether a thread is at something; to be called every LOOK_MS. Looks are counted, and no time is read: while the main
 * thread was kept from the event loop, or the process stopped, there were none, and the thread may have stood as well.
 */
export function look(bench: Bench): void {
  const looks = (stillSince(bench)?.looks ?? -1) + 1
  const [piece] = bench.pieces
  bench.still = piece && isBetween(bench, piece) ? { piece, settled: piece.settled, looks } : undefined
}

/** Whether it has answered what it ran of its oldest piece, if anything, and has begun nothing since. */
function isBetween({ seat }: Bench, first: Piece): boolean {
  return cursorOf(slotOf(seat.cells, first.slot)) < first.settled
}

/** As it was when `look` last saw it, if it has been at nothing since. */
function stillSince(bench: Bench): Bench['still'] {
  const { still } = bench
  const [first] = bench.pieces
  return first && still?.piece === first && still.settled === first.settled && isBetween(bench, first) ? still : undefined
}

/** How long it has been at nothing of its oldest piece, in ms, as far as was looked. */
function stillFor(bench: Bench): number {
  return (stillSince(bench)?.looks ?? 0) * LOOK_MS
}

/**
 * So long a thread may begin nothing of what it was sent where its task is up, in ms, unless a shorter `timeout` says how soon
 * what hangs is to be ended. What items left behind runs there, such as a timer, and may run for ever. Lower, and a thread is
 * ended that only takes long to read what it was sent; a fresh one is given its time for that.
 */
export const HUNG_MS = 10_000

/** Whether something else than items runs in it, and has for too long: no item is to blame, as nobody can tell who left it behind. */
export function isHung(bench: Bench): boolean {
  const [first] = bench.pieces
  if (!first || bench.doom || !hasBegunRun(bench, first.job.run)) return false
  const { timeout = HUNG_MS } = first.job.run
  return stillFor(bench) >= Math.min(Math.max(timeout, LATE_MS), HUNG_MS)
}

/**
 * So long a task may go on loading when its run is over, in ms: what takes seconds is then up for the next run. Higher, and
 * other runs have a thread less for longer, where it never comes up.
 */
export const VAIN_MS = 10_000

/** Whether all it is at is to load the task of a run that has been over for long. */
export function isVain({ doom, pieces: [first], seat }: Bench, now: number): boolean {
  const endedAt = first?.job.run.endedAt
  if (!first || endedAt === undefined || doom) return false
  return now - Math.max(endedAt, first.since ?? now) >= VAIN_MS && cursorOf(slotOf(seat.cells, first.slot)) < 0
}

/** Ends the thread of a bench, for `doom`. */
export function condemn(bench: Bench, doom: NonNullable<Bench['doom']>): void {
  bench.doom = doom
  bench.seat.kill()
}

/** Whether it is heard no more: what it said can be no answer. */
export function isUnheard({ doom }: Bench): boolean {
  return doom === 'unreadable' || doom instanceof Error
}

/** One past the last place of `piece` whose results its worker, which keeps `cells`, is on the way with; 0 when it is not. */
export function packedPlaces(cells: Int32Array, piece: Piece): number {
  return Math.min(packedTo(slotOf(cells, piece.slot), piece.chunk.items.length), piece.end)
}

/** Puts a piece that has ended, or could not be sent, off its bench; `now` is on the clock's monotonic time, in ms. */
export function release(bench: Bench, piece: Piece, now: number): void {
  bench.pieces.splice(bench.pieces.indexOf(piece), 1)
  bench.freeSlots.push(piece.slot)
  const [next] = bench.pieces
  if (!next) bench.seat.rest()
  else if (next.isVain) condemn(bench, bench.doom ?? 'vain')
  else next.since ??= now
}

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

/** A tail worth less than this is not taken from its worker, in ms: to send it costs about a tenth of that. Set by bench/chunk-size.bench.mjs. */
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

/** Takes the places of `piece` from `from` on from its bench. Undefined when its worker may have claimed some of them, or there are none. */
function take({ seat }: Bench, piece: Piece, from: number): Piece | undefined {
  if (!takeTail(slotOf(seat.cells, piece.slot), from)) return undefined
  const tail = cutPiece(piece, from, piece.end)
  piece.end = from
  return tail
}

/** How much of the `rest` of a chunk to take: all of one that waits behind another, half of one that runs, and never the only item of one that is about to. */
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

/** From threads in which its task is up a piece is taken back once: one that takes long to be read would go to and fro for ever. */
function mayLeave(bench: Bench, { job, wasTakenBack }: Piece): boolean {
  return !wasTakenBack || !hasBegunRun(bench, job.run)
}

/**
 * Whether `piece` may begin on `other` before it does on `late`. Where its task has yet to come up as well it may be no sooner, but
 * all others may wait for a suspect, and what is behind another task does not wait for its own.
 */
function mayBegin(other: Bench, { job: { run }, isAlone }: Piece, late: Bench): boolean {
  if (hasBegunRun(other, run)) return true
  return (isAlone || late.pieces[0]?.job.run !== run) && !other.knows.has(run.number)
}
