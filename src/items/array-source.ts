import type { Chunk } from '../types.ts'
import { countCrashes } from './chunk.ts'
import { fitFileItems, isFileItems, pickFileItems } from './file-items.ts'
import { byCrashes, historiesOf, type Selection, type Source } from './items.ts'
import { areNumbers, type Numbers } from './numbers.ts'

/** Items at hand. `keys` were made of all of them before anything ran; `pending` says how many of them are to be dispatched. */
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
    areNumbers: areNumbers(items),
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

/** The items [from, to), a view of them when they are in memory that threads share. */
function sliceItems<T>(items: readonly T[], from: number, to: number): readonly T[] {
  if (areNumbers(items) && items.buffer instanceof SharedArrayBuffer)
    return (items as Numbers).subarray(from, to) as ArrayLike<unknown> as typeof items
  return items.slice(from, to)
}
