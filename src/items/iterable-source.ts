import { InvalidOptionError } from '../errors.ts'
import { SLICE_MS, turn } from '../turn.ts'
import type { Chunk } from '../types.ts'
import { countCrashes, historyAt } from './chunk.ts'
import { BLOCK_ITEMS, beginIterating, byCrashes, historiesOf, letGo, type Selection, type Source } from './items.ts'
import { createPull } from './pull-async.ts'

/** How many items one run takes, and of which ones there are no more, for the message. */
export interface ItemLimit {
  readonly most: number
  readonly which: string
}

/** An index has 32 bits. */
const INDICES: ItemLimit = { most: 2 ** 32 - 1, which: 'of them in one run' }

/** Most items of an iterable that are held back for a suspect which is still to come. Higher: more in memory. */
const MAX_HELD = 10_000

/**
 * The clock, which takes as long as a small item, is looked at after so many items at most, and when they take longer than this,
 * in ms, after each.
 */
const LOOK_ITEMS = 256
const LOOK_MS = 0.1

/**
 * Items of an iterable, pulled when a chunk is asked for and not before. A chunk is not held back for an item that
 * takes its time: it goes with what is there. Nor is it for a suspect that an async iterable has not given yet: whoever feeds
 * it may wait for the outcome of what is held. One that gives more than `most` ends the run: one without an end gives them some
 * time, and their indices would be those of the first again.
 */
export function iterableSource<T>(
  items: Iterable<T> | AsyncIterable<T>,
  keyOf: ((item: T, index: number) => string) | undefined,
  selection: Selection<T> | undefined,
  { most, which }: ItemLimit = INDICES,
): Source<T> {
  const isAsync = Symbol.asyncIterator in items
  const iterator = beginIterating(items)
  let wanted = 0
  let pulled = 0
  let total: number | undefined
  let hasEnded = false
  let isClosed = false
  const blocks = watchBlocks(iterator, selection, () => isClosed)
  /** Pulled and pending, and not given out. */
  const held = { items: [] as T[], indices: [] as number[], keys: [] as string[] }
  let alone: Chunk<T> | undefined
  const last: { readonly chunk: Chunk<T>; readonly crashes: number }[] = []

  const isSuspectAhead = () => selection !== undefined && pulled <= selection.lastSuspect && held.items.length < MAX_HELD
  const isWanted = () =>
    wanted > 0 && total === undefined && !isClosed && !alone && (held.items.length < wanted || isSuspectAhead())
  const mayGoOn = () => isWanted() && !blocks.isDue(pulled) && !blocks.slice.isOver

  const accept = (result: IteratorResult<T>) => {
    checkResult(result)
    if (isClosed) return // An iterator that was let go says that it is done, which is not its end.
    blocks.slice.tick()
    if (result.done) {
      hasEnded = true
      blocks.end(pulled)
      selection?.onEnd?.(pulled)
      total = pulled
      return
    }
    if (pulled === most) throw new InvalidOptionError('items', `at most ${most} ${which}`, most + 1)
    const item = result.value
    const index = pulled++
    const key = keyOf?.(item, index)
    if (selection && !isToHold(selection, item, index, key)) return
    held.items.push(item)
    held.indices.push(index)
    if (key !== undefined) held.keys.push(key)
  }

  const isToHold = (chosen: Selection<T>, item: T, index: number, key: string | undefined): boolean => {
    blocks.add(item, pulled)
    if (!chosen.isPending(index, key, item)) return false
    if (!chosen.isSuspect(index, key)) return true
    const chunk = { ...build([item], [index], key === undefined ? undefined : [key], chosen), alone: true }
    const history = historyAt(chunk, 0)
    if (chosen.isLast(index, key, history)) last.push({ chunk, crashes: countCrashes(history) })
    else alone = chunk
    return false
  }

  const pullAhead = (ahead: IteratorResult<T>[]) => {
    while (isWanted() && ahead.length > 0) accept(ahead.shift() as IteratorResult<T>)
  }
  const pullNow = () => {
    while (mayGoOn()) accept((iterator as Iterator<T>).next())
  }
  const pullAsync = createPull(iterator as AsyncIterator<T>, {
    isWanted: mayGoOn,
    mayWait: () => held.items.length === 0,
    accept,
  })

  /** Pulls until there is a chunk, or what there is should not wait. */
  const pull = async () => {
    blocks.slice.begin()
    while (isWanted()) {
      if (blocks.slice.isOver) {
        await blocks.slice.rest()
        continue
      }
      if (blocks.isDue(pulled)) {
        const isKnown = selection?.isKnownBlock?.(pulled / BLOCK_ITEMS) === true
        if (isKnown && held.items.length > 0 && (isAsync || !isSuspectAhead())) return
        await blocks.begin(pulled, isKnown)
      }
      const { ahead } = blocks
      if (ahead) pullAhead(ahead)
      else if (!isAsync) pullNow()
      else if (!(await pullAsync())) return
    }
  }

  const next = async (size: number): Promise<Chunk<T> | undefined> => {
    wanted = size
    await pull()
    wanted = 0
    if (alone) {
      const chunk = alone
      alone = undefined
      return chunk
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
      if (!hasEnded && !isClosed) letGo(iterator)
      isClosed = true
    },
  }
}

/**
 * The blocks of an iterable: `selection` is told of each item as it comes, and of each block once. `pulled`: how many items came
 * so far.
 */
function watchBlocks<T>(iterator: Iterator<T> | AsyncIterator<T>, selection: Selection<T> | undefined, isClosed: () => boolean) {
  /** Items of the block that came. */
  let count = 0
  let lastBegun = -1
  let ahead: IteratorResult<T>[] | undefined
  const slice = createSlice()

  const see = (item: T) => {
    selection?.onItem?.(item)
    count++
  }
  const end = (block: number) => {
    if (count > 0) selection?.onBlock?.(block, count)
    count = 0
  }
  const pullBlock = async () => {
    const results: IteratorResult<T>[] = []
    while (results.length < BLOCK_ITEMS && !isClosed()) {
      const result = checkResult(await iterator.next())
      // A copy: an iterator may give one object each time, with another value in it.
      results.push(result.done ? { done: true, value: undefined } : { done: false, value: result.value })
      if (result.done) break
      see(result.value)
      slice.tick()
      if (slice.isOver) await slice.rest()
    }
    return results
  }

  return {
    /** The next item is the first of a block that has not begun. */
    isDue: (pulled: number) => selection?.isKnownBlock !== undefined && Math.floor(pulled / BLOCK_ITEMS) > lastBegun,
    /**
     * Of a block that was seen before, no item is given out until all are known to be the same: what one came to would be
     * recorded.
     */
    begin: async (pulled: number, isKnown: boolean) => {
      const due = pulled / BLOCK_ITEMS
      const results = isKnown ? await pullBlock() : undefined
      if (isClosed()) return // What it gave then may be less than there is.
      end(due)
      ahead = results
      lastBegun = due
    },
    /** What was pulled of a block to compare it; it comes before anything else is. */
    get ahead() {
      return ahead
    },
    /** An item came, the last of `pulled`. */
    add: (item: T, pulled: number) => {
      if (ahead) return
      see(item)
      if (count === BLOCK_ITEMS) end(pulled / BLOCK_ITEMS - 1)
    },
    /** No other item comes. */
    end: (pulled: number) => end(Math.floor((pulled - 1) / BLOCK_ITEMS)),
    slice,
  }
}

/** What is done between two turns of the event loop, an item at a time. */
function createSlice() {
  let began = 0
  let lookedAt = 0
  let stride = 1
  let untilLook = 1
  let isOver = false

  const begin = () => {
    began = lookedAt = performance.now()
    isOver = false
  }
  return {
    begin,
    /** One more is done. */
    tick: () => {
      if (--untilLook > 0) return
      const now = performance.now()
      stride = now - lookedAt < LOOK_MS ? Math.min(LOOK_ITEMS, stride * 2) : 1
      lookedAt = now
      untilLook = stride
      isOver = now - began >= SLICE_MS
    },
    /** So much is done that the event loop is to turn: `rest` lets it. */
    get isOver() {
      return isOver
    },
    rest: async () => {
      await turn()
      begin()
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
