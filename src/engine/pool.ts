import type { Piscina } from 'piscina'
import type { Clock } from '../clock.ts'
import { InvalidOptionError } from '../errors.ts'
import { type Bench, condemn, createBench, hasBegun, isUnheard, leastBusy, type Overdue, release, steal } from './bench.ts'
import { answerUnread, blame } from './blame.ts'
import type { Engine, EngineRun } from './engine.ts'
import { announceStop, cursorOf, isPacking, limitOf, prepare, runningFor, sharedNow, slotOf, stop } from './flight-recorder.ts'
import { createJob, createPiece, cutPiece, type JobRun, type Piece } from './job.ts'
import { settleUnclonable, toMessage } from './message.ts'
import { createPlaces } from './places.ts'
import type { PartMessage } from './protocol.ts'
import { stillbornError, unpackLoadError, untrueError } from './run-errors.ts'
import { DEPTH, openSeat, type SeatOptions } from './seat.ts'
import { settlePart } from './settle-part.ts'

/** Workers that die in a row before they start any item, after which the run ends: two could be bad luck with memory. */
const MAX_STILLBORN = 3

/**
 * A worker that answers so often in a row without having run anything is ended. Once may be chance: a tail was tried to be
 * taken as it began. Or a task put something in place of a built-in, and nothing runs there any more.
 */
const MAX_IDLED = 3

/** How often running items are compared with their `timeout`, in ms. Set against the promise to end a hung item within 50 ms. */
const WATCH_MS = 8

/**
 * So much longer than one `timeout` results may take to be packed, in ms: with a `timeout` of a few ms a thousand small ones
 * take longer together. As much as the promise to end what hangs within 50 ms leaves room for.
 */
const PACKING_MS = 20

/** After so many chunks that were lost while packed, and none of their items to blame, results of the run are packed one by one: once could be a pause of the machine. */
const MAX_UNEXPLAINED = 2

/** Runs chunks on worker threads. All that knows Piscina is here and in seat.ts. */
export function createPool(PiscinaClass: typeof Piscina, seatOptions: SeatOptions, clock: Clock): Engine {
  const benches = new Set<Bench>()
  /** Threads that are lost, but may not have ended altogether. */
  const endings = new Set<Promise<void>>()
  const places = createPlaces(0)
  const queue: Piece[] = []
  const runs = new Map<number, JobRun>()
  let target = 0
  let numbered = 0
  let stillborn = 0
  let isClosed = false
  let balancing: NodeJS.Immediate | undefined
  let watch: NodeJS.Timeout | undefined

  const open = () => {
    const bench = createBench((it) =>
      openSeat(PiscinaClass, seatOptions, {
        part: (part) => receive(it, part),
        lost: (error, code) => lose(it, error, code),
        unreadable: (error) => missed(it, error),
        unsent: (id, error) => refuse(it, id, error),
      }),
    )
    benches.add(bench)
  }

  const grow = (count: number) => {
    target = Math.max(target, count)
    while (benches.size < target && !isClosed) open()
    places.resize(target * DEPTH)
    advance()
  }

  /** Gives waiting pieces to workers with room, least busy first. */
  const advance = () => {
    while (queue.length > 0) {
      const piece = queue[0] as Piece
      if (benches.size < target && !isClosed) open()
      const bench = leastBusy(benches, piece.isAlone)
      if (!bench) break
      queue.shift()
      if (piece.job.isOver) continue
      send(bench, piece)
    }
    if (queue.length === 0) balancing ??= setImmediate(balance)
  }

  const send = (bench: Bench, piece: Piece) => {
    const { run } = piece.job
    piece.isSingly ||= run.unexplained >= MAX_UNEXPLAINED
    piece.slot = bench.freeSlots.pop() as number
    prepare(slotOf(bench.seat.cells, piece.slot), piece.chunk.items.length)
    bench.pieces.push(piece)
    const isNew = !bench.knows.has(run.number)
    bench.knows.add(run.number)
    run.tally.chunks++
    const began = clock.now()
    bench.seat.send(toMessage(piece, isNew, bench.forget.splice(0)))
    piece.sendTime = isNew ? undefined : clock.now() - began
    if (run.timeout !== undefined) watch ??= setInterval(checkTimeouts, WATCH_MS)
  }

  const receive = (bench: Bench, part: PartMessage) => {
    const piece = bench.pieces.find((it) => it.id === part.id)
    if (part.loadError) {
      failRuns(unpackLoadError(part), piece?.job.run)
      if (piece) release(bench, piece)
      return
    }
    if (!piece || isUnheard(bench)) return
    // A worker does what it is sent in turn.
    const fault = piece === bench.pieces[0] ? settlePart(piece, part, clock.today()) : 'an answer out of turn'
    if (fault !== undefined) {
      condemn(bench, bench.doom ?? untrueError(fault))
      return
    }
    if (part.end && part.to === 0 && piece.end > 0 && !piece.job.context.draining.aborted) bench.idled++
    else prove(bench)
    if (bench.idled >= MAX_IDLED) condemn(bench, 'idle')
    piece.job.run.observe({
      items: part.to - part.from,
      taskTime: part.taskTime,
      sendTime: part.from === 0 && part.to === piece.chunk.items.length ? piece.sendTime : undefined,
      packTime: part.packTime,
    })
    if (part.end) {
      release(bench, piece)
      if (part.to < piece.end) requeue([cutPiece(piece, part.to, piece.end)])
    }
    advance() // After a part as well: only now it may be known that the tail is worth being taken.
  }

  const prove = (bench: Bench) => {
    bench.isProven = true
    bench.idled = 0
    stillborn = 0
  }

  /** To the head of the queue, in order; what a drain overtook stays pending. */
  const requeue = (pieces: readonly Piece[]) => {
    const goOn = pieces.filter((piece) => {
      if (!piece.job.context.draining.aborted) return true
      piece.job.interrupt(piece.chunk.items.length)
      return false
    })
    queue.unshift(...goOn)
  }

  /** The thread is gone: whoever ran in it is a suspect, everybody else goes back. */
  const lose = (bench: Bench, error: Error | undefined, code: number) => {
    benches.delete(bench)
    const ending: Promise<void> = bench.seat.close().finally(() => endings.delete(ending))
    endings.add(ending)
    const verdict = blame(bench, error, code, clock.today())
    stillborn = hasBegun(bench) && bench.doom !== 'idle' ? 0 : stillborn + 1
    const suspect = verdict.suspectIndex
    for (const run of runs.values()) if (bench.knows.has(run.number)) run.workerExit(bench.seat.threadId, suspect, verdict.reason)
    requeue(verdict.again)
    if (isClosed) return
    if (stillborn >= MAX_STILLBORN) {
      stillborn = 0
      failRuns(stillbornError(verdict.reason, MAX_STILLBORN))
    }
    advance()
  }

  /** Of which items the results are, only the message would say: unless it can be but one, they are as good as lost. */
  const missed = (bench: Bench, cause: Error) => {
    const [piece] = bench.pieces
    const answer = piece && !isUnheard(bench) ? answerUnread(piece, cause) : undefined
    if (answer) receive(bench, answer)
    else if (!isUnheard(bench)) condemn(bench, 'unreadable')
  }

  /** A chunk that could not be cloned: its unclonable items fail, the others go on. */
  const refuse = (bench: Bench, id: number, error: Error) => {
    const piece = bench.pieces.find((it) => it.id === id)
    if (!piece) return
    release(bench, piece)
    bench.knows.delete(piece.job.run.number) // Its setup may have been in that message.
    const goOn = settleUnclonable(piece, error, clock.today())
    if (goOn) requeue(goOn)
    else {
      piece.job.context.fail(new InvalidOptionError('shared', 'a value that can be cloned', error.message))
      piece.job.interrupt(piece.chunk.items.length)
    }
    advance()
  }

  /** Ends `run`, or all runs when nobody knows whose fault it is. */
  const failRuns = (error: Error, run?: JobRun) => {
    for (const piece of [...queue, ...[...benches].flatMap((it) => it.pieces)]) {
      if (!run || piece.job.run === run) piece.job.fail(error)
    }
  }

  /** Halves the work of the busiest worker for each that has nothing, so that no tail waits behind a slow item. */
  const balance = () => {
    balancing = undefined
    for (const bench of benches) {
      if (queue.length > 0) return
      if (bench.pieces.length > 0 || bench.doom) continue
      const stolen = steal(benches)
      if (!stolen) return
      send(bench, stolen)
    }
  }

  const checkTimeouts = () => {
    const now = sharedNow()
    let isWatching = false
    for (const bench of benches) {
      // The first one is the one that runs. One behind it, of another run, may be the only one with a timeout.
      isWatching ||= bench.pieces.some((it) => it.job.run.timeout !== undefined)
      const piece = bench.pieces[0]
      const timeout = piece?.job.run.timeout
      if (!piece || timeout === undefined || bench.doom) continue
      const overdue = findOverdue(bench.seat.cells, piece, timeout, now)
      if (overdue) condemn(bench, overdue)
    }
    if (isWatching || queue.length > 0) return
    clearInterval(watch)
    watch = undefined
  }

  /** Stops what runs for `run` between two items, and after `drainTimeout` wherever it is. */
  const drain = (run: JobRun) => {
    for (const piece of queue.filter((it) => it.job.run === run)) {
      queue.splice(queue.indexOf(piece), 1)
      piece.job.interrupt(piece.chunk.items.length)
    }
    const running = () => [...benches].filter((bench) => bench.pieces.some((piece) => piece.job.run === run))
    for (const bench of running()) {
      for (const piece of bench.pieces.filter((it) => it.job.run === run)) {
        const slot = slotOf(bench.seat.cells, piece.slot)
        stop(slot)
        announceStop(slot)
      }
    }
    return setTimeout(() => {
      for (const bench of running()) condemn(bench, bench.doom ?? 'drain')
    }, run.drainTimeout)
  }

  const start = (options: Parameters<Engine['start']>[0]): EngineRun => {
    const run: JobRun = { ...options, number: ++numbered, unexplained: 0 }
    runs.set(run.number, run)
    let patience: NodeJS.Timeout | undefined
    let isListening = false
    return {
      dispatch: async (chunk, context) => {
        if (context.draining.aborted || chunk.items.length === 0) return { fulfilled: [], rejected: [] }
        const { job, done } = createJob(chunk, run, context)
        if (!isListening) {
          isListening = true
          context.draining.addEventListener(
            'abort',
            () => {
              if (runs.has(run.number)) patience = drain(run) // Nobody would end its timer after the run.
            },
            { once: true },
          )
        }
        queue.push(createPiece(job, chunk, chunk.alone))
        advance()
        return done
      },
      end: () => {
        clearTimeout(patience)
        runs.delete(run.number)
        for (const bench of benches) if (bench.knows.delete(run.number)) bench.forget.push(run.number)
      },
    } as EngineRun
  }

  return {
    places,
    get workers() {
      return benches.size
    },
    grow,
    up: () => Promise.race([...benches].map((bench) => bench.seat.up)),
    get hasBegun() {
      return [...benches].some(hasBegun)
    },
    start: start as Engine['start'],
    close: async () => {
      isClosed = true
      clearImmediate(balancing)
      clearInterval(watch)
      await Promise.all([...endings, ...[...benches].map((bench) => bench.seat.close())])
    },
  }
}

/** What the worker that keeps `cells` has been at for too long, in its oldest piece. */
function findOverdue(cells: Int32Array, piece: Piece, timeout: number, now: number): Overdue | undefined {
  const slot = slotOf(cells, piece.slot)
  const cursor = cursorOf(slot)
  const isPacked = isPacking(slot)
  if (!isPacked && (cursor < 0 || cursor >= limitOf(slot))) return undefined
  if (runningFor(slot, now) <= (isPacked ? timeout + PACKING_MS : timeout)) return undefined
  return cursorOf(slot) === cursor && isPacking(slot) === isPacked ? { piece, cursor, isPacking: isPacked } : undefined
}
