import { InvalidOptionError } from '../errors.ts'

/**
 * Most places of an array that V8 takes for one block of memory when they are made by its `length`. With more it becomes a
 * dictionary, in which each takes ten times as long, and of which the process dies (`invalid table size`) where it was not one
 * from the start. What `concat` gives stays a block.
 */
const MAX_BY_LENGTH = 2 ** 25

/** Most places there may be in a block: what V8 holds is a few more. */
const MAX_PLACES = 2 ** 27 - 2 ** 10

/** Places that are added at once, by `concat`. */
const PIECE = 2 ** 22

/**
 * Empty places, made while the first thread comes up: a million take 3 ms. An array that has held a fraction keeps numbers
 * side by side; another would be made anew for the first of them, while a worker waits.
 *
 * @throws InvalidOptionError for more than an array holds.
 */
export function makePlaces<R>(length: number, forNumbers: boolean): R[] {
  const places: unknown[] = forNumbers ? [0.5] : []
  places.length = 0
  return lengthen(places as R[], length)
}

/**
 * `results` with `length` places or more, empty behind those it had: itself where it can be. In few steps: lengthened chunk by chunk
 * it is copied as often. `isAll`: there will be no more than that.
 *
 * @throws InvalidOptionError for more than an array holds.
 */
export function lengthen<R>(results: R[], length: number, isAll = true): R[] {
  if (length > MAX_PLACES)
    throw new InvalidOptionError('collect', `false for more than ${MAX_PLACES} items, which no array holds`, true)
  const end = isAll ? length : Math.min(length + (length >> 1), MAX_PLACES)
  if (end <= MAX_BY_LENGTH) {
    results.length = end
    return results
  }
  const empty: R[] = []
  empty.length = PIECE
  const pieces: R[][] = []
  for (let at = results.length; at < end; at += PIECE) pieces.push(end - at < PIECE ? empty.slice(0, end - at) : empty)
  return results.concat(...pieces)
}

/** `results` with `length` places, as `lengthen` gives it where they are more. */
export function fitTo<R>(results: R[], length: number): R[] {
  // By its length it would become a dictionary, however few are taken away.
  if (length > MAX_BY_LENGTH) while (results.length > length) results.pop()
  return results.length === length ? results : lengthen(results, length)
}
