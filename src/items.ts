import { countCrashes, historyAt } from './chunk.ts'
import { InvalidOptionError } from './errors.ts'
import { fitFileItems, isFileItems, pickFileItems } from './file-items.ts'
import { type Turn, untilEventLoopTurns } from './turn.ts'
import type { Chunk, History } from './types.ts'

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
  /** Called with all items of an iterable as they are pulled, in order, 1000 at a time. */
  onBlock?(block: number, items: readonly T[]): void
  /** True when `onBlock` will compare the block with what an earlier session saw. */
  isKnownBlock?(block: number): boolean
}

/** The items still to be dispatched, cut into chunks as they are asked for. */
export interface Source<T> {
  /** Items there are, in this shard and others; undefined as long as nobody knows. */
  readonly total: number | undefined
  /** Pending items not taken yet, at most; undefined when nobody knows. */
  readonly left: number | undefined
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
 * The items as they are now: of an array a copy, so that what its owner does with it meanwhile (adds, removes, sorts) changes
 * neither which items there are nor which one a result belongs to. An iterable is itself.
 */
export function takeItems<I>(items: I): I {
  if (Array.isArray(items)) return (shareNumbers(items) ?? [...items]) as I
  if (!isArrayLike(items) || isFileItems(items)) return items
  const { slice } = Object.getPrototypeOf(Uint8Array.prototype) // Buffer's own gives a view.
  return slice.call(items)
}

/** The items, when all are numbers, in memory that threads share: what a worker is sent of them is a view. */
function shareNumbers(items: readonly unknown[]): Float64Array | undefined {
  const { length } = items
  if (typeof items[0] !== 'number') return undefined
  const numbers = new Float64Array(new SharedArrayBuffer(length * Float64Array.BYTES_PER_ELEMENT))
  for (let at = 0; at < length; at++) {
    const item = items[at]
    if (typeof item !== 'number') return undefined
    numbers[at] = item
  }
  return numbers
}

/** The items [from, to), a view of them when they are in memory that threads share. */
function sliceItems<T>(items: readonly T[], from: number, to: number): readonly T[] {
  if (items instanceof Float64Array && items.buffer instanceof SharedArrayBuffer) return items.subarray(from, to) as typeof items
  return items.slice(from, to)
}

/** @throws InvalidOptionError for what can neither be indexed nor iterated. */
export function checkItems(items: unknown): void {
  if (isArrayLike(items)) return
  const isObject = (typeof items === 'object' && items !== null) || typeof items === 'function'
  if (isObject && (Symbol.iterator in items || Symbol.asyncIterator in items)) return
  throw new InvalidOptionError('items', 'an array, an iterable or an async iterable', items)
}

/** Items at hand. `keys` were made of all of them before anything ran; `skipped` says how many are not pending. */
export function arraySource<T>(
  items: readonly T[],
  keys: readonly string[] | undefined,
  selection: Selection<T> | undefined,
  pending: number,
): Source<T> {
  let at = 0
  let left = pending
  const isFile = isFileItems(items)
  const atHand = isFile ? [] : items // A line is not parsed to ask whether it is pending: of an array nobody looks at the item.
  const { first: suspects, last } = selection ? findSuspects(items.length, atHand, keys, selection) : { first: [], last: [] }
  const isSuspect = new Set([...suspects, ...last])

  const pick = (indices: Uint32Array): readonly T[] =>
    isFile ? pickFileItems(items, indices) : Array.from(indices, (index) => items[index] as T)

  const build = (indices: Uint32Array, alone: boolean): Chunk<T> => {
    const first = indices[0] as number
    const isRange = indices[indices.length - 1] === first + indices.length - 1
    const chosen = isRange ? sliceItems(items, first, first + indices.length) : pick(indices)
    const histories = selection && historiesOf(indices, (_, index) => keys?.[index], selection)
    left -= indices.length
    return {
      items: chosen,
      indices,
      ...(keys ? { keys: Array.from(indices, (index) => keys[index] as string) } : {}),
      ...(histories ? { histories } : {}),
      ...(alone ? { alone } : {}),
    }
  }

  return {
    total: items.length,
    get left() {
      return left
    },
    next: async (size) => {
      const suspect = suspects.shift()
      if (suspect !== undefined) return build(Uint32Array.of(suspect), true)
      const end = Math.min(items.length, at + size)
      if (!selection) {
        if (at >= end) return undefined
        const all = countFrom(at, end)
        const indices = isFile ? all.subarray(0, fitFileItems(items, all)) : all
        at += indices.length
        return build(indices, false)
      }
      const indices: number[] = []
      for (; at < items.length && indices.length < size; at++) {
        if (!isSuspect.has(at) && selection.isPending(at, keys?.[at], atHand[at] as T)) indices.push(at)
      }
      if (isFile) {
        const fitting = fitFileItems(items, indices)
        at = indices[fitting] ?? at
        indices.length = fitting
      }
      if (indices.length > 0) return build(Uint32Array.from(indices), false)
      const charged = last.shift()
      return charged === undefined ? undefined : build(Uint32Array.of(charged), true)
    },
    close: async () => {},
  }
}

/** The integers [first, end). */
function countFrom(first: number, end: number): Uint32Array {
  const indices = new Uint32Array(end - first)
  for (let i = 0; i < indices.length; i++) indices[i] = first + i
  return indices
}

/** Pending items that may have killed a process. */
function findSuspects<T>(
  length: number,
  items: readonly T[],
  keys: readonly string[] | undefined,
  selection: Selection<T>,
): { first: number[]; last: number[] } {
  const first: number[] = []
  const last: { readonly index: number; readonly crashes: number }[] = []
  if (selection.lastSuspect < 0) return { first, last: [] }
  for (let index = 0; index < length; index++) {
    const key = keys?.[index]
    if (!selection.isSuspect(index, key) || !selection.isPending(index, key, items[index] as T)) continue
    const history = selection.historyOf(index, key)
    if (selection.isLast(index, key, history)) last.push({ index, crashes: countCrashes(history) })
    else first.push(index)
  }
  return { first, last: last.sort(byCrashes).map(({ index }) => index) }
}

/** Who is to be given up comes last: as a failure on record it would be tried again if another killed the process yet. */
function byCrashes(a: { readonly crashes: number }, b: { readonly crashes: number }): number {
  return a.crashes - b.crashes
}

function historiesOf<T>(
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

/** Most items of an iterable that are held back for a suspect which is still to come. Higher: more in memory. */
const MAX_HELD = 10_000

/**
 * Items of an iterable, pulled when a chunk is asked for and not before. A chunk is not held back for an item that
 * takes its time: it goes with what is there. Nor is it for a suspect that an async iterable has not given yet: whoever feeds
 * it may wait for the outcome of what is held.
 */
export function iterableSource<T>(
  items: Iterable<T> | AsyncIterable<T>,
  keyOf: ((item: T, index: number) => string) | undefined,
  selection: Selection<T> | undefined,
): Source<T> {
  const isAsync = Symbol.asyncIterator in items
  const answersAtOnce = !isAsync && selection?.isKnownBlock === undefined
  const iterator = isAsync ? items[Symbol.asyncIterator]() : items[Symbol.iterator]()
  let pulled = 0
  let total: number | undefined
  let waiting: Promise<IteratorResult<T>> | undefined
  let block: T[] = []
  let ahead: IteratorResult<T>[] = []
  let isCompared = false
  let isClosed = false
  /** Pulled and pending, and not given out. */
  const held = { items: [] as T[], indices: [] as number[], keys: [] as string[] }
  const last: { readonly chunk: Chunk<T>; readonly crashes: number }[] = []

  const pull = async (mayWait: boolean, untilTurn: Turn): Promise<IteratorResult<T> | undefined> => {
    if (pulled % BLOCK_ITEMS === 0 && ahead.length === 0) {
      isCompared = selection?.isKnownBlock?.(pulled / BLOCK_ITEMS) ?? false
      if (isCompared && !mayWait) return undefined
      if (isCompared) await compare(pulled / BLOCK_ITEMS)
    }
    if (ahead.length > 0) return ahead.shift()
    if (!isAsync) return checkResult((iterator as Iterator<T>).next())
    waiting ??= (iterator as AsyncIterator<T>).next()
    const result = await (mayWait ? waiting : untilTurn(waiting))
    if (result === undefined && !mayWait) return undefined // It takes its time.
    waiting = undefined
    return checkResult(result)
  }

  /** Of a block that was seen before, no item is given out until all are known to be the same: what one came to would be recorded. */
  const compare = async (known: number) => {
    const pulling: IteratorResult<T>[] = []
    const items: T[] = []
    while (items.length < BLOCK_ITEMS) {
      const result = checkResult(await iterator.next())
      pulling.push(result)
      if (result.done) break
      items.push(result.value)
    }
    if (items.length > 0) selection?.onBlock?.(known, items)
    ahead = pulling
  }

  const endBlock = () => {
    if (selection?.onBlock && block.length > 0) selection.onBlock(Math.floor((pulled - 1) / BLOCK_ITEMS), block)
    block = []
  }

  const next = async (size: number): Promise<Chunk<T> | undefined> => {
    const untilTurn = untilEventLoopTurns()
    const isSuspectAhead = () => pulled <= (selection?.lastSuspect ?? -1) && held.items.length < MAX_HELD
    while (total === undefined && (held.items.length < size || isSuspectAhead())) {
      const result = answersAtOnce
        ? checkResult((iterator as Iterator<T>).next())
        : await pull(held.items.length === 0 || (!isAsync && isSuspectAhead()), untilTurn)
      if (!result || isClosed) break // An iterator that was let go says that it is done, which is not its end.
      if (result.done) {
        total = pulled
        endBlock()
        break
      }
      const index = pulled++
      const item = result.value
      const key = keyOf?.(item, index)
      if (selection?.onBlock && !isCompared && block.push(item) === BLOCK_ITEMS) endBlock()
      if (selection && !selection.isPending(index, key, item)) continue
      if (selection?.isSuspect(index, key)) {
        const chunk = { ...build([item], [index], key === undefined ? undefined : [key], selection), alone: true }
        const history = historyAt(chunk, 0)
        if (!selection.isLast(index, key, history)) return chunk
        last.push({ chunk, crashes: countCrashes(history) })
        continue
      }
      held.items.push(item)
      held.indices.push(index)
      if (key !== undefined) held.keys.push(key)
    }
    if (held.items.length === 0) return total === undefined ? undefined : last.sort(byCrashes).shift()?.chunk
    const keys = keyOf ? held.keys.splice(0, size) : undefined
    return build(held.items.splice(0, size), held.indices.splice(0, size), keys, selection)
  }

  return {
    get total() {
      return total
    },
    get left() {
      return total === undefined ? undefined : held.items.length + last.length
    },
    next,
    close: async () => {
      isClosed = true
      if (total !== undefined) return
      const letGo = async () => iterator.return?.()
      // An iterator that is waiting for its own next item answers return() only after that, so nobody should wait for it; and
      // what it throws must not replace the error that ended the run.
      letGo().catch(() => {})
    },
  }
}

/** As `for…of` does: what is no object would be taken for an item for ever. */
function checkResult<T>(result: IteratorResult<T> | undefined): IteratorResult<T> {
  if (typeof result === 'object' && result !== null) return result
  throw new TypeError(`Iterator result ${String(result)} is not an object`)
}

function build<T>(items: T[], indices: number[], keys: string[] | undefined, selection: Selection<T> | undefined): Chunk<T> {
  const column = new Uint32Array(indices)
  const histories = selection && historiesOf(column, (place) => keys?.[place], selection)
  return { items, indices: column, ...(keys ? { keys } : {}), ...(histories ? { histories } : {}) }
}
