import { InvalidOptionError } from '../errors.ts'
import type { Chunk, History } from '../types.ts'
import { isFileItems } from './file-items.ts'
import { type Numbers, packNumbers } from './numbers.ts'

/** What an item is to this session, decided by the checkpoint and the shard. */
export interface Selection<T> {
  /** False for an item that has settled before, or belongs to another shard. */
  isPending(index: number, key: string | undefined, item: T): boolean
  historyOf(index: number, key: string | undefined): History | undefined
  /** True for an item that may have killed an earlier process. */
  isSuspect(index: number, key: string | undefined): boolean
  /** No suspect had a higher index, as far as is known: keyed items may have moved since. -1: there are none. */
  readonly lastSuspect: number
  /**
   * Whether a suspect with this past comes after all others: it is to be given up, or processes are killed from outside, and
   * another such kill must not pass for its deed.
   */
  isLast(index: number, key: string | undefined, history: History | undefined): boolean
  /** Called with each item of an iterable as it is pulled, in order. */
  onItem?(item: T): void
  /** Called when `onItem` has had all items of a block: 1000 of them, or `count` at the end. */
  onBlock?(block: number, count: number): void
  /** True when `onBlock` will compare the block with what an earlier session saw, if only where the items ended. */
  isKnownBlock?(block: number): boolean
  /** Called once, when an iterable has ended after `count` items. What it throws ends the run. */
  onEnd?(count: number): void
}

/** The items still to be dispatched, cut into chunks as they are asked for. */
export interface Source<T> {
  /** Items there are, in this shard and others; undefined as long as nobody knows. */
  readonly total: number | undefined
  /** Pending items not taken yet, at most; undefined when nobody knows. */
  readonly left: number | undefined
  /** The items are numbers that lie together, so that the results may well be. */
  readonly areNumbers?: boolean
  /** At most `size` pending items; undefined when there are no more. */
  next(size: number): Promise<Chunk<T> | undefined>
  /** Lets go of an iterable that was not read to its end. */
  close(): Promise<void>
}

/** Items per digest of an iterable. Part of the checkpoint's meaning: a resumed run compares block by block. */
export const BLOCK_ITEMS = 1000

/** A typed array counts as an array, and so do the items of a file: its length and its items are at hand. */
export function isArrayLike<T>(items: unknown): items is readonly T[] {
  return Array.isArray(items) || (ArrayBuffer.isView(items) && !(items instanceof DataView)) || isFileItems(items)
}

/**
 * What `use` gives of the items as they are now. An iterator that was taken, and that nobody began with, is let go: `use` was
 * refused, say since an option is not one.
 */
export async function withItems<I, V>(items: I, use: (taken: I) => Promise<V>): Promise<V> {
  const taken = takeItems(items)
  try {
    return await use(taken)
  } finally {
    if (taken instanceof Taken) taken.letGo()
  }
}

/** An async iterable of which the iterator is taken. It is to be asked for that once. */
class Taken<T> implements AsyncIterable<T> {
  #iterator: AsyncIterator<T> | undefined

  constructor(items: AsyncIterable<T>) {
    this.#iterator = beginIterating(items) as AsyncIterator<T>
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    const iterator = this.#iterator as AsyncIterator<T>
    this.#iterator = undefined
    return iterator
  }

  letGo(): void {
    if (this.#iterator) letGo(this.#iterator)
  }
}

/**
 * Lets go of an iterator that did not come to its end. One that is waiting for its own next item answers only after that, so nobody
 * should wait for it; and what it throws must not replace the error that ended the run.
 */
export function letGo(iterator: Iterator<unknown> | AsyncIterator<unknown>): void {
  const end = async () => iterator.return?.()
  end().catch(() => {})
}

/**
 * The items as they are now: of an array a copy, so that what its owner does with it meanwhile (adds, removes, sorts) changes
 * neither which items there are nor which one a result belongs to. An iterable is itself; of an async one the iterator is taken,
 * since what is not listened to may be gone: the lines of a `readline` interface are.
 */
export function takeItems<I>(items: I): I {
  if (Array.isArray(items)) return (shareNumbers(items) ?? [...items]) as I
  if (isAsyncIterable(items)) return new Taken(items) as I
  if (!isArrayLike(items) || isFileItems(items)) return items
  const { slice } = Object.getPrototypeOf(Uint8Array.prototype) // Buffer's own gives a view.
  return slice.call(items)
}

function isAsyncIterable(items: unknown): items is AsyncIterable<unknown> {
  return typeof items === 'object' && items !== null && Symbol.asyncIterator in items && !isArrayLike(items)
}

/**
 * Their iterator. What taking it throws, be it a getter, comes with the first item that is asked for: whoever asks can end a run
 * with it.
 */
export function beginIterating<T>(items: Iterable<T> | AsyncIterable<T>): Iterator<T> | AsyncIterator<T> {
  try {
    return Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]()
  } catch (error) {
    return {
      next: () => {
        throw error
      },
    }
  }
}

/**
 * The items, when all are numbers and come as they lie, in memory that threads share: what a worker is sent of them is a view.
 */
function shareNumbers(items: readonly unknown[]): Numbers | undefined {
  if (typeof items[0] !== 'number' || items[Symbol.iterator] !== Array.prototype[Symbol.iterator]) return undefined
  return packNumbers(items, SharedArrayBuffer)
}

/** @throws InvalidOptionError for what can neither be indexed nor iterated. */
export function checkItems(items: unknown): void {
  if (isArrayLike(items)) return
  const isObject = (typeof items === 'object' && items !== null) || typeof items === 'function'
  if (isObject && (Symbol.iterator in items || Symbol.asyncIterator in items)) return
  throw new InvalidOptionError(
    'items',
    'an array, an iterable or an async iterable as the second argument, behind the task',
    items,
  )
}

/** Who is to be given up comes last: as a failure on record it would be tried again if another killed the process yet. */
export function byCrashes(a: { readonly crashes: number }, b: { readonly crashes: number }): number {
  return a.crashes - b.crashes
}

/** What earlier sessions know of the items at `indices`; undefined when it is nothing. */
export function historiesOf<T>(
  indices: Uint32Array,
  keyOf: (place: number, index: number) => string | undefined,
  selection: Selection<T>,
): Map<number, History> | undefined {
  let histories: Map<number, History> | undefined
  for (let place = 0; place < indices.length; place++) {
    const index = indices[place] as number
    const history = selection.historyOf(index, keyOf(place, index))
    if (history) (histories ??= new Map()).set(index, history)
  }
  return histories
}
