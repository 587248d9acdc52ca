import { types } from 'node:util'
import { InvalidOptionError } from './errors.ts'
import { entriesOf, membersOf } from './members.ts'

/** As they were when this was loaded: a task may put others in their place. */
const { ArrayBuffer, Buffer, Set, WeakSet } = globalThis
const { apply } = Reflect
const { getOwnPropertyDescriptor, keys } = Object
const { add, has } = WeakSet.prototype

/**
 * What holds so many bytes or more is given away by pawl itself where nobody else holds it, rather than copied, which takes twice
 * as many beside them for a while. Nothing smaller: from the first buffer on that leaves a thread, V8 looks at each access to a
 * typed array whether its buffer is still there, and loops over them take longer, in all of the task. Set by
 * bench/carriers.bench.mjs.
 */
export const MIN_GIVEN = 2 ** 26

/** What tasks of this thread gave away. Of the thread, not of this module: a task may import another copy of pawl. */
interface Moved {
  /** How many there were. */
  count: number
  readonly buffers: WeakSet<ArrayBuffer>
}

const MOVED = Symbol.for('pawl.moved')
const ofThread = globalThis as { [MOVED]?: Moved }
if (!ofThread[MOVED]) Object.defineProperty(ofThread, MOVED, { value: { count: 0, buffers: new WeakSet() } satisfies Moved })
const moved = ofThread[MOVED] as Moved

/**
 * Gives `value` back for a task to return, alone or anywhere in its result, as in `return { id, pixels: move(pixels) }`:
 * its buffer goes to the main thread without being copied, and is detached in the worker. Takes an ArrayBuffer, a typed
 * array, a Buffer or a DataView; of a view of a part of a larger buffer it gives a copy, since its neighbours may still be
 * in use. What is no part of a result stays as it is, and with a checkpoint the bytes that are recorded are a copy.
 *
 * @throws InvalidOptionError when `value` is nothing that can be transferred.
 */
export function move<V extends ArrayBuffer | ArrayBufferView>(value: V): V {
  if (!types.isArrayBuffer(value) && !ArrayBuffer.isView(value)) {
    throw new InvalidOptionError('move()', 'an ArrayBuffer, a typed array or a DataView', value)
  }
  const whole = withoutNeighbours(value)
  const buffer = bufferOf(whole)
  if (types.isArrayBuffer(buffer)) giveAway(buffer)
  return whole as V
}

/** Has `buffer` leave this thread with the result it lies in. */
export function giveAway(buffer: ArrayBuffer): void {
  apply(add, moved.buffers, [buffer])
  moved.count++
}

/** Whether `buffer` is to leave this thread, or has left it. */
export function isGivenAway(buffer: ArrayBuffer): boolean {
  return moved.count > 0 && apply(has, moved.buffers, [buffer])
}

/** A copy of a view that sees only a part of its buffer: posted as it is, it would take all of the buffer along. */
function withoutNeighbours(value: ArrayBuffer | ArrayBufferView): ArrayBuffer | ArrayBufferView {
  if (!ArrayBuffer.isView(value) || value.byteLength === value.buffer.byteLength) return value
  if (!types.isArrayBuffer(value.buffer)) return value
  const copy = value.buffer.slice(value.byteOffset, value.byteOffset + value.byteLength)
  if (Buffer.isBuffer(value)) return Buffer.from(copy)
  const View = value.constructor as new (bytes: ArrayBuffer) => ArrayBufferView
  return new View(copy)
}

const bufferOf = (value: ArrayBuffer | ArrayBufferView) => (ArrayBuffer.isView(value) ? value.buffer : value)

/** How many buffers were given away in this thread. */
export function countMoves(): number {
  return moved.count
}

/** The buffers in `values`, wherever they are, that are to leave this thread and are still in it. Calls no getter. */
export function findMoved(values: ArrayLike<unknown>): ArrayBuffer[] {
  const found: ArrayBuffer[] = []
  const seen = new Set<unknown>()
  const open: unknown[] = []
  const meet = (value: unknown) => {
    if (typeof value !== 'object' || value === null || seen.has(value)) return
    seen.add(value)
    open[open.length] = value
  }
  for (let at = 0; at < values.length; at++) {
    meet(values[at])
    try {
      while (open.length > 0) visit(open.pop() as object, meet, found)
    } catch {
      open.length = 0 // A proxy refuses to be looked into, and will be refused itself.
    }
  }
  return found
}

/** Adds to `found` what of `value` was moved, and lets `meet` have what lies in it. */
function visit(value: object, meet: (part: unknown) => void, found: ArrayBuffer[]): void {
  if (ArrayBuffer.isView(value)) return meet(value.buffer)
  if (types.isArrayBuffer(value)) {
    // Node 20 posts a buffer that was given away before without a word, and the message is lost; cloning it is refused.
    if (value.byteLength > 0 && isGivenAway(value)) found[found.length] = value
    return
  }
  const inside = types.isMap(value) ? entriesOf(value) : types.isSet(value) ? membersOf(value) : []
  for (let at = 0; at < inside.length; at++) meet(inside[at])
  const names = keys(value)
  for (let at = 0; at < names.length; at++) meet(getOwnPropertyDescriptor(value, names[at] as string)?.value)
}
