import type { Piscina } from 'piscina'
import type { Clock } from '../clock.ts'
import { countFitting } from '../machine.ts'
import { NOTHING } from '../stages/stage.ts'
import { type Bench, condemn, hasBegun, hasBegunRun } from './bench.ts'
import { Crew } from './crew.ts'
import type { Engine, EngineRun, EngineRunOptions } from './engine.ts'
import { announceStop, isUntouched, slotOf, stop } from './flight-recorder.ts'
import { createJob, type JobRun } from './job.ts'
import { isDeaf } from './late.ts'
import { createPiece, interruptPiece, type Piece } from './piece.ts'
import { Receiver } from './receiver.ts'
import { openSeat, type SeatOptions } from './seat.ts'

/** Worker threads. */
export interface Pool extends Engine {
  /** Time that tasks took in the runs that have ended, in ms. */
  readonly worked: number
}

/**
 * Runs chunks on worker threads: the crew sends them out, the receiver takes in what comes back. All that knows Piscina is
 * here, in seat.ts and in load-piscina.ts.
 */
export function createPool(PiscinaClass: typeof Piscina, seatOptions: SeatOptions, clock: Clock): Pool {
  const runs = new Map<number, JobRun>()
  const open = (bench: Bench) => openSeat(PiscinaClass, seatOptions, receiver.hear(bench))
  const onShortage: JobRun['onShortage'] = (...shortage) => {
    for (const run of runs.values()) run.onShortage(...shortage)
  }
  const mostStuck = () => countFitting(seatOptions.resourceLimits?.maxOldGenerationSizeMb)
  const crew: Crew = new Crew(open, clock, onShortage, mostStuck)
  const receiver = new Receiver(crew, runs, clock)
  let numbered = 0
  let worked = 0

  const start = (options: EngineRunOptions): EngineRun => {
    const run: JobRun = { ...options, number: ++numbered, unexplained: 0, endedAt: undefined }
    runs.set(run.number, run)
    return openRun(crew, run, clock, () => {
      runs.delete(run.number)
      worked += run.tally.taskTime
    })
  }

  return {
    grow: (count) => crew.grow(count),
    up: async () => {
      if (crew.benches.size > 0) await Promise.race([...crew.benches].map((bench) => bench.seat.up))
    },
    get hasBegun() {
      return [...crew.benches].some(hasBegun)
    },
    get worked() {
      return worked
    },
    start: start as Engine['start'],
    close: () => crew.close(),
  }
}

/** A run's part of the pool. `ended` is called when no chunk of it follows. */
function openRun(crew: Crew, run: JobRun, clock: Clock, ended: () => void): EngineRun {
  let patience: NodeJS.Timeout | undefined
  let isListening = false
  let isOver = false
  const onDrain = () => {
    if (!isOver) patience = drain(crew, run) // Nobody would end its timer after the run.
  }
  return {
    places: crew.places,
    dispatch: async (chunk, context) => {
      if (context.draining.aborted || chunk.items.length === 0) return NOTHING
      const { job, done } = createJob(chunk, run, context)
      if (!isListening) {
        isListening = true
        context.draining.addEventListener('abort', onDrain, { once: true })
      }
      crew.add(createPiece(job, chunk, chunk.alone))
      return done
    },
    loadingFor: () => loadingFor(crew, run, clock.now()),
    end: () => {
      isOver = true
      run.endedAt = clock.now()
      clearTimeout(patience)
      ended()
      for (const bench of crew.benches) {
        bench.ran.delete(run.number)
        if (bench.knows.delete(run.number)) bench.forget.push(run.number)
      }
    },
  }
}

/**
 * As `EngineRun` has it. What waits behind an item of another run, or what earlier items left behind, does not wait for the task.
 */
function loadingFor(crew: Crew, run: JobRun, now: number): number {
  if ([...crew.benches].some((bench) => hasBegunRun(bench, run))) return 0
  const loading = [...crew.benches].filter((bench) => !isDeaf(bench))
  const waiting = loading.flatMap(({ pieces: [first] }) => (first?.job.run === run ? [first.since ?? now] : []))
  return Math.max(0, ...waiting.map((since) => now - since))
}

/**
 * Stops what runs for `run` between two items, and after `drainTimeout` wherever it is: then the timer goes off that it gives.
 * What has not begun is not waited for: a thread in which the task is still loading may never get there, and is ended.
 */
function drain(crew: Crew, run: JobRun): NodeJS.Timeout {
  crew.withdraw(run)
  for (const bench of crew.benches) {
    const isUp = hasBegunRun(bench, run)
    for (const piece of bench.pieces.filter((it) => it.job.run === run)) {
      const slot = slotOf(bench.seat.cells, piece.slot)
      stop(slot)
      announceStop(slot)
      if (!isUntouched(slot)) continue
      piece.isVain = !isUp
      interruptPiece(piece)
    }
    if (bench.pieces[0]?.isVain) condemn(bench, bench.doom ?? 'vain')
  }
  const isLeft = ({ job, settled, end }: Piece) => job.run === run && settled < end
  return setTimeout(() => {
    for (const bench of crew.benches) if (bench.pieces.some(isLeft)) condemn(bench, bench.doom ?? 'drain')
  }, run.drainTimeout)
}
