import { plural } from '../../errors.ts'
import { isSound } from '../reading/file-report.ts'
import { isToSpare, isUnreadable } from './cut.ts'
import { isAllSettled } from './item-places.ts'
import type { Loss } from './loss.ts'
import type { LoadedFile, RunIndex } from './run-index.ts'

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
