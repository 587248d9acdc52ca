import type { Store } from '../../store/store.ts'
import { fromRuns } from '../format/frame.ts'
import { byStem, type RunFile, toRunFile } from '../format/run-file.ts'
import { type Readable, startOver } from '../reading/file-bytes.ts'
import { isWithoutFault, newReport } from '../reading/file-report.ts'
import { readingAhead } from '../reading/read-ahead.ts'
import { type Located, readFrames } from '../reading/read-file.ts'
import { createIndexBuilder, type IndexBuilder } from './index-builder.ts'
import type { CoveredFile, DamagedFrame, LoadedFile, RunIndex, SettledFrame } from './run-index.ts'

export interface LoadOptions {
  readonly isKeyed: boolean
  /** Check the bodies too. */
  readonly isChecked: boolean
  /** Keep where outcomes are, as `settled` of each file. */
  readonly isLocated?: boolean
  /** Items from this index on are none of the run's. */
  readonly count?: number | undefined
}

/**
 * Lists the files of a run: `seg/` first, then `snap/`. A compaction puts its snapshot before it deletes anything, so in
 * this order nothing is missed; in the other a segment may vanish after its snapshot was not yet there to be listed.
 */
export async function listFiles(store: Store, runId: string): Promise<RunFile[]> {
  const files: RunFile[] = []
  for (const folder of ['seg', 'snap']) {
    for (const { key, size } of await store.list(`${runId}/${folder}/`)) {
      const file = toRunFile(key, size)
      if (file !== undefined) files.push(file)
    }
  }
  return files
}

/** Reads what is recorded of a run. Writes nothing. */
export async function loadIndex(store: Store, runId: string, fingerprint: string, options: LoadOptions): Promise<RunIndex> {
  return startOver(async () => {
    const files = await listFiles(store, runId)
    const index = createIndexBuilder(options.isKeyed, options.count)
    const covered = new Map<string, { readonly size: number; readonly kept: LoadedFile['kept'] }>()
    const loaded: LoadedFile[] = []
    const skipped: CoveredFile[] = []
    const copyOf = ({ name, size }: RunFile) => {
      const copy = covered.get(name)
      return copy !== undefined && copy.size >= size ? copy : undefined
    }
    // Later snapshots first: they may stand for earlier ones.
    files.sort(bySnapshotThenStem)
    const ahead = readingAhead(store, files, (file) => copyOf(file) === undefined)
    for (const file of files) {
      const copy = copyOf(file)
      if (copy !== undefined) {
        skipped.push({ ...file, copiedBytes: copy.size, copiedFrames: copy.kept.get(file.stem) ?? 0 })
        continue
      }
      const result = await loadFile(ahead, file, fingerprint, options, index)
      loaded.push(result)
      const { isIntact, covers, kept } = result
      for (const { name, size } of isIntact ? covers : [])
        if (size >= (covered.get(name)?.size ?? 0)) covered.set(name, { size, kept })
    }
    return index.finish(loaded, skipped)
  })
}

function bySnapshotThenStem(a: RunFile, b: RunFile): number {
  if (a.kind !== b.kind) return a.kind === 'snapshot' ? -1 : 1
  return a.kind === 'snapshot' ? byStem(b, a) : byStem(a, b)
}

/** Takes whatever it is given. */
const NOBODY: Pick<IndexBuilder, 'add' | 'passDamage'> = { add: () => true, passDamage: () => {} }

/** Reads one file, and gives each of its frames to `builder`, which says whether it is believed. */
export async function loadFile(
  store: Readable,
  file: RunFile,
  fingerprint: string,
  options: LoadOptions,
  builder: Pick<IndexBuilder, 'add' | 'passDamage'> = NOBODY,
): Promise<LoadedFile> {
  const report = newReport()
  const damagedItems: DamagedFrame[] = []
  const settled: SettledFrame[] | undefined = options.isLocated ? [] : undefined
  const kept = new Map<string, number>()
  let covers: LoadedFile['covers'] | undefined
  let isClosed = false
  let valueBytes = 0
  let passed = 0
  let isSwallowing = false
  const isBehindDamage = (at: number) => {
    const before = passed
    while ((report.damage[passed]?.start ?? Number.POSITIVE_INFINITY) < at) passed++
    return passed > before || isSwallowing
  }
  for await (const frames of readFrames(store, file, fingerprint, options.isChecked, report)) {
    for (const frame of frames) {
      const { head, block, start, end } = frame
      if (head.kind === 'outcomes') valueBytes += frame.bodyEnd - frame.bodyStart
      isClosed = frame.isOwn && head.kind === 'close'
      if (head.kind === 'covers' && frame.isOwn) covers = head.files
      if (isBehindDamage(block < 0 ? start : block)) builder.passDamage(frame.stem)
      const isAccepted = builder.add(frame)
      // A line of JSON ends where the next newline is: one that lost its own goes on over frames behind it.
      isSwallowing = file.format === 'json' && !frame.isWhole
      countKept(kept, frame)
      if (isAccepted && frame.isWhole) {
        settled?.push(...toSettled(frame))
        continue
      }
      const indices =
        head.kind === 'outcomes' ? fromRuns(head.runs) : Uint32Array.of(...(head.kind === 'failure' ? [head.index] : []))
      damagedItems.push({ block, start, end, indices })
    }
  }
  if (file.kind === 'segment' && passed < report.damage.length) builder.passDamage(file.stem) // At its end; others may follow.
  const isIntact = file.kind === 'snapshot' && isClosed && covers !== undefined && isWithoutFault({ report, damagedItems })
  return { ...file, report, damagedItems, settled, valueBytes, kept, covers: covers ?? [], isIntact }
}

/**
 * Counts a frame if it is one that is always copied when its segment is, or all but always: failures of what succeeded later are
 * not.
 */
export function countKept(kept: Map<string, number>, { head, stem, isWhole }: Located): void {
  if (isWhole && stem !== '' && head.kind !== 'running' && head.kind !== 'alone') kept.set(stem, (kept.get(stem) ?? 0) + 1)
}

function toSettled({ head, stem, block, start, end }: Located): SettledFrame[] {
  if (head.kind === 'failure') return [{ head, stem, block, start, end }]
  if (head.kind !== 'outcomes') return []
  const { kind, runs, keys } = head
  return [{ head: keys === undefined ? { kind, runs } : { kind, runs, keys }, stem, block, start, end }]
}
