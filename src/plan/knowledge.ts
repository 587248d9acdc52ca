import { HEAVY_MS, TELLING, tellsCarrying } from '../items/chunk.ts'

/**
 * Weight of the newest measurement when items got faster, in (0, 1]; more when it is about most of all items measured so
 * far, as it is while chunks grow. When they got slower it counts in full.
 */
const SMOOTHING = 0.3

/** A chunk this long tells what an item takes, and how many get done in a time; shorter ones are mostly the cost of a message. */
export const LONG_ENOUGH = 64

/**
 * Code that is run for the first time passes for slow: until a task has run so long in this process, in ms, only its
 * newest measurement counts. Set by bench/peers, 'small-cold'.
 */
export const COLD_MS = 5

/** What takes this long, in ms, tells what an item takes, however few they were. */
const SLOW_MS = 1

/**
 * One slow chunk among cheap items, or a few, is the compiler or a pause for garbage: so many are needed to say that they are not
 * cheap.
 */
const PAUSES = 4

/**
 * What a message costs there is measured; back it costs about the same, and results as much as items while nothing tells better.
 */
const THERE_AND_BACK = 2

/** What is known of a task. Times in ms per item. */
export interface Knowledge {
  /** As of late: quick to rise, and, once the task is warm, slow to fall. */
  itemTime: number
  /** Cost of one message there and back, whatever is in it. */
  message: number
  /** Cost of carrying one item there and its result back, in a long chunk, or one of heavy items. */
  carry: number
  /** Items measured so far, and the time they took together. */
  measured: number
  taskTime: number
  /** Time from one item to the next when all threads are busy; 0 when not measured. */
  pace: number
  /** Threads were seen to get items done no faster than one thread alone would. */
  isCheap: boolean
}

const NOTHING: Knowledge = { itemTime: 0, message: 0, carry: 0, measured: 0, taskTime: 0, pace: 0, isCheap: false }

/** What earlier runs of this process learned, by task. Bounded, since inline functions may be many. */
const memory = new Map<string, Knowledge>()
const MAX_REMEMBERED = 100

/**
 * Tasks of which an item took its worker down. Never forgotten: the next time it might be the program. Once there are as many as
 * this, each with threads that died of it, every task counts as one.
 */
const dangerous = new Set<string>()
const MAX_DANGEROUS = 1000

/** What a run learns of its task from what the workers measured. Times in ms. */
export interface Learner {
  readonly known: Knowledge
  /** The least that an item took in one of the last chunks that were long enough to tell; infinite as long as there is none. */
  readonly steadyTime: number
  /** `items` took `taskTime` together. */
  learnTime(items: number, taskTime: number): void
  /**
   * To send `items` took `sendTime`, and to pack one result `packTime`: short chunks tell the cost of a message, long ones, and
   * those of heavy items, that of an item, the least of the last few. A thread that has to wait for its core while it packs takes
   * many times as long.
   */
  learnCost(items: number, sendTime: number, packTime: number | undefined): void
  /** An item of the task took its worker down, in this run or any other of this process, be it one beside it. */
  readonly isDangerous: boolean
  /** An item took its worker down. */
  beware(): void
  /** What earlier runs learned does not hold for these items; but that one was dangerous does. */
  forget(): void
  /** Leaves what is known to later runs of this process. */
  remember(): void
}

/** A learner that begins with what earlier runs of `task` in this process left. */
export function createLearner(task: string): Learner {
  const known: Knowledge = { ...(memory.get(task) ?? NOTHING) }
  /** Time per item of the last chunks that were long enough to tell, and what carrying one of theirs took. */
  let recent: readonly number[] = []
  let carries: readonly number[] = known.carry > 0 ? [known.carry] : []
  return {
    known,
    get steadyTime() {
      return Math.min(...recent)
    },
    learnTime: (items, taskTime) => {
      const newest = taskTime / items
      if (items >= LONG_ENOUGH || taskTime >= SLOW_MS) recent = [...recent.slice(1 - PAUSES), newest]
      known.measured += items
      const isCold = known.taskTime < COLD_MS // What takes it beyond that still counts by itself: it is decided by then.
      const weight = newest > known.itemTime || isCold ? 1 : Math.max(SMOOTHING, items / known.measured)
      known.taskTime += taskTime
      known.itemTime += (newest - known.itemTime) * weight
    },
    learnCost: (items, sendTime, packTime) => {
      if (items < TELLING && sendTime < HEAVY_MS) {
        const message = sendTime * THERE_AND_BACK
        known.message = known.message === 0 ? message : Math.min(known.message, message)
      }
      if (!tellsCarrying(items, sendTime + (packTime ?? sendTime / items) * items, known.carry)) return
      const there = Math.max(sendTime - known.message / THERE_AND_BACK, 0) / items
      carries = [...carries.slice(1 - PAUSES), there + (packTime ?? there)]
      known.carry = Math.min(...carries)
    },
    get isDangerous() {
      return dangerous.size >= MAX_DANGEROUS || dangerous.has(task)
    },
    beware: () => {
      if (dangerous.size < MAX_DANGEROUS) dangerous.add(task)
    },
    forget: () => {
      Object.assign(known, NOTHING)
      recent = []
      carries = []
    },
    remember: () => {
      memory.delete(task)
      memory.set(task, known)
      if (memory.size > MAX_REMEMBERED) memory.delete(memory.keys().next().value as string)
    },
  }
}
