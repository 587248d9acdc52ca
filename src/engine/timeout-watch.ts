import { type Bench, condemn, type Overdue } from './bench.ts'
import { cursorOf, isPacking, runningFor, sharedNow, slotOf } from './flight-recorder.ts'
import { watchStandstill } from './standstill.ts'

/** How often running items are compared with their `timeout`, in ms. Set against the promise to end a hung item within 50 ms. */
const WATCH_MS = 8

/**
 * So much longer than one `timeout` results may take to be packed, in ms: with a `timeout` of a few ms a thousand small ones
 * take longer together. As much as the promise to end what hangs within 50 ms leaves room for.
 */
const PACKING_MS = 20

/**
 * Ends threads whose item, or packing, takes longer than the `timeout` of its run. Time in which the process stood still does not
 * count.
 */
export interface TimeoutWatch {
  /** A piece with a timeout was sent. The watch goes on until no thread has one. */
  start(): void
  stop(): void
}

/** What a thread is at, and for how many ms of that the process stood still. */
interface Pardoned {
  readonly work: Overdue
  readonly time: number
}

export function createTimeoutWatch(benches: Iterable<Bench>): TimeoutWatch {
  let timer: NodeJS.Timeout | undefined
  let stoodStill = (_: number) => 0
  const pardons = new WeakMap<Bench, Pardoned>()
  const stop = () => {
    clearInterval(timer)
    timer = undefined
  }
  /**
   * How long `work` has been going on, the time left out in which the process stood still, `still` of that since the last look.
   */
  const timeOf = (bench: Bench, work: Overdue, elapsed: number, still: number) => {
    const known = pardons.get(bench)
    const before = known && isSame(known.work, work) ? known.time : 0
    const time = Math.min(before + still, elapsed) // It may have begun since the last look.
    if (time > before) pardons.set(bench, { work, time })
    return elapsed - time
  }
  const check = () => {
    const now = sharedNow()
    const still = stoodStill(now)
    let isWatching = false
    for (const bench of benches) {
      // The first one is the one that runs. One behind it, of another run, may be the only one with a timeout.
      isWatching ||= bench.pieces.some((it) => it.job.run.timeout !== undefined)
      const overdue = findOverdue(bench, now, (work, elapsed) => timeOf(bench, work, elapsed, still))
      if (overdue) condemn(bench, overdue)
    }
    if (!isWatching) stop()
  }
  return {
    start: () => {
      if (timer) return
      stoodStill = watchStandstill(sharedNow())
      timer = setInterval(check, WATCH_MS)
    },
    stop,
  }
}

/**
 * What a worker has been at for too long, in its oldest piece. `timeOf`: how much counts of the time that has passed since it
 * began.
 */
function findOverdue(
  { seat: { cells }, pieces, doom }: Bench,
  now: number,
  timeOf: (work: Overdue, elapsed: number) => number,
): Overdue | undefined {
  const piece = pieces[0]
  const timeout = piece?.job.run.timeout
  if (!piece || timeout === undefined || doom) return undefined
  const slot = slotOf(cells, piece.slot)
  const work = { piece, cursor: cursorOf(slot), isPacking: isPacking(slot) }
  if (!work.isPacking && (work.cursor < 0 || work.cursor >= piece.end)) return undefined // Also past the limit of a stop: what runs is let run, no longer than else.
  const allowed = work.isPacking ? timeout + PACKING_MS : timeout
  if (timeOf(work, runningFor(slot, now)) <= allowed) return undefined
  return isSame(work, { piece, cursor: cursorOf(slot), isPacking: isPacking(slot) }) ? work : undefined
}

function isSame(one: Overdue, other: Overdue): boolean {
  return one.piece === other.piece && one.cursor === other.cursor && one.isPacking === other.isPacking
}
