import type { Store } from '../../store/store.ts'
import { loadCodecs } from '../../values/codec.ts'
import { digestOf } from '../../values/digest.ts'
import { type FailureHead, fromRuns } from '../format/frame.ts'
import { writerOf } from '../format/run-file.ts'
import { decodeColumns } from '../reading/decode-columns.ts'
import { startOver } from '../reading/file-bytes.ts'
import { readFiles } from '../reading/read-files.ts'
import { failureIn } from './item-places.ts'
import { createItemSet, idOf } from './item-set.ts'
import { listFiles } from './load.ts'
import type { FailureEntry, RunIndex } from './run-index.ts'

/** Two different successes of one item: which of them counts. */
export interface Winner {
  readonly stem: string
  readonly digest: string
}

/** Of items recorded as fulfilled more than once, with different values: the value that counts. */
export async function findWinners(
  store: Store,
  runId: string,
  fingerprint: string,
  index: RunIndex,
): Promise<Map<number | string, Winner>> {
  if (index.duplicates.size === 0) return new Map()
  return startOver(async () => {
    const found = new Map<number | string, Winner & { readonly isConflict: boolean }>()
    const codecs = await loadCodecs()
    for await (const { file, frames } of readFiles(store, await listFiles(store, runId), fingerprint)) {
      for (const { head, stem, isWhole, body } of frames) {
        if (head.kind !== 'outcomes' || !isWhole) continue
        const indices = fromRuns(head.runs)
        const isDuplicate = (place: number, at: number) => index.duplicates.has(place, head.keys?.[at])
        if (!indices.some(isDuplicate)) continue
        const values = decodeColumns(codecs[file.format], head, body)
        indices.forEach((place, at) => {
          if (!isDuplicate(place, at)) return
          const id = idOf(index.isKeyed, place, head.keys?.[at]) as number | string
          const digest = digestOf([values[at]])
          const other = found.get(id)
          const isConflict = other !== undefined && (other.isConflict || other.digest !== digest)
          if (other === undefined || stem < other.stem) found.set(id, { stem, digest, isConflict })
          else if (isConflict) found.set(id, { ...other, isConflict })
        })
      }
    }
    for (const [id, { isConflict }] of found) if (!isConflict) found.delete(id)
    return found
  })
}

/** Chooses what counts, of frames in whatever order they come: of each item once. */
export interface Chooser {
  /** How many items it has chosen. */
  readonly count: number
  /** Places in a frame of `stem` of the successes that count. `values`, where they are at hand, tell two of one item apart. */
  choosePlaces(
    indices: Uint32Array,
    keys: readonly string[] | undefined,
    stem: string,
    values: readonly unknown[] | undefined,
  ): number[]
  /** The failure that a frame of `stem` tells of, if it counts. */
  chooseFailure(head: FailureHead, stem: string): FailureEntry | undefined
}

/** @param winners as `findWinners` gives them; none where no item has two different successes. */
export function createChooser(index: RunIndex, winners: ReadonlyMap<number | string, Winner> = new Map()): Chooser {
  const { isKeyed, fulfilled } = index
  const chosen = createItemSet(isKeyed)
  return {
    get count() {
      return chosen.size
    },
    choosePlaces(indices, keys, stem, values) {
      const places: number[] = []
      if (isKeyed && keys === undefined) return places
      for (let at = 0; at < indices.length; at++) {
        const place = indices[at] as number
        const key = keys?.[at]
        if (!fulfilled.has(place, key)) continue
        const winner = winners.size === 0 ? undefined : winners.get(idOf(isKeyed, place, key) as number | string)
        if (winner !== undefined && (winner.stem !== stem || (values !== undefined && digestOf([values[at]]) !== winner.digest)))
          continue
        if (chosen.add(place, key)) places.push(at)
      }
      return places
    },
    chooseFailure(head, stem) {
      const entry = failureIn(index, head.index, head.key)
      const isIt = entry?.session === writerOf(stem) && entry.lastFailedAt === head.lastFailedAt
      return isIt && chosen.add(head.index, head.key) ? entry : undefined
    },
  }
}
