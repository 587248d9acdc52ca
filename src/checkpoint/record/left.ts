import type { Lease } from '../claims/lease.ts'
import type { Head, LeftHead } from '../format/frame.ts'
import { type RunFile, sequenceOf, toRunFile, writerNamed, writerOf } from '../format/run-file.ts'
import { isSound } from '../reading/file-report.ts'
import type { LeftRecord, LoadedFile, RunIndex } from './run-index.ts'
import { newTrace, type SessionTrace } from './session-trace.ts'

/** Puts together a `LeftRecord`, in whatever order it comes. */
export interface LeftBuilder {
  add(left: readonly LeftHead[]): void
  /** Adds to `sessions` those of which nothing else is left, and how many items they had settled. */
  finish(sessions: Map<string, SessionTrace>, files: readonly LoadedFile[], covered: readonly RunFile[]): LeftRecord
}

export function createLeft(): LeftBuilder {
  const sizes = new Map<string, number>()
  const counts = new Map<string, number>()
  return {
    add(left) {
      for (const { writer, files, settled } of left) {
        for (const { name, size } of files)
          if (writerNamed(name) === writer) sizes.set(name, Math.max(size, sizes.get(name) ?? 0))
        if (settled !== undefined) counts.set(writer, Math.max(settled, counts.get(writer) ?? 0))
      }
    },
    finish(sessions, files, covered) {
      // One that was only stopped knows better, as it ends, what it left; what it had not acknowledged it may have deleted.
      const left = new Map([...sizes].filter(([name]) => !sessions.get(writerNamed(name) as string)?.isClosed))
      const known = nameAll(files, covered)
      const gone = [...left.keys()].filter((name) => !known.has(name))
      for (const name of gone) {
        const writer = writerNamed(name) as string
        if (!sessions.has(writer)) sessions.set(writer, newTrace(writer))
      }
      for (const [writer, settled] of counts) {
        const session = sessions.get(writer)
        if (session && !session.isClosed) session.settled = settled
      }
      return { left, gone: [...gone, ...findMissing(sessions, known)], noted: new Set(sizes.keys()) }
    },
  }
}

/** Names of all the files that there are, and of those that snapshots stand for. */
function nameAll(files: readonly LoadedFile[], covered: readonly RunFile[]): Set<string> {
  return new Set([...files, ...covered, ...files.flatMap(({ covers }) => covers)].map(({ name }) => name))
}

/**
 * Names of the segments that sessions, as they closed, said to have left, and that are not among `known`. What a session
 * acknowledged is deleted only once a snapshot stands for it. One whose other segments nobody knows the form of is left out.
 */
function findMissing(sessions: ReadonlyMap<string, SessionTrace>, known: ReadonlySet<string>): string[] {
  const closed = [...sessions.values()].filter(({ isClosed, sizes }) => isClosed && sizes.some((size) => size > 0))
  if (closed.length === 0) return []
  const forms = new Map<string, string>()
  for (const name of known) {
    const writer = writerNamed(name)
    if (writer !== undefined) forms.set(writer, name.slice(name.indexOf('.')))
  }
  return closed.flatMap(({ writer, sizes }) => {
    const form = forms.get(writer)
    const names = sizes.flatMap((size, sequence) => (size > 0 ? [`seg/${writer}-${sequence}${form}`] : []))
    return form === undefined ? [] : names.filter((name) => !known.has(name))
  })
}

/** What is to be noted of the sessions of `writers`, as they were loaded. */
export function findLeft({ files, sessions }: RunIndex, writers: readonly string[]): LeftHead[] {
  return writers.flatMap((writer) => {
    const own = files.filter(({ kind, stem }) => kind === 'segment' && writerOf(stem) === writer)
    const sizes = own.map(({ name, size, report }) => ({ name, size: size - report.torn })).filter(({ size }) => size > 0)
    if (sizes.length === 0) return []
    const settled = sessions.find((session) => session.writer === writer)?.recorded
    return [{ writer, files: sizes, ...(own.every(isSound) && settled !== undefined ? { settled } : {}) }]
  })
}

/**
 * That sessions which said how they ended left a last segment, and how many items they settled: that they were, and that, nobody
 * could tell any more were it deleted. Of each once; of none that may be at work, since it may be about to delete what was not
 * acknowledged. `writer`: of the session that says so.
 */
export function noteClosed(index: RunIndex, { others }: Pick<Lease, 'others'>, writer: string): Head | undefined {
  const last = findLast(index)
  const left: LeftHead[] = []
  for (const session of index.sessions) {
    const file = last.get(session.writer)
    if (!session.isClosed || session.writer >= writer || others.includes(session.writer)) continue
    if (file === undefined || index.noted.has(file.name)) continue
    const { settled } = session
    left.push({ writer: session.writer, files: [file], ...(settled === undefined ? {} : { settled }) })
  }
  return left.length === 0 ? undefined : { kind: 'died', writers: left.map((it) => it.writer), hasEnded: true, left }
}

/** The last segments of sessions, by their writers, be they there or copied into a snapshot. */
function findLast({ files, covered }: RunIndex): Map<string, LeftHead['files'][number]> {
  const last = new Map<string, { readonly name: string; readonly size: number; readonly sequence: number }>()
  const own = files.map(({ name, size, report }) => ({ name, size: size - report.torn }))
  for (const { name, size } of [...files.flatMap(({ covers }) => covers), ...covered, ...own]) {
    const file = toRunFile(`run/${name}`, size)
    if (file?.kind !== 'segment' || size === 0) continue
    const sequence = sequenceOf(file.stem)
    if (sequence >= (last.get(writerOf(file.stem))?.sequence ?? 0)) last.set(writerOf(file.stem), { name, size, sequence })
  }
  return new Map([...last].map(([writer, { name, size }]) => [writer, { name, size }]))
}
