/**
 * The flight recorder: a few shared integers per chunk in which a worker says where it is and the main thread says
 * how far it may go. No message is needed for either, so it tells which item a thread died in, and how long that item
 * has been running, even when the thread can answer no more.
 *
 *     slot := cursor   place of the item that runs, or ran last, -1 before the first; once none begins any more, the chunk's
 *                      length and, added to it, the place that would have been next
 *             limit    the worker starts no place >= limit; set by the main thread
 *             started  when the item at `cursor`, or the packing behind it, began, in ms of `sharedNow`, modulo 2^32
 *             flags    bit 0: a drain has started
 *                      bit 1: the worker packs what the items up to the cursor gave, until it has sent it
 *             claimed  one past the last place that the worker is about to start, whatever the main thread says
 *             wanted   1: the main thread would have taken places that are claimed
 *             taken up 1: the worker is at the chunk, be it that the task has to be loaded first
 *             awaited  one past the last place that was awaited: what else is in the thread, such as a timer, ran meanwhile
 *
 * The worker stores `claimed`, then loads `limit`; the main thread stores `limit`, then loads `claimed`. All are
 * sequentially consistent, so when `takeTail` finds nothing claimed from the limit on that it set, the worker will see that
 * limit before it claims a place there: the tail is the main thread's. Otherwise the worker may or may not have passed, and
 * its answer says how far it went.
 *
 * Within what it has claimed the worker stores `cursor` and loads `limit` and `wanted` without any order, which costs next to
 * nothing. Its last store is in memory when it has died; a stop, or a wish, it sees between two items, if not at once.
 * With `started` the order matters, so where items are measured both are sequentially consistent.
 */

const CURSOR = 0
const LIMIT = 1
const STARTED = 2
const FLAGS = 3
const CLAIMED = 4
const WANTED = 5
const TAKEN_UP = 6
const AWAITED = 7
const FIELDS = 8
const DRAINING = 1
const PACKING = 2

/** A slot of one worker's recorder. */
export interface Slot {
  readonly cells: Int32Array
  readonly at: number
}

/** Cells for `slots` slots, to be given to one worker. */
export function createRecorder(slots: number): Int32Array<SharedArrayBuffer> {
  return new Int32Array(new SharedArrayBuffer(slots * FIELDS * Int32Array.BYTES_PER_ELEMENT))
}

export function slotOf(cells: Int32Array, slot: number): Slot {
  return { cells, at: slot * FIELDS }
}

/** Main thread: makes the slot ready for a chunk of `length` items. */
export function prepare({ cells, at }: Slot, length: number): void {
  Atomics.store(cells, at + FLAGS, 0)
  Atomics.store(cells, at + CLAIMED, 0)
  Atomics.store(cells, at + WANTED, 0)
  Atomics.store(cells, at + TAKEN_UP, 0)
  Atomics.store(cells, at + AWAITED, 0)
  Atomics.store(cells, at + CURSOR, -1)
  Atomics.store(cells, at + LIMIT, length)
}

/** Worker: it has read the chunk, and all before it are answered. */
export function takeUp({ cells, at }: Slot): void {
  Atomics.store(cells, at + TAKEN_UP, 1)
}

export function isTakenUp({ cells, at }: Slot): boolean {
  return Atomics.load(cells, at + TAKEN_UP) !== 0
}

/** Worker: about to start the places before `end`, one after the other. One past the last of them that it may start. */
export function claim({ cells, at }: Slot, end: number): number {
  Atomics.store(cells, at + CLAIMED, end)
  const limit = Atomics.load(cells, at + LIMIT)
  return end < limit ? end : limit
}

/**
 * Worker: about to start `place`, which it claimed. False when it may not any more. `now` is left out when nobody measures items.
 */
export function enter({ cells, at }: Slot, place: number, now: number | undefined): boolean {
  if (now === undefined) cells[at + CURSOR] = place
  else {
    Atomics.store(cells, at + STARTED, now | 0)
    Atomics.store(cells, at + CURSOR, place)
  }
  return place < (cells[at + LIMIT] as number)
}

/** Worker: whether the main thread wants some of what is claimed. */
export function isWanted({ cells, at }: Slot): boolean {
  return cells[at + WANTED] !== 0
}

/** Worker: it will say how far it is, so that the main thread can try again. */
export function takeNote({ cells, at }: Slot): void {
  Atomics.store(cells, at + WANTED, 0)
}

/** Worker: it claims nothing from `place` on for now. */
export function letGo({ cells, at }: Slot, place: number): void {
  Atomics.store(cells, at + CLAIMED, place)
}

/** Worker: `place` is awaited, and claims nothing behind it. */
export function awaitPlace({ cells, at }: Slot, place: number): void {
  Atomics.store(cells, at + AWAITED, place + 1)
  Atomics.store(cells, at + CLAIMED, place + 1)
}

/** Whether the item at `place`, the last that ran, was awaited. */
export function isAwaited({ cells, at }: Slot, place: number): boolean {
  return Atomics.load(cells, at + AWAITED) === place + 1
}

/** Worker: past the last item it was allowed, of `length`; `place` would have been next. */
export function leave({ cells, at }: Slot, length: number, place: number): void {
  Atomics.store(cells, at + CLAIMED, length)
  Atomics.store(cells, at + CURSOR, length + place)
}

/** Worker: from now on it is not in an item but in what items gave. `now` as for `enter`. */
export function beginPacking({ cells, at }: Slot, now: number | undefined): void {
  if (now !== undefined) Atomics.store(cells, at + STARTED, now | 0)
  Atomics.or(cells, at + FLAGS, PACKING)
}

/** Worker: what it packed is sent. By now the slot may have been made ready for another chunk, which this does not touch. */
export function endPacking({ cells, at }: Slot): void {
  Atomics.and(cells, at + FLAGS, ~PACKING)
}

export function isPacking({ cells, at }: Slot): boolean {
  return (Atomics.load(cells, at + FLAGS) & PACKING) !== 0
}

/** One past the last place that has begun, of `length`. */
export function begunTo(slot: Slot, length: number): number {
  const cursor = cursorOf(slot)
  return cursor < length ? cursor + 1 : cursor - length
}

/**
 * One past the last place that has ended, of `length`, while the worker is on the way with what it gave; 0 while it is in an
 * item, or before.
 */
export function packedTo(slot: Slot, length: number): number {
  return cursorOf(slot) >= length || isPacking(slot) ? begunTo(slot, length) : 0
}

/**
 * The place that runs, or ran last: -1 before the first, the chunk's length or more once the worker is past all that it may run.
 */
export function cursorOf({ cells, at }: Slot): number {
  return Atomics.load(cells, at + CURSOR)
}

export function limitOf({ cells, at }: Slot): number {
  return Atomics.load(cells, at + LIMIT)
}

/**
 * How long the place at the cursor has been running, or packed, in ms. Only meaningful while `cursorOf` and `isPacking` stay the
 * same.
 */
export function runningFor({ cells, at }: Slot, now: number): number {
  return (now - Atomics.load(cells, at + STARTED)) | 0
}

/** Main thread: takes the places from `limit` on away from the worker. False when the worker may have claimed one of them. */
export function takeTail({ cells, at }: Slot, limit: number): boolean {
  const before = Atomics.load(cells, at + LIMIT)
  if (limit >= before) return false
  Atomics.store(cells, at + LIMIT, limit)
  if (Atomics.load(cells, at + CLAIMED) <= limit) return true
  Atomics.store(cells, at + LIMIT, before) // Else an item past the limit would run without counting as running.
  Atomics.store(cells, at + WANTED, 1)
  return false
}

/** Main thread: the worker starts nothing more of this chunk and its `context.signal` is aborted. */
export function stop({ cells, at }: Slot): void {
  Atomics.or(cells, at + FLAGS, DRAINING)
  Atomics.store(cells, at + LIMIT, 0)
}

/** Main thread: of a slot it stopped: nothing has begun in it, and nothing will. */
export function isUntouched(slot: Slot): boolean {
  return cursorOf(slot) < 0 && Atomics.load(slot.cells, slot.at + CLAIMED) === 0
}

export function isStopped({ cells, at }: Slot): boolean {
  return (Atomics.load(cells, at + FLAGS) & DRAINING) !== 0
}

/** Worker: resolves when the slot is stopped. Undefined when it is already, or when this Node cannot wait. */
export function whenStopped({ cells, at }: Slot): Promise<unknown> | undefined {
  const waited = Atomics.waitAsync(cells, at + FLAGS, 0) // Not asked for while it packs.
  return waited.async ? waited.value : undefined
}

/** Main thread: wakes what `whenStopped` waits for. */
export function announceStop({ cells, at }: Slot): void {
  Atomics.notify(cells, at + FLAGS)
}

/** `performance.now()` as it was when this was loaded: a task may put another in its place, which tells no time. */
export const threadNow: () => number = performance.now.bind(performance)

/** Milliseconds of a clock that all threads of a process share: `performance.now()` alone counts from each thread's own start. */
export function sharedNow(): number {
  return Math.trunc(threadNow() + offset)
}

const offset = Number(process.hrtime.bigint() / 1000n) / 1000 - threadNow()
