import { type Bench, condemn, type Overdue } from './bench.ts'
import { cursorOf, isPacking, limitOf, runningFor, sharedNow, slotOf } from './flight-recorder.ts'

/** How often running items are compared with their `timeout`, in ms. Set against the promise to end a hung item within 50 ms. */
const WATCH_MS = 8

/**
 * So much longer than one `timeout` results may take to be packed, in ms: with a `timeout` of a few ms a thousand small ones
 * take longer together. As much as the promise to end what hangs within 50 ms leaves room for.
 */
const PACKING_MS = 20

/** Ends threads whose item, or packing, takes longer than the `timeout` of its run. */
export interface TimeoutWatch {
  /** A piece with a timeout was sent. The watch goes on until no thread has one. */
  start(): void
  stop(): void
}

export function createTimeoutWatch(benches: Iterable<Bench>): TimeoutWatch {
  let timer: NodeJS.Timeout | undefined
  const stop = () => {
    clearInterval(timer)
    timer = undefined
  }
  const check = () => {
    const now = sharedNow()
    let isWatching = false
    for (const bench of benches) {
      // The first one is the one that runs. One behind it, of another run, may be the only one with a timeout.
      isWatching ||= bench.pieces.some((it) => it.job.run.timeout !== undefined)
      const overdue = findOverdue(bench, now)
      if (overdue) condemn(bench, overdue)
    }
    if (!isWatching) stop()
  }
  return {
    start: () => {
      timer ??= setInterval(check, WATCH_MS)
    },
    stop,
  }
}

/** What a worker has been at for too long, in its oldest piece. */
function findOverdue({ seat: { cells }, pieces, doom }: Bench, now: number): Overdue | undefined {
  const piece = pieces[0]
  const timeout = piece?.job.run.timeout
  if (!piece || timeout === undefined || doom) return undefined
  const slot = slotOf(cells, piece.slot)
  const cursor = cursorOf(slot)
  const isPacked = isPacking(slot)
  if (!isPacked && (cursor < 0 || cursor >= limitOf(slot))) return undefined
  if (runningFor(slot, now) <= (isPacked ? timeout + PACKING_MS : timeout)) return undefined
  return cursorOf(slot) === cursor && isPacking(slot) === isPacked ? { piece, cursor, isPacking: isPacked } : undefined
}
