import type { Piscina } from 'piscina'
import { unpackError } from '../carried-error.ts'
import { attemptsBefore } from '../chunk.ts'
import type { Clock } from '../clock.ts'
import { InvalidOptionError, TaskLoadError } from '../errors.ts'
import type { WorkerLimits } from '../options.ts'
import type { Chunk } from '../types.ts'
import { blame } from './blame.ts'
import type { Engine, EngineRun } from './engine.ts'
import { announceStop, cursorOf, limitOf, prepare, runningFor, sharedNow, slotOf, stop, takeTail } from './flight-recorder.ts'
import { createJob, createPiece, cutPiece, type JobRun, type Piece, rejectPlace, settlePart } from './job.ts'
import { refuseItem } from './part.ts'
import { createPlaces } from './places.ts'
import type { PartMessage } from './protocol.ts'
import { DEPTH, openSeat, type Seat } from './seat.ts'

/** A worker, and what it was sent, oldest first. */
interface Bench {
  seat: Seat
  readonly pieces: Piece[]
  readonly freeSlots: number[]
  /** Runs whose setup it has. */
  readonly knows: Set<number>
  /** It began an item, or answered: its thread and its task came up. */
  isProven: boolean
  /** Why the main thread ended it: the piece and place that ran too long, or a drain. */
  doom: { readonly piece: Piece; readonly place: number } | 'drain' | undefined
}

/** Workers that die in a row before they start any item, after which the run ends: two could be bad luck with memory. */
const MAX_STILLBORN = 3

/** How often running items are compared with their `timeout`, in ms. Set against the promise to end a hung item within 50 ms. */
const WATCH_MS = 8

/** A tail worth less than this is not taken from its worker, in ms: to send it costs about a tenth of that. Set by bench/chunk-size.bench.mjs. */
const MIN_STEAL_MS = 0.5

/** Runs chunks on worker threads. All that knows Piscina is here and in seat.ts. */
export function createPool(PiscinaClass: typeof Piscina, resourceLimits: WorkerLimits | undefined, clock: Clock): Engine {
  const benches = new Set<Bench>()
  const places = createPlaces(0)
  const queue: Piece[] = []
  const runs = new Map<number, JobRun>()
  const ended: number[] = []
  let target = 0
  let numbered = 0
  let stillborn = 0
  let isClosed = false
  let balancing: NodeJS.Immediate | undefined
  let watch: NodeJS.Timeout | undefined

  const open = () => {
    const bench: Bench = {
      seat: undefined as unknown as Seat,
      pieces: [],
      freeSlots: Array.from({ length: DEPTH }, (_, slot) => slot),
      knows: new Set(),
      isProven: false,
      doom: undefined,
    }
    bench.seat = openSeat(PiscinaClass, resourceLimits, {
      part: (part) => receive(bench, part),
      lost: (error, code) => lose(bench, error, code),
      unsent: (id, error) => refuse(bench, id, error),
    })
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
      const bench = leastBusy(piece.isAlone)
      if (!bench) break
      queue.shift()
      if (piece.job.isOver) continue
      send(bench, piece)
    }
    if (queue.length === 0) balancing ??= setImmediate(balance)
  }

  const leastBusy = (mustBeEmpty: boolean): Bench | undefined => {
    let best: Bench | undefined
    for (const bench of benches) {
      const load = bench.pieces.length
      if (bench.doom || load >= (mustBeEmpty ? 1 : DEPTH) || bench.pieces[0]?.isAlone) continue
      if (!best || load < best.pieces.length) best = bench
    }
    return best
  }

  const send = (bench: Bench, piece: Piece) => {
    const { run } = piece.job
    piece.slot = bench.freeSlots.pop() as number
    prepare(slotOf(bench.seat.cells, piece.slot), piece.chunk.items.length)
    bench.pieces.push(piece)
    const isNew = !bench.knows.has(run.number)
    bench.knows.add(run.number)
    run.tally.chunks++
    const began = clock.now()
    bench.seat.send({
      id: piece.id,
      run: run.number,
      setup: isNew ? { ...run.setup, run: run.number } : undefined,
      ended: ended.filter((it) => bench.knows.delete(it)),
      slot: piece.slot,
      items: numbersTogether(piece.chunk.items),
      indices: indicesTogether(piece.chunk.indices),
      keys: piece.chunk.keys,
      attempts: attemptsBefore(piece.chunk),
    })
    piece.sendTime = isNew ? undefined : clock.now() - began
    if (run.timeout !== undefined) watch ??= setInterval(checkTimeouts, WATCH_MS)
  }

  const receive = (bench: Bench, part: PartMessage) => {
    const piece = bench.pieces.find((it) => it.id === part.id)
    if (part.loadError) failRuns(unpackLoadError(part), piece?.job.run)
    if (part.loadError || !piece) return
    prove(bench)
    settlePart(piece, part, clock.today())
    piece.job.run.observe({
      items: part.to - part.from,
      taskTime: part.taskTime,
      sendTime: part.from === 0 && part.to === piece.chunk.items.length ? piece.sendTime : undefined,
    })
    if (!part.end) return
    release(bench, piece)
    if (part.to < piece.end) requeue([cutPiece(piece, part.to, piece.end)])
    advance()
  }

  const prove = (bench: Bench) => {
    bench.isProven = true
    stillborn = 0
  }

  const release = (bench: Bench, piece: Piece) => {
    bench.pieces.splice(bench.pieces.indexOf(piece), 1)
    bench.freeSlots.push(piece.slot)
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
    const verdict = blame(bench, error, code, clock.today())
    if (verdict.started) bench.isProven = true
    stillborn = bench.isProven ? 0 : stillborn + 1
    const suspect = verdict.suspectIndex
    for (const run of runs.values()) if (bench.knows.has(run.number)) run.workerExit(bench.seat.threadId, suspect, verdict.reason)
    requeue(verdict.again)
    if (isClosed) return
    if (stillborn >= MAX_STILLBORN) failRuns(stillbornError(verdict.reason))
    else if (benches.size < target) open()
    advance()
  }

  /** A chunk that could not be cloned: its unclonable items fail, the others go on. */
  const refuse = (bench: Bench, id: number, error: Error) => {
    const piece = bench.pieces.find((it) => it.id === id)
    if (!piece) return
    release(bench, piece)
    bench.knows.delete(piece.job.run.number) // Its setup may have been in that message.
    const { chunk, job } = piece
    const bad = unclonable(chunk)
    if (bad.size === 0) {
      job.context.fail(new InvalidOptionError('shared', 'a value that can be cloned', error.message))
      job.interrupt(chunk.items.length)
      return
    }
    const rejections = [...bad].map(([place, cause]) => {
      const reason = refuseItem(chunk.indices[place] as number, chunk.keys?.[place], cause)
      return rejectPlace(chunk, place, 'serialization', reason, clock.today())
    })
    job.settle(undefined, rejections)
    const goOn: Piece[] = []
    for (let from = 0, place = 0; place <= chunk.items.length; place++) {
      if (place < chunk.items.length && !bad.has(place)) continue
      if (place > from) goOn.push(cutPiece(piece, from, place))
      from = place + 1
    }
    requeue(goOn)
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
      const stolen = steal()
      if (!stolen) return
      send(bench, stolen)
    }
  }

  const steal = (): Piece | undefined => {
    let best: { bench: Bench; piece: Piece; rest: number; worth: number } | undefined
    for (const bench of benches) {
      for (const piece of bench.pieces) {
        if (piece.job.context.draining.aborted || bench.doom) continue
        const rest = piece.end - Math.max(cursorOf(slotOf(bench.seat.cells, piece.slot)), piece.settled - 1, -1) - 1
        const worth = rest * (piece.job.run.itemTime() || MIN_STEAL_MS)
        if (rest > 0 && worth >= MIN_STEAL_MS && worth > (best?.worth ?? 0)) best = { bench, piece, rest, worth }
      }
    }
    if (!best) return undefined
    const { bench, piece, rest } = best
    // A chunk that has not begun waits behind another one, so all of it can go; of a running one, the further half.
    const slot = slotOf(bench.seat.cells, piece.slot)
    const from = cursorOf(slot) < 0 && piece !== bench.pieces[0] ? piece.settled : piece.end - Math.ceil(rest / 2)
    if (from >= limitOf(slot) || !takeTail(slot, from)) return undefined
    const tail = cutPiece(piece, from, piece.end)
    piece.end = from
    return tail
  }

  const checkTimeouts = () => {
    const now = sharedNow()
    let isWatching = false
    for (const bench of benches) {
      const piece = bench.pieces[0]
      const timeout = piece?.job.run.timeout
      if (!piece || timeout === undefined) continue
      isWatching = true
      const slot = slotOf(bench.seat.cells, piece.slot)
      const place = cursorOf(slot)
      if (place < 0 || place >= limitOf(slot) || bench.doom) continue
      if (runningFor(slot, now) > timeout && cursorOf(slot) === place) {
        bench.doom = { piece, place }
        bench.seat.kill()
      }
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
      for (const bench of running()) {
        bench.doom ??= 'drain'
        bench.seat.kill()
      }
    }, run.drainTimeout)
  }

  const start = (options: Parameters<Engine['start']>[0]): EngineRun => {
    const run: JobRun = { ...options, number: ++numbered }
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
              patience = drain(run)
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
        ended.push(run.number)
      },
    } as EngineRun
  }

  return {
    places,
    get workers() {
      return benches.size
    },
    grow,
    start: start as Engine['start'],
    close: async () => {
      isClosed = true
      clearImmediate(balancing)
      clearInterval(watch)
      await Promise.all([...benches].map((bench) => bench.seat.close()))
    },
  }
}

/** A column of numbers as one block of memory, which is copied as such. */
function numbersTogether(items: ArrayLike<unknown>): ArrayLike<unknown> {
  if (!Array.isArray(items)) return items
  for (let place = 0; place < items.length; place++) if (typeof items[place] !== 'number') return items
  return new Float64Array(items as number[])
}

/** Indices that follow one another say all by their first. Others are copied, for a view would take its whole buffer along. */
function indicesTogether(indices: Uint32Array): Uint32Array | number {
  const first = indices[0] as number
  return indices[indices.length - 1] === first + indices.length - 1 ? first : indices.slice()
}

/** The places whose items structured clone refuses. */
function unclonable(chunk: Chunk): Map<number, Error> {
  const bad = new Map<number, Error>()
  for (let place = 0; place < chunk.items.length; place++) {
    try {
      structuredClone(chunk.items[place])
    } catch (error) {
      bad.set(place, error as Error)
    }
  }
  return bad
}

function unpackLoadError(part: PartMessage): TaskLoadError {
  const carried = part.loadError
  const error = carried ? unpackError(carried) : new Error('unknown')
  return new TaskLoadError(error.message, { cause: error.cause ?? error })
}

function stillbornError(cause: Error): TaskLoadError {
  return new TaskLoadError(
    `Cannot start a worker: expected it to load the task, got ${MAX_STILLBORN} workers in a row that ended before any item began (${cause.message}). ` +
      "See what the task's module does when it is imported, and whether 'resourceLimits' leave it enough memory",
    { cause },
  )
}
