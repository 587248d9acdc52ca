import { MAX_AUTO_ITEMS, TELLING } from '../items/chunk.ts'
import type { Plan } from '../types.ts'
import type { Words } from '../wording.ts'
import { describePlan } from './describe-plan.ts'
import { createLearner, type Knowledge, LONG_ENOUGH } from './knowledge.ts'
import { createPace } from './pace.ts'

/**
 * Time one chunk should take, in milliseconds.
 *
 * Much lower, and the cost of sending a chunk to a worker and back shows; much higher, and workers idle while the last chunks
 * of a run finish. Set by bench/peers, 'uniform-1ms' and 'pareto-5ms-heavy-last'.
 */
export const TARGET_CHUNK_MS = 25

/**
 * The same, in ms, while outcomes are recorded, which takes the main thread some tenths of a ms a chunk; at most a share of the
 * time between two flushes. Set by bench/saving.bench.mjs, items of 1 ms.
 */
export const RECORDED_CHUNK_MS = 100
const CHUNKS_PER_FLUSH = 10

/**
 * Least time worth a chunk of its own near the end of a run, in ms: about ten times what sending one costs. Set by
 * bench/chunk-size.bench.mjs.
 */
const MIN_CHUNK_MS = 1

/**
 * Most that carrying a chunk may cost the main thread, in ms. Collecting what was read takes longer than reading it, so that
 * this much is a pause of some more. Set, by the event-loop delay, by bench/peers, 'objects' and 'checkpoint'.
 */
const MAX_CARRY_MS = 0.6

/**
 * The same, in ms, for items so heavy that even TELLING of them cost more. To read a result takes up to twice as long as to pack
 * it, which is what is measured: no such message keeps the main thread for much longer than 5 ms, unless a single item does.
 */
const MAX_HEAVY_CARRY_MS = 2.5

/**
 * Most of an iterable, which has its items made for the chunk: some chunks of them are all that a stream holds. Set by
 * bench/growth.bench.mjs, memory of streams.
 */
export const MAX_PULLED_ITEMS = 2048

/**
 * Most that a chunk may grow from one to the next, as a factor; and when it took next to nothing, in ms. Shrinking has no
 * bound. Set by bench/peers, 'trivial': by twos alone a million numbers are half done before their chunks are of any size.
 */
const MAX_GROWTH = 2
const MAX_GROWTH_OF_SHORT = 8
const SHORT_CHUNK_MS = 0.15

/** Work that is not worth carrying anywhere, in ms: so long the main thread may be kept from the event loop at a time. */
const SMALL_RUN_MS = 5

/**
 * Work that is worth one thread more, in ms. One comes up in 20 ms when nothing else runs and in twice that beside a
 * thread at work, and the run does not end before it is up. Lower, and short runs wait for threads they had no need of;
 * higher, and runs of some hundred ms leave cores idle. Set by bench/peers, 'small-cold' and 'uniform-10ms'. Of an executor the
 * work of all runs counts: none of them may be worth a thread that all of them are.
 */
const THREAD_MS = 50

/**
 * Items that take no longer than this, in ms, seem to take many times as long while the code around them is compiled, and a
 * thread started for that would slow the others and come too late: so many of them are waited for. Set by bench/peers, 'trivial'.
 */
const CHEAP_ITEM_MS = 0.0005
const WARM_ITEMS = 20_000

/**
 * A task counts as slow again when its items take so many times what carrying them cost. Above 1, so that noise does not flip it
 * to and fro.
 */
const HYSTERESIS = 2

export interface PlannerOptions {
  /** Names the task, so that a later run in this process starts with what this one learned. */
  readonly task: string
  readonly mode: 'auto' | 'threads' | 'inline'
  /** Inline is off the table: `timeout`, `resourceLimits` or `checkpoint` are given. */
  readonly needsThreads: boolean
  readonly maxWorkers: number
  /** A pinned chunk size. */
  readonly chunkSize: number | undefined
  /** Milliseconds between two flushes of the checkpoint. Default: nothing is recorded. */
  readonly interval?: number | undefined
  /** A thread stands ready, be it from an earlier run. Default: none does. */
  readonly isThreadUp?: () => boolean
  /** Time the tasks of earlier runs took on the same threads, in ms. Default: 0. */
  readonly worked?: number
}

/** What it cost to run some items of one chunk. Times in ms. */
export interface Measurement {
  readonly items: number
  readonly taskTime: number
  /** Time the main thread took to send all of these items in one message; undefined when they were sent otherwise, or not at all. */
  readonly sendTime: number | undefined
  /**
   * Time the worker took to pack one result, of those before these; undefined when not known. To read it takes the main thread
   * about as long.
   */
  readonly packTime?: number | undefined
}

/** Decides where the items run and how they are cut, from what the workers measured. */
export interface Planner {
  /** Items of the next chunk, when `left` are still to be dispatched (undefined: nobody knows). */
  chunkSize(left: number | undefined): number
  /** Where the next chunk goes, when `left` are still to be dispatched. */
  mode(left: number | undefined): 'threads' | 'inline'
  /** Threads worth having for `left` items that have not settled: those that run, or wait for a thread, are work as well. */
  workers(left: number | undefined): number
  /** Threads that earlier runs would have been worth, and so, where more runs come, those to come. */
  readonly earned: number
  /** False as long as the items look cheap and too few were measured to say how cheap. */
  readonly isWarm: boolean
  /** Some items came back, at `now`. */
  observe(measured: Measurement & { readonly now: number }): void
  readonly itemTime: number
  /** An item took its worker down: no other gets to the main thread, in this run or a later one of this process. */
  beware(): void
  /** What earlier runs learned of the task does not hold for these items. */
  forget(): void
  warn(message: Words): void
  /** The plan as it stands, for `left` items that have not settled. */
  describe(left: number | undefined): Plan
}

export function createPlanner(options: PlannerOptions): Planner {
  const learner = createLearner(options.task)
  const { known } = learner
  const warnings: Words[] = []
  const mayInline = isFree(options)
  const target = targetTime(options)
  /** Items of the largest chunk that came back, as far as that many are still wanted, and how much larger the next may be. */
  let largest = known.measured > 0 ? Math.max(1, Math.floor(wanted(known, target) / MAX_GROWTH)) : 0
  let growth = MAX_GROWTH
  const pace = createPace(known)
  let isConfirmed = false

  const { worked = 0 } = options
  const threadsFor = (ms: number) => Math.max(1, Math.min(options.maxWorkers, Math.ceil(ms / THREAD_MS)))
  const looksCheap = () => learner.steadyTime < CHEAP_ITEM_MS

  const mode = (left: number | undefined): 'threads' | 'inline' => {
    if (options.mode !== 'auto') return options.mode
    if (!mayInline || known.measured === 0 || learner.isDangerous) return 'threads'
    // A thread that is up takes all that is left for the price of a message, and whatever its items do, the main thread lives.
    const isSmall = left !== undefined && !options.isThreadUp?.() && left * known.itemTime < SMALL_RUN_MS
    return known.isCheap || isSmall ? 'inline' : 'threads'
  }

  const workers = (left: number | undefined): number => {
    if (mode(left) === 'inline') return 1
    if (left === undefined) return options.maxWorkers
    if (known.measured === 0) return Math.max(1, Math.min(options.maxWorkers, left))
    const itemTime = looksCheap() ? learner.steadyTime : known.itemTime
    return Math.min(left || 1, threadsFor(worked + left * itemTime))
  }

  const chunkSize = (left: number | undefined): number => {
    if (options.chunkSize !== undefined) return options.chunkSize
    if (known.measured === 0) return 1
    const isInline = mode(left) === 'inline'
    if (isInline && !isConfirmed) largest = 1 / MAX_GROWTH // These items may be others: they get no whole chunk of the main thread.
    const grown = Math.min(wanted(known, target), Math.max(1, largest * growth))
    if (left === undefined) return Math.min(grown, MAX_PULLED_ITEMS)
    if (isInline) return grown
    // Towards the end every worker gets its share in ever smaller chunks, down to what a message is worth.
    const share = Math.ceil(left / (options.maxWorkers * 3))
    const least = Math.ceil(MIN_CHUNK_MS / Math.max(known.itemTime, Number.MIN_VALUE))
    return Math.max(1, Math.min(grown, Math.max(share, Math.min(least, MAX_AUTO_ITEMS))))
  }

  return {
    chunkSize,
    mode,
    workers,
    earned: threadsFor(worked),
    get isWarm() {
      return !looksCheap() || known.measured >= WARM_ITEMS
    },
    observe: ({ items, taskTime, sendTime, packTime, now }) => {
      if (items === 0) return
      isConfirmed = true
      learner.learnTime(items, taskTime)
      largest = Math.max(Math.min(largest, wanted(known, target)), items)
      growth = items === largest && taskTime < SHORT_CHUNK_MS ? MAX_GROWTH_OF_SHORT : MAX_GROWTH
      if (sendTime !== undefined) {
        learner.learnCost(items, sendTime, packTime)
        const usual = Math.min(wanted(known, target), options.chunkSize ?? Number.POSITIVE_INFINITY)
        if (items >= Math.max(LONG_ENOUGH, usual / 4)) pace.count(items, now)
        else pace.interrupt() // Chunks that still grow tell of growing; but while they are not counted, time goes by.
      } else if (known.itemTime > known.pace * HYSTERESIS) known.isCheap = false
      learner.remember()
    },
    get itemTime() {
      return known.itemTime
    },
    beware: learner.beware,
    forget: () => {
      learner.forget()
      largest = 0
    },
    warn: (message) => {
      if (!warnings.some((it) => String(it) === String(message))) warnings.push(message)
    },
    describe: (left) => {
      const chosen = {
        mode: mode(left),
        workers: workers(left),
        chunkSize: options.chunkSize ?? Math.min(chunkSize(left), left || Number.POSITIVE_INFINITY),
      }
      return describePlan({ ...chosen, asked: options, known, isFree: mayInline, left }, warnings)
    },
  }
}

/** Whether threads or inline is for the planner to choose. */
function isFree({ mode, needsThreads }: PlannerOptions): boolean {
  return mode === 'auto' && !needsThreads
}

/** Milliseconds one chunk should take. */
function targetTime({ interval }: PlannerOptions): number {
  if (interval === undefined) return TARGET_CHUNK_MS
  return Math.max(TARGET_CHUNK_MS, Math.min(RECORDED_CHUNK_MS, interval / CHUNKS_PER_FLUSH))
}

/** Items that take `target` ms, fewer if they are costly to carry, but enough to tell what they cost, unless they are heavy. */
function wanted({ itemTime, carry }: Knowledge, target: number): number {
  const each = Math.max(carry, Number.MIN_VALUE)
  const carried = Math.max(Math.min(TELLING, MAX_HEAVY_CARRY_MS / each), MAX_CARRY_MS / each)
  const most = Math.min(target / Math.max(itemTime, Number.MIN_VALUE), carried)
  return Math.max(1, Math.min(MAX_AUTO_ITEMS, Math.floor(most)))
}
