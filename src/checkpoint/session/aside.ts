import { attemptsSince, historyAt } from '../../items/chunk.ts'
import type { Chunk } from '../../types.ts'
import { type Entry, entryOf } from '../format/entries.ts'
import { toRuns } from '../format/frame.ts'
import { hashKey } from '../format/hash-key.ts'
import { MAX_RUNNING } from '../format/head.ts'
import { attemptedIn } from '../record/attempted.ts'
import type { Restored } from '../record/restored.ts'
import type { Attempted, RunIndex } from '../record/run-index.ts'

/** An item that is not in flight, and what is known of it besides. */
interface Row extends Omit<Attempted, 'session'> {
  readonly index: number
  readonly key: string | undefined
}

/**
 * The items of which this session tried each at least once, and that wait to be tried again, or were left when a drain began.
 * While they wait, word of them keeps them from being suspects of whatever ends the process; what is left of them in the end is
 * recorded for the next session.
 */
export class Aside {
  readonly #rows = new Map<number, Row>()
  readonly #index: RunIndex
  readonly #restored: Restored

  constructor(index: RunIndex, restored: Restored) {
    this.#index = index
    this.#restored = restored
  }

  /** Takes in those items of `chunk` that were tried; gives what to note of them, if there are any. */
  add(chunk: Chunk): Entry | undefined {
    const rows = Array.from(chunk.indices, (_, place) => this.#toRow(chunk, place)).filter((row) => row !== undefined)
    for (const row of rows) this.#rows.set(row.index, row)
    return rows.length === 0 ? undefined : this.#toEntry(rows)
  }

  /** They are about to run. */
  begin(indices: Uint32Array): void {
    if (this.#rows.size > 0) for (const index of indices) this.#rows.delete(index)
  }

  /** What to record of all that are left: of more chunks than one, in as many frames as that takes. From then on nobody is. */
  take(): Entry[] {
    const rows = [...this.#rows.values()].sort((a, b) => a.index - b.index)
    this.#rows.clear()
    const entries: Entry[] = []
    for (let at = 0; at < rows.length; at += MAX_RUNNING) entries.push(this.#toEntry(rows.slice(at, at + MAX_RUNNING)))
    return entries
  }

  /**
   * The deaths of processes that an item is charged with are told by what they left: only what came of it here is added to what
   * is on record.
   */
  #toRow(chunk: Chunk, place: number): Row | undefined {
    const index = chunk.indices[place] as number
    const key = this.#index.isKeyed ? (chunk.keys?.[place] ?? String(index)) : undefined
    const history = historyAt(chunk, place)
    const restored = this.#restored.historyOf(index, key)
    const tried = attemptsSince(chunk, place, restored)
    if (history === undefined || tried <= 0) return undefined
    const before = attemptedIn(this.#index, index, key)
    return {
      ...{ index, key },
      attempts: tried + (before?.attempts ?? 0),
      crashes: Math.max(0, history.crashes - (restored?.crashes ?? 0)) + (before?.crashes ?? 0),
      since: before?.since ?? history.firstFailedAt,
    }
  }

  #toEntry(rows: readonly Row[]): Entry {
    const crashes = rows.map((row) => row.crashes)
    const head = {
      kind: 'attempted' as const,
      runs: toRuns(rows.map(({ index }) => index)),
      ...(this.#index.isKeyed ? { hashes: rows.map(({ key }) => hashKey(key as string)) } : {}),
      attempts: rows.map(({ attempts }) => attempts),
      ...(crashes.some((count) => count > 0) ? { crashes } : {}),
      since: rows.map(({ since }) => since ?? 0),
    }
    return entryOf(head, 64 * rows.length)
  }
}
