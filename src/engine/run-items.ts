import { createDrainSignal, ItemContext } from './context.ts'
import {
  announceStop,
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
import { type ItemColumns, type LoadedRun, Part, type Port, refuseItem } from './part.ts'

/** Runs the items of a chunk one by one: in a worker, and for inline runs in slices on the main thread. */

/**
 * Items are claimed by so many as long as a stride of them takes no longer than this, in ms: an atomic store is a third of what
 * a trivial item costs. What is claimed waits behind an item that turns out slow, and less than a stride that short is not worth
 * being taken from a worker (bench.ts). Set by bench/peers, 'trivial'.
 */
const MAX_CLAIM = 16
const CLAIM_MS = 0.25

/** A chunk that is being run. */
interface Passage {
  readonly chunk: ItemColumns
  readonly loaded: LoadedRun
  readonly slot: Slot
  readonly port: Port
  readonly part: Part
  readonly signalOf: () => AbortSignal
  /** Once a task asked for it. */
  signal: AbortSignal | undefined
  /** What the item gave at which `runStride` stopped, to be awaited. */
  promised: PromiseLike<unknown> | undefined
  /** No further item may start. */
  isOver: boolean
}

/** Resolves when the last part was posted. An item that fails is an outcome; nothing is thrown. */
export async function runItems(chunk: ItemColumns, loaded: LoadedRun, slot: Slot, port: Port): Promise<void> {
  const { length } = chunk.items
  const part = new Part(chunk, loaded, port)
  const signalOf = () => {
    passage.signal ??= createDrainSignal(() => isStopped(slot), whenStopped(slot))
    return passage.signal
  }
  const passage: Passage = { chunk, loaded, slot, port, part, signalOf, signal: undefined, promised: undefined, isOver: false }
  const maxStride = chunk.isSingly ? 1 : port.maxStride
  let readAt = chunk.isSingly ? 1 : 0
  let lookedAt = 0
  let stride = 1
  let isShort = false
  let place = 0
  while (place < length && !passage.isOver) {
    const isHurried = isWanted(slot)
    if (isHurried) takeNote(slot)
    if (place === readAt || isHurried) {
      const elapsed = part.elapsed()
      const isDue = elapsed > port.partMs || chunk.isSingly || isHurried
      isShort = !isHurried && place > 0 && elapsed - lookedAt < CLAIM_MS
      stride = !isHurried && elapsed < stride / 2 ? Math.min(stride * 2, maxStride) : 1
      readAt = Math.min(place + stride, length)
      lookedAt = isDue ? 0 : elapsed
      if (isDue) {
        letGo(slot, place)
        send(passage, place, false)
        await port.turn?.()
      }
    }
    const end = Math.min(place + (isShort ? MAX_CLAIM : 1), readAt, length)
    place = runStride(passage, place, claim(slot, end))
    if (passage.promised) place = await settlePromised(passage, place)
  }
  leave(slot, length)
  const flushing = port.flushOutput?.()
  if (flushing) await flushing
  send(passage, place, true)
  if (passage.signal) announceStop(slot)
}

/** Posts what the places before `to` gave. */
function send({ slot, part, loaded: { setup } }: Passage, to: number, end: boolean): void {
  beginPacking(slot, setup.timed ? sharedNow() : undefined)
  part.send(to, end)
  endPacking(slot)
}

/**
 * Runs the places from `from` on as long as nothing is to be awaited, and gives the one it came to: `to` at most. A function
 * of its own, since V8 compiles one that is called often sooner, and keeps it longer, than a loop that awaits.
 */
function runStride(passage: Passage, from: number, to: number): number {
  const { chunk, loaded, slot, port, part, signalOf } = passage
  const { items, indices, keys, attempts } = chunk
  const { run, setup } = loaded
  let place = from
  passage.isOver = place >= to // A stop puts the limit even before what has ended.
  for (; place < to; place++) {
    if (!enter(slot, place, setup.timed ? sharedNow() : undefined)) {
      passage.isOver = true
      return place
    }
    const index = typeof indices === 'number' ? indices + place : (indices[place] as number)
    let item = items[place]
    if (port.clone) {
      try {
        item = port.clone(item)
      } catch (cause) {
        part.refuse(place, refuseItem(index, keys?.[place], cause as Error))
        continue
      }
    }
    const context = new ItemContext(setup, index, keys?.[place], (attempts?.[place] ?? 0) + 1, signalOf)
    try {
      const value = run(item, context)
      if (isThenable(value)) {
        passage.promised = value
        return place
      }
      part.keep(value)
    } catch (error) {
      reject(passage, place, error)
      if (passage.isOver) return place
    }
    if (isWanted(slot)) return place + 1
  }
  return place
}

/** Gives the place to go on with. */
async function settlePromised(passage: Passage, place: number): Promise<number> {
  const { slot, part, promised } = passage
  passage.promised = undefined
  letGo(slot, place + 1)
  try {
    part.keep(await promised)
  } catch (error) {
    reject(passage, place, error)
    if (passage.isOver) return place
  }
  return place + 1
}

/** A task that stopped because of the drain is an interruption, not a failure. */
function reject(passage: Passage, place: number, error: unknown): void {
  const { signal, part } = passage
  passage.isOver = signal?.aborted === true && (error === signal.reason || (error as Error | undefined)?.name === 'AbortError')
  if (!passage.isOver) part.reject(place, 'error', error)
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}
