import { countCrashes, historyAt } from './chunk.ts'
import { BLOCK_ITEMS, byCrashes, historiesOf, type Selection, type Source } from './items.ts'
import { createPull } from './pull-async.ts'
import type { Chunk } from './types.ts'

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
  const iterator = isAsync ? items[Symbol.asyncIterator]() : items[Symbol.iterator]()
  let wanted = 0
  let pulled = 0
  let total: number | undefined
  let block: T[] = []
  let ahead: IteratorResult<T>[] = []
  let checkedBlock = -1
  let isCompared = false
  let isClosed = false
  /** Pulled and pending, and not given out. */
  const held = { items: [] as T[], indices: [] as number[], keys: [] as string[] }
  let alone: Chunk<T> | undefined
  const last: { readonly chunk: Chunk<T>; readonly crashes: number }[] = []

  const isSuspectAhead = () => selection !== undefined && pulled <= selection.lastSuspect && held.items.length < MAX_HELD
  const isBlockDue = () => selection?.isKnownBlock !== undefined && Math.floor(pulled / BLOCK_ITEMS) > checkedBlock
  const isWanted = () =>
    wanted > 0 && total === undefined && !isClosed && !alone && (held.items.length < wanted || isSuspectAhead())
  const mayGoOn = () => isWanted() && !isBlockDue()

  const accept = (result: IteratorResult<T>) => {
    checkResult(result)
    if (isClosed) return // An iterator that was let go says that it is done, which is not its end.
    if (result.done) {
      total = pulled
      endBlock()
      return
    }
    const item = result.value
    const index = pulled++
    const key = keyOf?.(item, index)
    if (selection && !isToHold(selection, item, index, key)) return
    held.items.push(item)
    held.indices.push(index)
    if (key !== undefined) held.keys.push(key)
  }

  const isToHold = (chosen: Selection<T>, item: T, index: number, key: string | undefined): boolean => {
    if (chosen.onBlock && !isCompared && block.push(item) === BLOCK_ITEMS) endBlock()
    if (!chosen.isPending(index, key, item)) return false
    if (!chosen.isSuspect(index, key)) return true
    const chunk = { ...build([item], [index], key === undefined ? undefined : [key], chosen), alone: true }
    const history = historyAt(chunk, 0)
    if (chosen.isLast(index, key, history)) last.push({ chunk, crashes: countCrashes(history) })
    else alone = chunk
    return false
  }

  const pullAhead = () => {
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

  /** Pulls until there is a chunk, or what there is should not wait. */
  const pull = async () => {
    while (isWanted()) {
      if (isBlockDue()) {
        const due = pulled / BLOCK_ITEMS
        const isKnown = selection?.isKnownBlock?.(due) === true
        if (isKnown && held.items.length > 0 && (isAsync || !isSuspectAhead())) return
        if (isKnown) await compare(due)
        isCompared = isKnown
        checkedBlock = due
      }
      if (isCompared) pullAhead()
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
