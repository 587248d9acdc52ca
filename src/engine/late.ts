import { type Bench, hasBegunRun } from './bench.ts'
import { cursorOf, isTakenUp, slotOf } from './flight-recorder.ts'
import type { Piece } from './piece.ts'

/** Threads that run nothing of what they were sent: late ones, which others may help out, and such as are to be ended. */

/**
 * So long a task may take to come up in a thread, in ms, longer than most take: an import may wait for ever. Then what the
 * thread was sent goes to others. Lower, and a suspect is sooner blamed for what others left behind in the thread it gets.
 */
export const LATE_MS = 2000

/** Whether it is late with its oldest piece: it had LATE_MS for that, and has begun nothing of the run, or nothing more. */
export function isLate(bench: Bench, now: number): boolean {
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
 * Whether it has answered before, and is not yet at its oldest piece: nothing is in front of that but what earlier items left
 * behind, and no task is being loaded. A thread that has answered nothing may still be on its way up.
 */
export function isDeaf({ isProven, pieces: [first], seat }: Bench): boolean {
  return isProven && first !== undefined && !isTakenUp(slotOf(seat.cells, first.slot))
}

/**
 * So long a thread may begin nothing of what it was sent where its task is up, or be deaf to it, in ms, unless a shorter
 * `timeout` says how soon what hangs is to be ended. What items left behind runs there, such as a timer, and may run for ever.
 * Lower, and a thread is ended that only takes long to read what it was sent; a fresh one is given its time for that.
 */
export const HUNG_MS = 10_000

/**
 * Whether something else than items runs in it, and has for too long: no item is to blame, as nobody can tell who left it behind.
 */
export function isHung(bench: Bench): boolean {
  const [first] = bench.pieces
  if (!first || bench.doom) return false
  const isUp = hasBegunRun(bench, first.job.run)
  if (!isUp && !isDeaf(bench)) return false
  const { timeout = HUNG_MS, setup } = first.job.run
  if (!isUp && setup.shared !== undefined) return stillFor(bench) >= HUNG_MS // What is shared may take longer to read than any item.
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
