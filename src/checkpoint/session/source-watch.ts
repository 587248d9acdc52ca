import { BLOCK_ITEMS } from '../../items/items.ts'
import { entryOf } from '../format/entries.ts'
import { otherEnd, otherSource, tooShort } from '../identity/mismatch.ts'
import type { RunLog } from '../log/log.ts'
import type { Restored } from '../record/restored.ts'
import type { RunIndex } from '../record/run-index.ts'
import type { Session } from './session.ts'

/** Holds what the iterable of a run gives against what earlier sessions saw of it, and notes what is new. */
export interface SourceWatch extends Pick<Session, 'recordSource' | 'checkEnd'> {
  /** Notes again what was told by `recordSource`, now or earlier, and is not in `found`. */
  recordLost(found: RunIndex): void
}

export function createSourceWatch(
  runId: string,
  { isKeyed, sources }: RunIndex,
  { total, atLeast }: Pick<Restored, 'total' | 'atLeast'>,
  log: RunLog,
): SourceWatch {
  const seen = new Map(sources)
  const note = (block: number, { count, digest }: { readonly count: number; readonly digest: string }) =>
    log.add([entryOf({ kind: 'source', block, count, digest })])

  /** The source has given `count` items, or, with `hasEnded`, no more than these. */
  const checkCount = (count: number, hasEnded: boolean) => {
    if (isKeyed) return
    if (total !== undefined && (count > total || (hasEnded && count < total))) throw otherEnd(runId, total, count, hasEnded)
    if (hasEnded && count < atLeast) throw tooShort(runId, atLeast, count)
  }

  return {
    checkEnd: (count) => checkCount(count, true),
    recordSource(block, count, digest) {
      checkCount(block * BLOCK_ITEMS + count, count < BLOCK_ITEMS)
      const before = seen.get(block)?.digest
      if (before !== undefined && before !== digest) throw otherSource(runId, block, count, before, digest)
      if (before !== undefined) return
      seen.set(block, { count, digest })
      note(block, { count, digest })
    },
    recordLost(found) {
      for (const [block, source] of seen) if (!found.sources.has(block)) note(block, source)
    },
  }
}
