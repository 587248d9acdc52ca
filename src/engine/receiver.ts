import type { Clock } from '../clock.ts'
import { InvalidOptionError } from '../errors.ts'
import { type Bench, condemn, hasBegun, hasBegunRun, isUnheard, release } from './bench.ts'
import { answerUnread, blame } from './blame.ts'
import type { Crew } from './crew.ts'
import type { JobRun } from './job.ts'
import { settleUnclonable, settleUnread } from './message.ts'
import { cutPiece, interruptPiece, type Piece } from './piece.ts'
import type { PartMessage } from './protocol.ts'
import { stillbornError, unpackLoadError, untrueError } from './run-errors.ts'
import type { SeatEvents } from './seat.ts'
import { settlePart } from './settle-part.ts'

/** Workers that die in a row before they start any item, after which the run ends: two could be bad luck with memory. */
const MAX_STILLBORN = 3

/**
 * A worker that answers so often in a row without having run anything is ended. Once may be chance: a tail was tried to be
 * taken as it began. Or a task put something in place of a built-in, and nothing runs there any more.
 */
const MAX_IDLED = 3

/** Takes in what becomes of the pieces a crew has sent: settles what is answered, and gives back what has to go on. */
export class Receiver {
  readonly #crew: Crew
  readonly #runs: ReadonlyMap<number, JobRun>
  readonly #clock: Clock
  /** Those that died in a row before they started any item. */
  #stillborn: Bench[] = []

  /** `runs`: those that have not ended, by their number. */
  constructor(crew: Crew, runs: ReadonlyMap<number, JobRun>, clock: Clock) {
    this.#crew = crew
    this.#runs = runs
    this.#clock = clock
  }

  /** What the seat of `bench` is to tell. */
  hear(bench: Bench): SeatEvents {
    return {
      part: (part) => this.#receive(bench, part),
      lost: (error, code) => this.#lose(bench, error, code),
      unreadable: (error) => this.#miss(bench, error),
      unsent: (id, error) => this.#refuse(bench, id, error),
    }
  }

  #receive(bench: Bench, part: PartMessage): void {
    const piece = bench.pieces.find((it) => it.id === part.id)
    const { loadError } = part
    if (loadError) {
      const run = piece?.job.run ?? this.#runs.get(part.run as number)
      if (run) {
        if (bench.knows.has(run.number)) bench.ran.add(run.number) // It loads no more, and answers what it has of the run: it need not be ended.
        this.#failRuns(() => unpackLoadError(loadError), [run])
      }
      if (piece) {
        interruptPiece(piece)
        release(bench, piece, this.#clock.now())
      }
      return
    }
    if (part.ranAgain) return this.#runs.get(part.run as number)?.ranAgain(this.#crew.benches.size)
    if (isUnheard(bench)) return
    if (part.unread !== undefined) return this.#sendAgain(bench, part.id, part.unread)
    if (!piece) return
    // A worker does what it is sent in turn.
    const fault = piece === bench.pieces[0] ? settlePart(piece, part, this.#clock.today()) : 'an answer out of turn'
    if (fault !== undefined) {
      condemn(bench, bench.doom ?? untrueError(fault))
      return
    }
    if (part.end && part.to === 0 && piece.end > 0 && !piece.job.context.draining.aborted) bench.idled++
    else this.#prove(bench)
    // An answer about nothing tells as much, where nothing was left to run.
    const isUp = part.to > 0 || piece.end === 0
    if (isUp && bench.knows.has(piece.job.run.number)) bench.ran.add(piece.job.run.number)
    if (bench.idled >= MAX_IDLED) condemn(bench, 'idle')
    piece.job.run.observe({
      items: part.to - part.from,
      taskTime: part.taskTime,
      sendTime: part.from === 0 && part.to === piece.chunk.items.length ? piece.sendTime : undefined,
      packTime: part.packTime,
    })
    if (part.end) {
      release(bench, piece, this.#clock.now())
      if (part.to < piece.end) this.#crew.requeue([cutPiece(piece, part.to, piece.end)])
    }
    this.#crew.advance(bench) // After a part as well: only now it may be known that the tail is worth being taken.
  }

  #prove(bench: Bench): void {
    bench.isProven = true
    bench.idled = 0
    this.#comeUp()
  }

  /** A thread came up: that others did not was chance, unless they had a run of which no item has begun yet in any. */
  #comeUp(): void {
    if (this.#stillborn.length === 0) return
    const fresh = [...this.#runs.values()].filter((run) => !this.#isUnderWay(run))
    this.#stillborn = this.#stillborn.filter(({ knows }) => fresh.some(({ number }) => knows.has(number)))
  }

  /** The thread is gone: whoever ran in it is a suspect, everybody else goes back. */
  #lose(bench: Bench, error: Error | undefined, code: number | undefined): void {
    this.#crew.dismiss(bench, code === undefined)
    const { again, suspect, reason } = blame(bench, error, code, this.#clock.today())
    if (hasBegun(bench) && bench.doom !== 'idle') this.#comeUp()
    else if (bench.doom !== 'drain' && bench.doom !== 'vain') this.#stillborn.push(bench)
    for (const run of this.#runs.values()) {
      const index = suspect?.run === run ? suspect.index : undefined // Of another run it may have items of that number as well.
      if (bench.knows.has(run.number)) run.workerExit(bench.seat.threadId, index, reason)
    }
    this.#crew.requeue(again)
    if (this.#stillborn.length >= MAX_STILLBORN) {
      const dead = this.#stillborn.splice(0)
      const known = [...this.#runs.values()].filter(({ number }) => dead.every(({ knows }) => knows.has(number)))
      const fresh = known.filter((run) => !this.#isUnderWay(run))
      this.#failRuns(() => stillbornError(reason, MAX_STILLBORN), fresh.length > 0 ? fresh : known)
    }
    this.#crew.advance()
  }

  /** Whether its task came up in some thread: it is not what ends others, where there are runs of which that is not known. */
  #isUnderWay(run: JobRun): boolean {
    return run.tally.attempts > 0 || [...this.#crew.benches].some((bench) => hasBegunRun(bench, run))
  }

  /** Of which items the results are, only the message would say: unless it can be but one, they are as good as lost. */
  #miss(bench: Bench, cause: Error): void {
    if (isUnheard(bench)) return
    const [piece] = bench.pieces
    const answer = piece && answerUnread(piece, cause)
    if (answer) this.#receive(bench, answer)
    else condemn(bench, 'unreadable')
  }

  /** A chunk that could not be cloned: its unclonable items fail, the others go on. */
  #refuse(bench: Bench, id: number, error: Error): void {
    const piece = bench.pieces.find((it) => it.id === id)
    if (!piece) return
    release(bench, piece, this.#clock.now())
    const goOn = settleUnclonable(piece, error, this.#clock.today())
    if (goOn) this.#crew.requeue(goOn)
    else {
      piece.job.context.fail(new InvalidOptionError('shared', 'a value that can be cloned', error.message))
      piece.job.interrupt(piece.chunk.items.length)
    }
    this.#crew.advance()
  }

  /**
   * The chunk behind the one of `id`, which may be answered by now, cannot be read; where it held what its run needs, or all runs
   * of the executor, others of those cannot run either.
   */
  #sendAgain(bench: Bench, id: number, why: string): void {
    const unread = bench.pieces[bench.pieces.findIndex((it) => it.id === id) + 1]
    if (!unread) return
    const { run } = unread.job
    const heldSetup = unread.sendTime === undefined
    const heldShared = bench.sharedBy === unread.id
    const isLost = ({ job }: Piece) => (heldSetup && job.run === run) || (heldShared && job.run.setup.keepsShared)
    const lost = bench.pieces.filter((it) => it === unread || isLost(it))
    if (heldShared) bench.sharedBy = undefined
    for (const piece of lost) {
      if (isLost(piece)) bench.knows.delete(piece.job.run.number)
      release(bench, piece, this.#clock.now())
    }
    const pieces = lost.map((piece) => (piece === unread ? settleUnread(piece, why, this.#clock.today()) : wholeOf(piece)))
    this.#crew.requeue(pieces.flat())
    this.#crew.advance()
  }

  /**
   * Ends `suspects`, or all runs when nobody knows whose fault it is, as every run ends: what came of them is kept, and what runs
   * has `drainTimeout`. Each gets an error of its own, since its report goes with that.
   */
  #failRuns(createError: () => Error, suspects: readonly JobRun[]): void {
    for (const { job } of this.#crew.pieces()) {
      const isMeant = suspects.length === 0 || suspects.includes(job.run)
      if (isMeant && !job.isOver) job.context.fail(createError())
    }
  }
}

/** What is left of a piece of which nothing ran, as a piece of its own. */
function wholeOf(piece: Piece): Piece[] {
  return piece.end > 0 ? [cutPiece(piece, 0, piece.end)] : []
}
