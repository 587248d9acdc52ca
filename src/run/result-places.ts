import { InvalidOptionError } from '../errors.ts'
import type { ResolvedOptions } from '../options/options.ts'

/**
 * Most places of an array that V8 takes for one block of memory when they are made by its `length`. With more it becomes a
 * dictionary, in which each takes ten times as long, and of which the process dies (`invalid table size`) where it was not one
 * from the start. What `concat` gives stays a block.
 */
const MAX_BY_LENGTH = 2 ** 25

/** Most places there may be in a block: what V8 holds is a few more. */
export const MAX_PLACES = 2 ** 27 - 2 ** 10

/** Places that are added at once, by `concat`. */
const PIECE = 2 ** 22

/** @throws InvalidOptionError where results of `total` items are to be collected, all in one run, which no array holds. */
export function refuseTooMany({ collect, shard }: Pick<ResolvedOptions, 'collect' | 'shard'>, total: number | undefined): void {
  if (collect && shard === undefined && total !== undefined && total > MAX_PLACES)
    throw new InvalidOptionError('collect', `false for more than ${MAX_PLACES} items, which no array holds`, true)
}

/**
 * Empty places, made while the first thread comes up: a million take 3 ms. An array that has held a fraction keeps numbers
 * side by side; another would be made anew for the first of them, while a worker waits.
 */
export function makePlaces<R>(length: number, forNumbers: boolean): R[] {
  const places: unknown[] = forNumbers ? [0.5] : []
  places.length = 0
  return lengthen(places as R[], length)
}

/**
 * `results` with `length` places or more, empty behind those it had: itself where it can be. In few steps: lengthened chunk by chunk
 * it is copied as often. `isAll`: there will be no more than that. More than a block holds are those of all shards, of which one
 * fills a few.
 */
export function lengthen<R>(results: R[], length: number, isAll = true): R[] {
  const end = isAll ? length : Math.max(length, Math.min(length + (length >> 1), MAX_PLACES))
  if (end <= MAX_BY_LENGTH || end > MAX_PLACES) {
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
  if (length > MAX_BY_LENGTH && results.length <= MAX_PLACES) while (results.length > length) results.pop()
  return results.length === length ? results : lengthen(results, length)
}
