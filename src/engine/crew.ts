import type { Clock } from '../clock.ts'
import { inATurn, SLICE_MS } from '../turn.ts'
import { leastBusy, steal, takeBack } from './balance.ts'
import { type Bench, condemn, createBench } from './bench.ts'
import { prepare, slotOf } from './flight-recorder.ts'
import type { JobRun } from './job.ts'
import { isHung, isVain, LOOK_MS, look } from './late.ts'
import { toMessage } from './message.ts'
import { interruptPiece, type Piece } from './piece.ts'
import { createPlaces } from './places.ts'
import type { RunSetup } from './protocol.ts'
import { DEPTH, type Seat } from './seat.ts'
import { isRefusal, MAX_TRIES, noThreadError, Shortage, StuckError } from './shortage.ts'
import { createTimeoutWatch } from './timeout-watch.ts'

/**
 * After so many chunks that were lost while packed, and none of their items to blame, results of the run are packed one by one:
 * once could be a pause of the machine.
 */
const MAX_UNEXPLAINED = 2

/** The threads of a pool and the pieces that wait for one: decides which piece goes to which thread, and sends it. */
export class Crew {
  readonly places = createPlaces(0)
  readonly #benches = new Set<Bench>()
  #queue: Piece[] = []
  readonly #timeouts = createTimeoutWatch(this.#benches)
  readonly #openSeat: (bench: Bench) => Seat
  readonly #clock: Clock
  readonly #onShortage: JobRun['onShortage']
  readonly #shortage = new Shortage(() => this.advance())
  readonly #mostStuck: () => number
  /** Threads that were told to end and do not come to it. */
  #stuck = 0
  /** Threads that are lost, but may not have ended altogether. */
  readonly #endings = new Set<Promise<void>>()
  #target = 0
  /** As long as the event loop has not turned since something happened here, at `#turnBegan` on the clock's monotonic time, in ms. */
  #stopTurning: (() => void) | undefined
  #turnBegan = 0
  /** The one whose messages are being taken: it answered last in this turn. */
  #answering: Bench | undefined
  /** It is sent nothing more before the event loop has turned. */
  #isHeld = false
  /** Goes off when threads are to be looked at. */
  #looking: NodeJS.Timeout | undefined
  #isClosed = false

  /**
   * `onShortage`: called when there are `count` threads, and no room for as many as are wanted. `mostStuck`: of threads that do
   * not come to their end so many are replaced, and as many as there may be at work if that is more.
   */
  constructor(openSeat: (bench: Bench) => Seat, clock: Clock, onShortage: JobRun['onShortage'], mostStuck: () => number) {
    this.#openSeat = openSeat
    this.#clock = clock
    this.#onShortage = onShortage
    this.#mostStuck = mostStuck
  }

  /** Those that are up or starting. */
  get benches(): ReadonlySet<Bench> {
    return this.#benches
  }

  /**
   * Starts threads until there are `count`, or the system gives no more. From then on a thread that is lost, or was not to be
   * had, is replaced when a piece waits.
   */
  grow(count: number): void {
    this.#target = Math.max(this.#target, count)
    while (this.#benches.size < this.#target && !this.#isClosed && this.#open());
    this.places.resize(this.#target * DEPTH)
    this.advance()
  }

  /** Puts a piece behind those that wait. */
  add(piece: Piece): void {
    this.#queue.push(piece)
    this.advance()
  }

  /** Puts pieces before those that wait, in order, to be sent with the next `advance`; what a drain overtook stays pending. */
  requeue(pieces: readonly Piece[]): void {
    const goOn = pieces.filter((piece) => {
      if (!piece.job.context.draining.aborted) return true
      interruptPiece(piece)
      return false
    })
    this.#queue = [...goOn, ...this.#queue] // There may be more than a call takes arguments.
  }

  /**
   * Gives waiting pieces to workers with room, least busy first. Node takes messages of a port as long as there are any, and each
   * piece makes another, so that the event loop may not turn for as long as the run takes: once a slice of time is over, the one
   * that is `answering` is sent nothing in this turn, unless another answers meanwhile.
   */
  advance(answering?: Bench): void {
    if (this.#isClosed) return
    if (answering) this.#answering = answering
    const now = this.#clock.now()
    if (!this.#stopTurning) {
      this.#turnBegan = now
      this.#stopTurning = inATurn(() => this.#turn())
    }
    this.#isHeld = now - this.#turnBegan >= SLICE_MS
    while (this.#queue.length > 0) {
      const piece = this.#queue[0] as Piece
      if (this.#benches.size < this.#target) this.#open()
      const benches = this.#isHeld ? [...this.#benches].filter((it) => it !== this.#answering) : this.#benches
      const bench = leastBusy(benches, piece.isAlone, this.#clock.now())
      if (!bench) break
      this.#queue.shift()
      if (piece.job.isOver) continue
      this.#send(bench, piece)
    }
  }

  #turn(): void {
    this.#stopTurning = undefined
    this.#answering = undefined
    if (this.#queue.length === 0) this.#balance()
    else if (this.#isHeld) this.advance()
  }

  /** Every piece that is not answered altogether: those that wait, then those that were sent. */
  pieces(): Piece[] {
    return [...this.#queue, ...[...this.#benches].flatMap((bench) => bench.pieces)]
  }

  /** What waits of a run will not be sent. */
  withdraw(run: JobRun): void {
    for (const piece of this.#queue.filter((it) => it.job.run === run)) {
      this.#queue.splice(this.#queue.indexOf(piece), 1)
      interruptPiece(piece)
    }
  }

  /** The thread of `bench` is lost. `isStuck`: it has not ended. */
  dismiss(bench: Bench, isStuck: boolean): void {
    this.#benches.delete(bench)
    if (isStuck) void this.#missStuck(bench)
    const ending: Promise<void> = bench.seat.close().finally(() => this.#endings.delete(ending))
    this.#endings.add(ending)
  }

  /** Ends all threads; resolves when nothing is left of them. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#stopTurning?.()
    clearTimeout(this.#looking)
    this.#timeouts.stop()
    this.#shortage.end()
    await Promise.all([...this.#endings, ...[...this.#benches].map((bench) => bench.seat.close())])
  }

  async #missStuck({ seat }: Bench): Promise<void> {
    this.#stuck++
    await seat.gone
    this.#stuck--
    this.#shortage.end()
    this.advance()
  }

  /** Starts a thread. False when the system has no room for one, or had none a moment ago. */
  #open(): boolean {
    if (this.#shortage.isPausing) return false
    try {
      if (this.#stuck > this.#target && this.#stuck > this.#mostStuck()) throw new StuckError(this.#stuck)
      this.#benches.add(createBench(this.#openSeat))
      this.#shortage.end()
      return true
    } catch (error) {
      if (!isRefusal(error)) throw error
      this.#doWithout(error)
      return false
    }
  }

  /**
   * The system gave no thread. Those that are there go on; without any the runs end that wait, unless it is a matter of a moment.
   */
  #doWithout(error: Error): void {
    const tries = this.#shortage.refused()
    if (this.#benches.size > 0) {
      if (tries > 1) this.#onShortage(this.#benches.size, this.#target, error)
    } else if (tries >= MAX_TRIES) {
      this.#shortage.end()
      for (const { job } of this.pieces()) if (!job.isOver) job.context.fail(noThreadError(error))
    }
  }

  #send(bench: Bench, piece: Piece): void {
    const { run } = piece.job
    piece.isSingly ||= run.unexplained >= MAX_UNEXPLAINED
    piece.slot = bench.freeSlots.pop() as number
    prepare(slotOf(bench.seat.cells, piece.slot), piece.chunk.items.length)
    const began = this.#clock.now()
    if (bench.pieces.push(piece) === 1) piece.since = began
    const setup = bench.knows.has(run.number) ? undefined : setupFor(bench, run)
    const ended = bench.forget.splice(0)
    run.tally.chunks++
    // What was not sent told the worker nothing: more of the run may follow before it is known that this did not.
    if (bench.seat.send(toMessage(piece, setup, ended))) {
      bench.knows.add(run.number)
      if (setup?.keepsShared) bench.sharedBy ??= piece.id
    } else bench.forget.push(...ended)
    piece.sendTime = setup ? undefined : this.#clock.now() - began
    if (run.timeout !== undefined) this.#timeouts.start()
    this.#lookOn()
  }

  /** Has nothing wait for a thread that is late, or begins nothing any more, nor a thread for a task that nobody waits for. */
  #lookOn(): void {
    this.#looking ??= setTimeout(() => {
      this.#looking = undefined
      const now = this.#clock.now()
      for (const bench of this.#benches) {
        look(bench)
        if (isVain(bench, now)) condemn(bench, 'vain')
        else if (isHung(bench)) condemn(bench, 'hung')
      }
      this.requeue(takeBack(this.#benches, now))
      this.advance()
      if ([...this.#benches].some(({ pieces }) => pieces.length > 0)) this.#lookOn()
    }, LOOK_MS).unref()
  }

  /**
   * Halves the work of the busiest worker for each that has nothing, so that no tail waits behind a slow item. A thread that was
   * lost is replaced for what waits behind an item as for what waits here.
   */
  #balance(): void {
    if (this.#benches.size < this.#target && [...this.#benches].some(hasSome)) this.#open()
    for (const bench of this.#benches) {
      if (this.#queue.length > 0) return
      if (bench.pieces.length > 0 || bench.doom) continue
      const stolen = steal(this.#benches, bench)
      if (!stolen) continue
      this.#send(bench, stolen)
    }
  }
}

/** What the worker of `bench` must be told of a run: of what the runs of an executor share no more than that it has it, if so. */
function setupFor(bench: Bench, { setup, number }: JobRun): RunSetup {
  const { shared, ...rest } = setup
  return { ...(setup.keepsShared && bench.sharedBy !== undefined ? rest : setup), run: number }
}

/** It has something to give away: what waits behind its oldest piece. */
function hasSome({ doom, pieces }: Bench): boolean {
  return !doom && pieces.some(({ settled, end }, at) => at > 0 && settled < end)
}
