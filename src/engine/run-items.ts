import { areApart } from './apart.ts'
import { createDrainSignal, ItemContext } from './context.ts'
import {
  announceStop,
  awaitPlace,
  beginPacking,
  claim,
  endPacking,
  enter,
  isStopped,
  isWanted,
  leave,
  letGo,
  type Slot,
  sharedNow,
  takeNote,
  whenStopped,
} from './flight-recorder.ts'
import type { ItemColumns, LoadedRun, Port } from './loaded-run.ts'
import { Part } from './part.ts'
import { refuseItem } from './uncarried.ts'

/** As it was when this was loaded: a task may put another in its place. */
const { structuredClone } = globalThis

/** Runs the items of a chunk one by one: in a worker, and for inline runs in slices on the main thread. */

/**
 * Items are claimed by so many as long as a stride of them takes no longer than this, in ms: an atomic store is a third of what
 * a trivial item costs. What is claimed waits behind an item that turns out slow, and less than a stride that short is not worth
 * being taken from a worker (balance.ts). Set by bench/peers, 'trivial'.
 */
const MAX_CLAIM = 16
const CLAIM_MS = 0.25

/**
 * Items that take longer on average, in ms, are called as the port says: what that costs for each is more than such as are
 * shorter can gain by it. One stride that took long, or a few, is code that runs for the first time, or a pause for garbage. Set
 * by bench/peers, 'trivial' and 'uniform-1us'.
 */
const SHORT_MS = 0.005
const LONG_STRIDES = 4

/** Errors are looked at so far down their causes, which may lead back to where they began. */
const MAX_CAUSES = 16

/** A chunk that is being run. */
interface Passage {
  readonly chunk: ItemColumns
  readonly loaded: LoadedRun
  readonly slot: Slot
  readonly port: Port
  readonly part: Part
  /** Gives each item apart from all others; undefined when they are. */
  readonly clone: ((item: unknown) => unknown) | undefined
  readonly signalOf: () => AbortSignal
  /** Once a task asked for it. */
  signal: AbortSignal | undefined
  /** Of the item that runs, or comes next. */
  place: number
  /** What that item gave, to be awaited. */
  promised: PromiseLike<unknown> | undefined
  /** What was kept is to be posted before the next item starts. */
  isDue: boolean
  /** No further item may start. */
  isOver: boolean
  /** Where the clock is read next, so many items after the last time, which was at `readAtMs` of the part. */
  readAt: number
  stride: number
  readAtMs: number
  /** The items of the last stride were. */
  areShort: boolean
}

/** Resolves when the last part was posted. An item that fails is an outcome; nothing is thrown. */
export async function runItems(chunk: ItemColumns, loaded: LoadedRun, slot: Slot, port: Port): Promise<void> {
  const { length } = chunk.items
  const part = new Part(chunk, loaded, port)
  const signalOf = () => {
    passage.signal ??= createDrainSignal(() => isStopped(slot), whenStopped(slot))
    return passage.signal
  }
  const passage: Passage = {
    ...{ chunk, loaded, slot, port, part, signalOf, signal: undefined },
    clone: port.clone ?? (chunk.packed || areApart(chunk.items) ? undefined : structuredClone),
    ...{ place: 0, promised: undefined, isDue: false, isOver: length === 0 },
    ...{ readAt: chunk.isSingly ? 1 : 0, stride: 1, readAtMs: 0, areShort: false },
  }
  while (!passage.isOver) {
    runOn(passage)
    if (passage.promised) await settlePromised(passage)
    if (!passage.isDue) continue
    passage.isDue = false
    letGo(slot, passage.place)
    send(passage, false)
    if (!port.turn) continue
    await port.turn()
    part.begin()
  }
  leave(slot, length, passage.place)
  const flushing = port.flushOutput?.()
  if (flushing) {
    if (part.isLoose) part.secure(true) // Meanwhile a timer of the task may write into it.
    await flushing
  }
  send(passage, true)
  if (passage.signal) announceStop(slot)
}

/** Posts what the places before this one gave. */
function send({ slot, part, place, loaded: { setup } }: Passage, end: boolean): void {
  beginPacking(slot, setup.timed ? sharedNow() : undefined)
  part.send(place, end)
  endPacking(slot)
}

/** Runs items until there is something to be awaited or posted, or the chunk is over. */
function runOn(passage: Passage): void {
  do runStride(passage, claimNext(passage))
  while (!passage.isDue && !passage.isOver && !passage.promised)
}

/**
 * Runs the items before `end`, as long as nothing is to be awaited. All that is done for each item, and no more: V8 compiles
 * it, with what it calls, in every worker, and of a loop that also awaits and posts that took 15 ms of a run; and it compiles
 * a function that is called often sooner than a loop that goes on and on.
 */
function runStride(passage: Passage, end: number): void {
  const { chunk, loaded, slot, part, clone, signalOf } = passage
  const { items, indices, keys, attempts } = chunk
  const { run, setup, call } = loaded
  for (let { place } = passage; place < end; passage.place = ++place) {
    if (part.isLoose && !part.secure()) return postFirst(passage)
    if (!enter(slot, place, setup.timed ? sharedNow() : undefined)) {
      passage.isOver = true
      return
    }
    const index = typeof indices === 'number' ? indices + place : (indices[place] as number)
    let item = items[place]
    if (clone) {
      try {
        item = clone(item)
      } catch (cause) {
        part.refuse(place, refuseItem(index, keys?.[place], cause as Error))
        continue
      }
    }
    const context = new ItemContext(setup, index, keys?.[place], (attempts?.[place] ?? 0) + 1, signalOf)
    try {
      const value = call ? call(run, item, context) : run(item, context)
      if (isThenable(value)) {
        passage.promised = value
        return
      }
      part.keep(value, place)
    } catch (error) {
      reject(passage, error)
      if (passage.isOver) return
    }
    if (isWanted(slot)) end = place + 1
  }
}

/** What was kept is posted before the next item begins, and then the clock is read. */
function postFirst(passage: Passage): void {
  passage.isDue = true
  passage.readAt = passage.place
  passage.readAtMs = 0
}

/**
 * Claims what comes next, and gives one past the last place of it; where nothing may start before what was kept is posted, or at
 * all, no more than the place.
 */
function claimNext(passage: Passage): number {
  const { chunk, slot, place } = passage
  const { length } = chunk.items
  if (place < length && (place === passage.readAt || isWanted(slot))) readClock(passage)
  if (passage.isDue) return place
  const end = claim(slot, Math.min(place + (passage.areShort ? MAX_CLAIM : 1), passage.readAt, length))
  passage.isOver = !(place < end) // A stop puts the limit even before what has ended; a spoiled thread may give no number.
  return end
}

/** Sees how long the last items took: whether it is time to post, and for how many items the clock need not be read. */
function readClock(passage: Passage): void {
  const { chunk, loaded, slot, port, part, place } = passage
  const isHurried = isWanted(slot)
  if (isHurried) takeNote(slot)
  const elapsed = part.elapsed()
  passage.isDue = elapsed > port.partMs || chunk.isSingly === true || isHurried
  const took = elapsed - passage.readAtMs
  passage.areShort = !isHurried && place > 0 && took < CLAIM_MS
  if (place > 0) loaded.longStrides = took > Math.max(CLAIM_MS, passage.stride * SHORT_MS) ? (loaded.longStrides ?? 0) + 1 : 0
  if (loaded.longStrides === LONG_STRIDES) loaded.call = port.call
  const maxStride = chunk.isSingly ? 1 : port.maxStride
  passage.stride = !isHurried && elapsed < passage.stride / 2 ? Math.min(passage.stride * 2, maxStride) : 1
  passage.readAt = Math.min(place + passage.stride, chunk.items.length)
  passage.readAtMs = passage.isDue ? 0 : elapsed
}

/** Awaits what the item at the place gave, and goes on to the next. */
async function settlePromised(passage: Passage): Promise<void> {
  const { slot, part, promised } = passage
  passage.promised = undefined
  awaitPlace(slot, passage.place)
  try {
    part.keep(await promised, passage.place)
  } catch (error) {
    reject(passage, error)
    if (passage.isOver) return
  }
  passage.place++
}

/** A task that stopped because of the drain is an interruption, not a failure. */
function reject(passage: Passage, error: unknown): void {
  const { signal, part, place } = passage
  passage.isOver = signal?.aborted === true && tellsOfStop(error, signal.reason)
  if (!passage.isOver) part.reject(place, 'error', error)
}

/** Whether `error` is what a signal that aborted for `reason` makes of a call, or has that as its cause, be it some errors down. */
function tellsOfStop(error: unknown, reason: unknown): boolean {
  let it = error as Error | undefined | null
  try {
    for (let depth = 0; it && depth < MAX_CAUSES; depth++) {
      if (it === reason || it.name === 'AbortError') return true
      it = it.cause as Error
    }
  } catch {} // A getter threw: it says nothing.
  return false
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  if (typeof value !== 'object' || value === null) return false
  const { then } = value as { then?: unknown }
  return typeof then === 'function' && then !== (Object.prototype as { then?: unknown }).then // Which would be waited for in vain.
}
