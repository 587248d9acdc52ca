import type { FileHeader } from '../format/frame.ts'

/** What reading a file came to; filled in while it is read. */
export interface FileReport {
  header: FileHeader | undefined
  frames: number
  /** It begins with what no file of ours begins with. */
  isForeign: boolean
  /** Stretches of the file, in its own bytes, that could not be read, with frames behind them. */
  readonly damage: { readonly start: number; readonly end: number }[]
  /** Bytes at the end that could not be read. */
  torn: number
}

export function newReport(): FileReport {
  return { header: undefined, frames: 0, isForeign: false, damage: [], torn: 0 }
}

/** A file that was read to its end. */
interface ReadFile {
  readonly report: Pick<FileReport, 'damage' | 'torn'>
  /** Frames whose head holds and whose body does not. */
  readonly damagedItems: readonly unknown[]
}

/** Whether nothing of a file is damaged, up to the last of it that could be read. */
export function isSound({ report, damagedItems }: ReadFile): boolean {
  return report.damage.length === 0 && damagedItems.length === 0
}

/**
 * Whether, besides, all of it could be read: a tail that cannot be may be that of a killed session, or what damage has left of
 * more.
 */
export function isWithoutFault(file: ReadFile): boolean {
  return isSound(file) && file.report.torn === 0
}
