import { fromRuns } from '../format/frame.ts'
import { IndexSet } from '../format/index-set.ts'

/** A set of items: by index, or by key in keyed runs. */
export interface ItemSet {
  readonly size: number
  has(index: number, key: string | undefined): boolean
  /** False when the item was a member already. */
  add(index: number, key: string | undefined): boolean
  /** Adds the items of a frame; calls `again` for those that were members already. */
  addAll(
    runs: readonly number[],
    keys: readonly string[] | undefined,
    again?: (index: number, key: string | undefined) => void,
  ): void
  /** The indices, when items are told apart by them. */
  readonly indices: IndexSet | undefined
  /** The keys, each with the index it was added with first, when items are told apart by them. */
  readonly keys: ReadonlyMap<string, number> | undefined
  /** The index that item `key` was added with first; undefined when it is no member. */
  placeOf(key: string): number | undefined
}

export function createItemSet(isKeyed: boolean): ItemSet {
  return isKeyed ? byKey() : byIndex()
}

function byIndex(): ItemSet {
  const indices = new IndexSet()
  return {
    indices,
    keys: undefined,
    placeOf: () => undefined,
    get size() {
      return indices.size
    },
    has: (index) => indices.has(index),
    add: (index) => indices.add(index),
    addAll(runs, _keys, again) {
      for (let at = 0; at < runs.length; at += 2) {
        const from = runs[at] as number
        const count = runs[at + 1] as number
        if (again === undefined || !overlaps(indices, from, count)) {
          indices.addRange(from, count)
          continue
        }
        for (let index = from; index < from + count; index++) if (!indices.add(index)) again(index, undefined)
      }
    },
  }
}

function overlaps(indices: IndexSet, from: number, count: number): boolean {
  for (let index = from; index < from + count; index++) if (indices.has(index)) return true
  return false
}

function byKey(): ItemSet {
  const keys = new Map<string, number>()
  return {
    indices: undefined,
    keys,
    get size() {
      return keys.size
    },
    has: (_index, key) => key !== undefined && keys.has(key),
    placeOf: (key) => keys.get(key),
    add: (index, key) => {
      if (keys.has(key as string)) return false
      keys.set(key as string, index)
      return true
    },
    addAll(runs, names = [], again) {
      const indices = fromRuns(runs)
      for (let at = 0; at < names.length; at++) {
        const key = names[at] as string
        if (keys.has(key)) again?.(indices[at] as number, key)
        else keys.set(key, indices[at] as number)
      }
    },
  }
}

/** How items are told apart: by key in keyed runs, else by index. */
export function idOf(isKeyed: boolean, index: number, key: string | undefined): number | string | undefined {
  return isKeyed ? key : index
}
