import type { Store } from '../../store/store.ts'
import type { Codec, Format } from '../../values/contract.ts'
import { countOf, fromRuns, type OutcomesHead } from '../format/frame.ts'
import type { RunFile } from '../format/run-file.ts'
import { decodeColumns } from '../reading/decode-columns.ts'
import { startOver } from '../reading/file-bytes.ts'
import { readFiles } from '../reading/read-files.ts'
import type { FramePlace } from '../reading/spans.ts'
import { placeIn } from '../record/item-places.ts'
import { listFiles } from '../record/load.ts'
import type { RunIndex, SettledFrame } from '../record/run-index.ts'
import { type Chooser, createChooser, type Winner } from '../record/winners.ts'

/** Neighbours whose outcomes are next to one another in a frame. */
export interface Stretch {
  readonly from: number
  readonly count: number
  /** Number of the frame, and the place in it of the first. */
  readonly frame: number
  readonly place: number
  /** Of the first; empty in runs without keys. */
  readonly key: string
}

/** Where a frame is that holds some of them. */
export interface StoredFrame extends FramePlace {
  /** How many outcomes it holds. */
  readonly count: number
}

/**
 * Where the outcomes of a run are: stretches in the order of indices, of items with one index by key, and the frames they name.
 */
export interface Whereabouts {
  readonly stretches: readonly Stretch[]
  readonly stored: readonly StoredFrame[]
}

/**
 * As `loadIndex` saw it. Undefined when that does not tell: it was not asked to keep where outcomes are, or items are recorded
 * more than once.
 */
export function locateLoaded(index: RunIndex): Whereabouts | undefined {
  if (index.duplicates.size > 0 || index.files.some(({ settled }) => settled === undefined)) return undefined
  const locate = (isSingly: boolean) => {
    const locator = createLocator(index, createChooser(index), isSingly)
    for (const file of index.files) for (const frame of file.settled ?? []) locator.add(file, frame, undefined)
    return locator.finish()
  }
  return locate(false) ?? locate(true)
}

/** A run that is read, and what its values are read with. */
export interface RunRecord {
  readonly store: Store
  readonly runId: string
  readonly fingerprint: string
  readonly codecs: Readonly<Record<Format, Codec>>
}

/** As the files are now: reads all of them once more. */
export function locateAnew(
  { store, runId, fingerprint, codecs }: RunRecord,
  index: RunIndex,
  winners: ReadonlyMap<number | string, Winner>,
): Promise<Whereabouts> {
  const locate = async (isSingly: boolean) => {
    const chooser = createChooser(index, winners)
    const locator = createLocator(index, chooser, isSingly)
    for await (const { file, frames } of readFiles(store, await listFiles(store, runId), fingerprint)) {
      for (const { head, stem, isWhole, body, block, start, end } of frames) {
        if (!isWhole || (head.kind !== 'outcomes' && head.kind !== 'failure')) continue
        let chosen: readonly number[] | undefined
        if (head.kind === 'outcomes') {
          const values = winners.size > 0 ? decodeColumns(codecs[file.format], head, body) : undefined
          chosen = chooser.choosePlaces(fromRuns(head.runs), head.keys, stem, values)
        }
        locator.add(file, { head, stem, block, start, end }, chosen)
      }
    }
    return locator.finish()
  }
  return startOver(async () => (await locate(false)) ?? ((await locate(true)) as Whereabouts))
}

/** With `isSingly` each item is a stretch. Without, `finish` gives undefined when several items have one index. */
function createLocator(index: RunIndex, chooser: Chooser, isSingly: boolean) {
  const stretches: Stretch[] = []
  const stored: StoredFrame[] = []
  return {
    /** @param chosen of outcomes the places that count, and are in no frame before; undefined: all. */
    add(file: RunFile, { head, stem, block, start, end }: SettledFrame, chosen: readonly number[] | undefined): void {
      const frame = stored.length
      const before = stretches.length
      if (head.kind === 'failure') {
        const from = chooser.chooseFailure(head, stem) && placeIn(index, head.index, head.key)
        if (from !== undefined) stretches.push({ from, count: 1, frame, place: 0, key: head.key ?? '' })
      } else {
        for (const stretch of toStretches(index, head, chosen, isSingly))
          stretches.push({ ...stretch, frame, key: head.keys?.[stretch.place] ?? '' })
      }
      const count = head.kind === 'failure' ? 1 : countOf(head.runs)
      if (stretches.length > before) stored.push({ file, count, stem, block, start, end })
    },
    finish(): Whereabouts | undefined {
      stretches.sort((a, b) => a.from - b.from || (a.key < b.key ? -1 : 1))
      // Keyed items may share an index until a session says which of them the run still has.
      const hasShared = !isSingly && stretches.some(({ from }, at) => from < endOf(stretches[at - 1]))
      return hasShared ? undefined : { stretches, stored }
    },
  }
}

function* toStretches(
  index: RunIndex,
  { runs, keys }: Pick<OutcomesHead, 'runs' | 'keys'>,
  chosen: readonly number[] | undefined,
  isSingly: boolean,
): Generator<Omit<Stretch, 'frame' | 'key'>> {
  if (chosen === undefined && index.list === undefined && !isSingly) {
    yield* toWholeRuns(runs)
    return
  }
  const recorded = fromRuns(runs)
  const [indices, places] = movePlaces(index, recorded, keys, chosen ?? Array.from(recorded, (_, at) => at))
  for (let at = 0; at < places.length; ) {
    const place = places[at] as number
    const from = indices[place] as number
    let count = 1
    while (!isSingly && places[at + count] === place + count && indices[place + count] === from + count) count++
    yield { from, count, place }
    at += count
  }
}

function* toWholeRuns(runs: readonly number[]): Generator<Omit<Stretch, 'frame' | 'key'>> {
  let place = 0
  for (let at = 0; at < runs.length; at += 2) {
    const count = runs[at + 1] as number
    yield { from: runs[at] as number, count, place }
    place += count
  }
}

/** `indices` and `chosen` as the run's list of items has them: items that are not in it are left out. */
function movePlaces(
  index: RunIndex,
  indices: Uint32Array,
  keys: readonly string[] | undefined,
  chosen: readonly number[],
): [Uint32Array, readonly number[]] {
  if (index.list === undefined) return [indices, chosen]
  const moved = indices.slice()
  const left = chosen.filter((at) => {
    const place = placeIn(index, indices[at] as number, keys?.[at])
    if (place !== undefined) moved[at] = place
    return place !== undefined
  })
  return [moved, left]
}

/** One past the last index of a stretch. */
function endOf(stretch: Stretch | undefined): number {
  return stretch === undefined ? 0 : stretch.from + stretch.count
}
