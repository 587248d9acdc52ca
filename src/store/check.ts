import { InvalidOptionError } from '../errors.ts'
import { type ByteRange, KEY, MAX_OBJECT_BYTES } from './store.ts'

/** Refuses, with `InvalidOptionError`, a key that does not match KEY. */
export function checkKey(key: string): void {
  if (typeof key !== 'string' || !KEY.test(key)) {
    throw new InvalidOptionError(
      'key',
      "segments of letters, digits, '_', '.' and '-', none beginning with '.', joined by '/'",
      key,
    )
  }
}

/** Refuses, with `InvalidOptionError`, an object of `size` bytes when it is larger than MAX_OBJECT_BYTES. */
export function checkSize(size: number): void {
  if (size > MAX_OBJECT_BYTES) {
    throw new InvalidOptionError('bytes', `an object of at most ${MAX_OBJECT_BYTES} bytes`, size)
  }
}

/**
 * What of `range` lies within an object of `size` bytes; all of it without a range. Refuses ranges that are not integers >= 0.
 */
export function cutRange(size: number, range: ByteRange = { start: 0, length: size }): ByteRange {
  const { start, length } = range
  if (![start, length].every((it) => Number.isSafeInteger(it) && it >= 0)) {
    throw new InvalidOptionError('range', '{ start, length } in integers >= 0', range)
  }
  return { start, length: Math.max(0, Math.min(length, size - start)) }
}
