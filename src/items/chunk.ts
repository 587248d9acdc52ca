import type { Chunk, FulfilledBatch, History } from '../types.ts'

/**
 * Pieces of chunks, and how large they are: what planner and workers both know. Columns are shared with the whole where that
 * costs nothing.
 */

/**
 * Most items in a chunk the planner chooses: bounds a message when items take next to no time. Workers make room for so many
 * results at once. Set by bench/peers, 'trivial'.
 */
export const MAX_AUTO_ITEMS = 32_768

/**
 * So many items tell what carrying one costs; of fewer it is mostly the cost of their message, unless that took long. Chunks
 * never get shorter for what light items cost to carry: what is not measured any more cannot be found to cost less. Set by
 * bench/peers, 'objects'.
 */
export const TELLING = 16

/** A message that took so long, in ms, did so for what is in it: one that holds next to nothing takes some hundredths. */
export const HEAVY_MS = 1

/**
 * Whether a message about `items` that took `took` ms tells what carrying one of them costs, which is held to be `known` ms. A
 * short message that took less than that for all of them does: a heavy one may have been a pause of its thread.
 */
export function tellsCarrying(items: number, took: number, known: number): boolean {
  return items >= TELLING || took >= HEAVY_MS || took < known * items
}

/** Places [from, to) of `chunk`. */
export function cut<T>(chunk: Chunk<T>, from: number, to: number): Chunk<T> {
  if (from === 0 && to === chunk.items.length) return chunk
  return {
    items: cutColumn(chunk.items, from, to),
    indices: chunk.indices.subarray(from, to),
    ...(chunk.keys ? { keys: chunk.keys.slice(from, to) } : {}),
    ...(chunk.histories ? { histories: chunk.histories } : {}),
  }
}

/** The items of a batch at `places`, without the bytes a codec made of all of them. */
export function pickBatch<R>(
  { indices, keys, attempts, values }: FulfilledBatch<R>,
  places: readonly number[],
): FulfilledBatch<R> {
  return {
    indices: Uint32Array.from(places, (at) => indices[at] as number),
    ...(keys ? { keys: places.map((at) => keys[at] as string) } : {}),
    ...(attempts ? { attempts: Uint32Array.from(places, (at) => attempts[at] as number) } : {}),
    ...(values ? { values: places.map((at) => values[at] as R) } : {}),
  }
}

/** The past of the item at `place`; undefined when it was never tried. */
export function historyAt(chunk: Chunk, place: number): History | undefined {
  return chunk.histories?.get(chunk.indices[place] as number)
}

/** How many attempts at the item at `place` came after those of `before`, its past as the session began. */
export function attemptsSince(chunk: Chunk, place: number, before: History | undefined): number {
  return (historyAt(chunk, place)?.attempts ?? 0) - (before?.attempts ?? 0)
}

/** The past of the chunk's items with `changes` put over it, by index. */
export function withHistories<T>(chunk: Chunk<T>, changes: Iterable<readonly [number, History]>): Chunk<T> {
  return { ...chunk, histories: new Map([...(chunk.histories ?? []), ...changes]) }
}

/** How many crashes of the item count towards `maxCrashes`. */
export function countCrashes(history: History | undefined): number {
  return history ? history.crashes - (history.pardoned ?? 0) : 0
}

/** Attempts each place had before, or undefined when none had any. */
export function attemptsBefore(chunk: Chunk): Uint32Array | undefined {
  const { histories } = chunk
  if (!histories || histories.size === 0) return undefined
  return Uint32Array.from(chunk.indices, (index) => histories.get(index)?.attempts ?? 0)
}

function cutColumn<T>(column: ArrayLike<T>, from: number, to: number): ArrayLike<T> {
  return 'slice' in column ? (column as T[]).slice(from, to) : Array.from({ length: to - from }, (_, i) => column[from + i] as T)
}
