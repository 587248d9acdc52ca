import { cursorOf, packedTo, slotOf } from './flight-recorder.ts'
import type { JobRun } from './job.ts'
import type { Piece } from './piece.ts'
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
  /**
   * As it was when `look` last saw it at nothing: its oldest piece, and how often in a row it was seen so since the first time.
   */
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
