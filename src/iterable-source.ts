import { countCrashes, historyAt } from './chunk.ts'
import { BLOCK_ITEMS, byCrashes, historiesOf, type Selection, type Source } from './items.ts'
import { type Turn, untilEventLoopTurns } from './turn.ts'
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
