import { InvalidOptionError } from './errors.ts'

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
  const inner = (value as Moved).value
  const buffer = ArrayBuffer.isView(inner) ? inner.buffer : inner
  if (buffer instanceof ArrayBuffer && buffer.byteLength === inner.byteLength) transfer.add(buffer)
  return inner
}
