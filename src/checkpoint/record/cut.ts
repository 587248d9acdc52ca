import { type RunFile, sequenceOf, writerNamed, writerOf } from '../format/run-file.ts'
import { type FileReport, isSound, isWithoutFault } from '../reading/file-report.ts'
import type { LoadedFile, RunIndex } from './run-index.ts'

/** Files that lack their end, or are gone, where nothing explains it. */

/**
 * Names of all of them.
 *
 * @param claimed writers of sessions that left a claim, live or dead.
 */
export function findCut(index: RunIndex, claimed: ReadonlySet<string>): Set<string> {
  return new Set([...findCutSegments(index, claimed), ...index.files.filter(isCutSnapshot).map(({ name }) => name)])
}

/**
 * Names of segments that lack their end, though nobody knows of a death that explains it: the last of a session, any that the
 * session, as it ended, or whoever found it dead, said to be longer, and any that does not even begin as it should; and of those
 * that are gone.
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
export function isUnreadable({ isForeign, header, frames }: FileReport): boolean {
  return isForeign && header === undefined && frames === 0
}

/** A snapshot that lacks its end. No death explains that: a snapshot is put whole, and read back. */
function isCutSnapshot(file: LoadedFile): boolean {
  return file.kind === 'snapshot' && !file.isIntact && isSound(file)
}

/** Whether all that a file that lacks its end can have held is in others: of a snapshot, in the files it stood for. */
export function isToSpare(file: LoadedFile, { files, covered }: Pick<RunIndex, 'files' | 'covered'>): boolean {
  if (!isCutSnapshot(file) || file.covers.length === 0) return false
  return file.covers.every(({ name, size }) => {
    const isIt = (other: RunFile) => other.name === name && other.size >= size
    if (covered.some(isIt)) return true // By a snapshot that is whole.
    return files.some((other) => isIt(other) && isWithoutFault(other))
  })
}
