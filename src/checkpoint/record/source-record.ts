import { BLOCK_ITEMS } from '../../items/items.ts'
import { endOf, type SourceHead, type TotalHead } from '../format/frame.ts'

/** What is on record of the iterable that a run's items come from. */
export interface SourceRecord {
  /** What its blocks hold, by their number. */
  readonly sources: ReadonlyMap<number, { readonly count: number; readonly digest: string }>
  /** How many items it gave; undefined unless it ended. */
  readonly total: number | undefined
  /** It gave no fewer: an item is on record with the index before this one. 0 in keyed runs, whose items may go. */
  readonly atLeast: number
}

/**
 * Gathers it, frame by frame, in any order. An end before an item that is on record is not believed: that session was given a
 * source that ended early, or another was at work further on.
 */
export function createSourceRecord(isKeyed: boolean) {
  const blocks = new Map<number, { count: number; digest: string }>()
  const ends: { readonly stem: string; readonly count: number }[] = []
  let atLeast = 0

  const reach = (end: number) => {
    if (!isKeyed && end > atLeast) atLeast = end
  }
  const findTotal = () => {
    // Keyed items may get more; that there are less is told by a list.
    if (isKeyed) return ends.reduce<number | undefined>((most, { count }) => Math.max(most ?? 0, count), undefined)
    // Of several the one in the last file. What is later need not have the later name.
    return ends
      .filter(({ count }) => count >= atLeast)
      .sort((a, b) => (a.stem < b.stem ? -1 : 1))
      .at(-1)?.count
  }
  return {
    /** An item with the index before `end` is on record, settled or not. */
    reach,
    /** The same of the items of `runs`. */
    reachRuns(runs: readonly number[]) {
      reach(endOf(runs))
    },
    addBlock({ block, count, digest }: SourceHead) {
      if ((blocks.get(block)?.count ?? 0) < count) blocks.set(block, { count, digest })
      reach(block * BLOCK_ITEMS + count)
    },
    addEnd({ count }: TotalHead, stem: string) {
      ends.push({ stem, count })
    },
    finish(): SourceRecord {
      const isBelieved = (block: number, count: number) => count === BLOCK_ITEMS || block * BLOCK_ITEMS + count >= atLeast
      const sources = new Map([...blocks].filter(([block, { count }]) => isBelieved(block, count)))
      return { sources, total: findTotal(), atLeast }
    },
  }
}
