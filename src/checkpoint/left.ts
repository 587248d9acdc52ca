import { isSound } from './file-report.ts'
import type { LeftHead } from './frame.ts'
import type { LoadedFile, RunIndex } from './load.ts'
import { type RunFile, writerNamed, writerOf } from './run-file.ts'
import { newTrace, type SessionTrace } from './session-trace.ts'

/** What could be read of sessions as others found them dead: what is less by now was lost since. */
export interface LeftRecord {
  /** How many bytes segments have at least, by their names below the run. */
  readonly left: ReadonlyMap<string, number>
  /** Names of those that are not there any more, and that no snapshot stood for. */
  readonly gone: readonly string[]
}

/** Puts together what is on record of that, in whatever order it comes. */
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
      const known = new Set([...files, ...covered, ...files.flatMap(({ covers }) => covers)].map(({ name }) => name))
      const gone = [...left.keys()].filter((name) => !known.has(name))
      for (const name of gone) {
        const writer = writerNamed(name) as string
        if (!sessions.has(writer)) sessions.set(writer, newTrace(writer))
      }
      for (const [writer, settled] of counts) {
        const session = sessions.get(writer)
        if (session && !session.isClosed) session.settled = settled
      }
      return { left, gone }
    },
  }
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
