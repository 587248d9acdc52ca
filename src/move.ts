import { InvalidOptionError } from './errors.ts'

/** As they were when this was loaded: a task may put others in their place. */
const { ArrayBuffer, Uint8Array } = globalThis

const MOVED = Symbol.for('pawl.moved')

interface Moved {
  readonly [MOVED]: true
  readonly value: ArrayBuffer | ArrayBufferView
}

/**
 * Returned by a task as `return move(bytes)`: the buffer goes to the main thread without being copied, and is
 * detached in the worker. Takes an ArrayBuffer, a typed array, a Buffer or a DataView; a view of a part of a larger
 * buffer is copied, since its neighbours may still be in use.
 *
 * @throws InvalidOptionError when `value` is nothing that can be transferred.
 */
export function move<V extends ArrayBuffer | ArrayBufferView>(value: V): V {
  if (!(value instanceof ArrayBuffer) && !ArrayBuffer.isView(value)) {
    throw new InvalidOptionError('move()', 'an ArrayBuffer, a typed array or a DataView', value)
  }
  return { [MOVED]: true, value } satisfies Moved as unknown as V
}

/** The value inside `move()`, with its buffer added to `transfer` where it can be given away; any other value as it is. */
export function unwrapMoved(value: unknown, transfer: Set<ArrayBuffer>): unknown {
  if (typeof value !== 'object' || value === null || !(MOVED in value)) return value
  const whole = withoutNeighbours((value as Moved).value)
  const buffer = ArrayBuffer.isView(whole) ? whole.buffer : whole
  // Node 20 posts a buffer that was given away before without a word, and the message is lost; cloning it is refused.
  if (buffer instanceof ArrayBuffer && buffer.byteLength > 0) transfer.add(buffer)
  return whole
}

/** A copy of a view that sees only a part of its buffer: posted as it is, it would take all of the buffer along. */
function withoutNeighbours(value: Moved['value']): Moved['value'] {
  if (!ArrayBuffer.isView(value) || value.byteLength === value.buffer.byteLength) return value
  if (!(value.buffer instanceof ArrayBuffer)) return value
  const copy = value.buffer.slice(value.byteOffset, value.byteOffset + value.byteLength)
  const View = (Buffer.isBuffer(value) ? Uint8Array : value.constructor) as new (bytes: ArrayBuffer) => ArrayBufferView
  return new View(copy)
}
