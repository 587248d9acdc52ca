import { plural } from '../../errors.ts'
import { type RunFile, sequenceOf, writerNamed, writerOf } from '../format/run-file.ts'
import { FileGoneError, type Readable } from '../reading/file-bytes.ts'
import { type FileReport, isSound, isWithoutFault, newReport } from '../reading/file-report.ts'
import { readingAhead } from '../reading/read-ahead.ts'
import { readFrames } from '../reading/read-file.ts'
import { countSettled } from './item-places.ts'
import { type CoveredFile, countKept, type LoadedFile, type RunIndex } from './load.ts'
import type { Loss } from './loss.ts'

/** A part of a run that is damaged. */
export interface Damage {
  /** Below the run. */
  readonly file: string
  readonly problem: string
  /** Bytes `start` to `end` of the file; of a compressed file, of the block they are in. Absent when it concerns all of it. */
  readonly start?: number
  readonly end?: number
  /** The items concerned, where that can be told; the first hundred. */
  readonly items?: readonly number[]
  /** Whatever outcomes it can have held are on record elsewhere: nothing runs again for want of it. */
  readonly settled?: true
}

/** The problem of a damaged file that nobody reads any more. */
export const STOOD_FOR = 'damaged, but a snapshot stands for it: it may be deleted'

const MAX_NAMED_ITEMS = 100

/** How many frames have a damaged body, and how many bytes hold no frame though they should. */
function countDamaged(files: readonly LoadedFile[]): { frames: number; bytes: number } {
  let frames = 0
  let bytes = 0
  for (const { damagedItems, report } of files) {
    frames += damagedItems.length
    for (const { start, end } of report.damage) bytes += end - start
  }
  return { frames, bytes }
}

/** Whether every item of the run is settled on record. */
export function isAllSettled(index: RunIndex): boolean {
  return index.itemCount !== undefined && countSettled(index).done >= index.itemCount
}

/** What to tell of damage besides: that nothing runs again for want of it. */
function settledIf(isSettled: boolean): Pick<Damage, 'settled'> {
  return isSettled ? { settled: true } : {}
}

/** That something runs again, and how much, as far as it is known. */
function describeAgain(loss: Loss | undefined): string {
  if (loss?.items === 0) return 'What only they held (how many items is not known) runs again'
  const count = loss === undefined ? '' : ` (${countItems(loss.items, loss)})`
  return `What only they held${count} runs again`
}

function countItems(items: number, { isExact }: Loss): string {
  return `${isExact ? '' : 'about '}${plural(items, 'item')}`
}

/**
 * What damage cost a run, in a sentence for files that lack their end or are gone, and one for what is damaged; none when all is
 * whole. `cut`: the files that lack their end, or are gone.
 */
export function describeLosses(runId: string, index: RunIndex, cut: ReadonlySet<string>, lost: Loss): string[] {
  const damaged = describeLoss(runId, index, lost)
  const others = damaged === undefined ? [] : [damaged]
  if (cut.size === 0) return others
  const gone = index.gone.filter((name) => cut.has(name))
  const isSpared = gone.length === 0 && index.files.every((file) => !cut.has(file.name) || isToSpare(file, index))
  const isLost = !isSpared && !isAllSettled(index)
  const loss = isLost ? describeAgain(damaged === undefined ? lost : undefined) : 'Nothing is lost'
  const what = gone.length === 0 ? 'lack their end' : gone.length === cut.size ? 'are gone' : 'are gone, or lack their end'
  return [`Files of run '${runId}' ${what}: ${[...cut].join(', ')}. ${loss}`, ...others]
}

function describeLoss(runId: string, index: RunIndex, lost: Loss): string | undefined {
  const { files, damaged } = index
  const { frames, bytes } = countDamaged(files)
  if (frames === 0 && bytes === 0) return undefined
  const parts = [
    ...(frames > 0
      ? [`${plural(frames, 'frame')} naming ${damaged > 0 ? plural(damaged, 'item') : 'no item'} not recorded elsewhere`]
      : []),
    ...(bytes > 0 ? [`${plural(bytes, 'byte')} without meaning`] : []),
  ]
  const loss = lost.items > 0 || (bytes > 0 && !isAllSettled(index)) ? describeAgain(lost) : 'Nothing is lost'
  return `Parts of run '${runId}' are damaged: ${parts.join(', and ')}. ${loss}`
}

/** Names of all files that lack their end, or are gone. `claimed` as for `findCutSegments`. */
export function findCut(index: RunIndex, claimed: ReadonlySet<string>): Set<string> {
  return new Set([...findCutSegments(index, claimed), ...index.files.filter(isCutSnapshot).map(({ name }) => name)])
}

/**
 * Names of segments that lack their end, though nobody knows of a death that explains it: the last of a session, any that the
 * session, as it ended, or whoever found it dead, said to be longer, and any that does not even begin as it should; and of those
 * that are gone.
 *
 * @param claimed writers of sessions that left a claim, live or dead.
 */
function findCutSegments({ files, sessions, left, gone }: RunIndex, claimed: ReadonlySet<string>): string[] {
  const explained = new Set(claimed)
  for (const { writer, hasEnded, isKnownDead } of sessions) if (hasEnded || isKnownDead) explained.add(writer)
  const last = new Map<string, string>()
  for (const { kind, stem, name } of files) if (kind === 'segment') last.set(writerOf(stem), name)
  const lastOnes = [...last].filter(([writer]) => !explained.has(writer)).map(([, name]) => name)
  const sizes = new Map(sessions.map((session) => [session.writer, session.sizes]))
  const isCut = ({ kind, name, stem, size, report }: LoadedFile) => {
    const said = sizes.get(writerOf(stem))?.[sequenceOf(stem)] ?? 0
    const least = Math.max(said, left.get(name) ?? 0)
    // Behind what was acknowledged a write that failed may have left something.
    return kind === 'segment' && (size < least || (least > 0 && report.torn > size - least) || isUnreadable(report))
  }
  // One that is at work after all may delete what it has recorded again.
  const lost = gone.filter((name) => !claimed.has(writerNamed(name) as string))
  return [...lastOnes, ...files.filter(isCut).map(({ name }) => name), ...lost]
}

/** Nothing of a file can be read, and it is not that its writer was killed before it was there. */
function isUnreadable({ isForeign, header, frames }: FileReport): boolean {
  return isForeign && header === undefined && frames === 0
}

/** A snapshot that lacks its end. No death explains that: a snapshot is put whole, and read back. */
function isCutSnapshot(file: LoadedFile): boolean {
  return file.kind === 'snapshot' && !file.isIntact && isSound(file)
}

/** Whether all that a file that lacks its end can have held is in others: of a snapshot, in the files it stood for. */
function isToSpare(file: LoadedFile, { files, covered }: Pick<RunIndex, 'files' | 'covered'>): boolean {
  if (!isCutSnapshot(file) || file.covers.length === 0) return false
  return file.covers.every(({ name, size }) => {
    const isIt = (other: RunFile) => other.name === name && other.size >= size
    if (covered.some(isIt)) return true // By a snapshot that is whole.
    return files.some((other) => isIt(other) && isWithoutFault(other))
  })
}

/**
 * Those of `covered`, files that an intact snapshot stands for, that are damaged, or lack what was copied of them. What they held
 * is on record in it.
 */
export async function findStoodFor(
  store: Readable,
  fingerprint: string,
  covered: readonly CoveredFile[],
): Promise<CoveredFile[]> {
  const damaged: CoveredFile[] = []
  const ahead = readingAhead(store, covered)
  for (const file of covered) {
    const report = newReport()
    const kept = new Map<string, number>()
    let isWhole = file.size >= file.copiedBytes
    try {
      for await (const frames of readFrames(ahead, file, fingerprint, true, report)) {
        for (const frame of frames) {
          isWhole &&= frame.isWhole
          countKept(kept, frame)
        }
      }
    } catch (error) {
      if (!(error instanceof FileGoneError)) throw error
      continue // Somebody deleted it: it was not needed any more.
    }
    const lacksFrames = (kept.get(file.stem) ?? 0) < file.copiedFrames
    if (!isWhole || lacksFrames || report.damage.length > 0) damaged.push(file)
  }
  return damaged
}

/** What else to tell of damage to file `name`: how many items run again for want of what has no name any more. */
function describeUnnamed(loss: Loss, name: string): string {
  const items = loss.unnamed.get(name) ?? 0
  return items > 0 ? `; there is no record of ${countItems(items, loss)} that ran` : ''
}

/** What of a file is damaged. */
export function describeDamage(file: LoadedFile, index: RunIndex, loss: Loss): Damage[] {
  const { name, kind, format, report, damagedItems, isIntact } = file
  const settled = settledIf(isAllSettled(index))
  const damaged: Damage[] = report.damage.map(({ start, end }, at) => ({
    ...{ file: name, problem: `these bytes hold no frame${at === 0 ? describeUnnamed(loss, name) : ''}`, start, end },
    ...settled,
  }))
  // Of a line of JSON nobody knows whether it has swallowed others.
  const isNamed = index.damaged === 0 && (format !== 'json' || !loss.unnamed.has(name))
  for (const { start, end, indices } of damagedItems) {
    const items = [...indices.subarray(0, MAX_NAMED_ITEMS)]
    const problem = `the outcomes of ${plural(indices.length, 'item')}${damaged.length === 0 ? describeUnnamed(loss, name) : ''}`
    damaged.push({ file: name, problem, start, end, items, ...settledIf(isNamed) })
  }
  if (kind === 'snapshot' && !isIntact && damaged.length === 0)
    damaged.push({
      file: name,
      problem: `the snapshot lacks its end${describeUnnamed(loss, name)}`,
      ...settled,
      ...settledIf(isToSpare(file, index)),
    })
  return damaged
}

/** What to tell of a segment that lacks its end. */
export function describeCut(file: LoadedFile, index: RunIndex, loss: Loss): Damage {
  const { name, size, report } = file
  const unnamed = isSound(file) ? describeUnnamed(loss, name) : '' // Else it is told with the first damage.
  const isLess = size - report.torn < (index.left.get(name) ?? 0)
  const lacking = `its end is missing, ${isLess ? 'which a later session has read' : 'though its session was not found dead'}`
  const problem = `${isUnreadable(report) ? 'nothing of it can be read' : lacking}${unnamed}`
  return { file: name, problem, ...settledIf(isAllSettled(index)) }
}

/** What to tell of a segment that is gone. */
export function describeGone(name: string, index: RunIndex, loss: Loss): Damage {
  const problem = `it is gone, and no snapshot stands for it${describeUnnamed(loss, name)}`
  return { file: name, problem, ...settledIf(isAllSettled(index)) }
}
