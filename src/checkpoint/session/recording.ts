import type { Clock } from '../../clock.ts'
import { entryOf } from '../format/entries.ts'
import type { Head } from '../format/frame.ts'
import type { RunLog } from '../log/log.ts'
import { writeItemList } from '../record/item-list.ts'
import { countAmong, countSettled, isAsRecorded } from '../record/item-places.ts'
import type { RunIndex } from '../record/run-index.ts'
import type { Aside } from './aside.ts'
import type { OutcomeEntries } from './outcome-entries.ts'
import type { Session } from './session.ts'
import type { SourceWatch } from './source-watch.ts'

/** What is on record, less what this session recorded; read anew once something of that was found to be gone. */
export interface Known {
  index: RunIndex
}

/** What a session is told, on its way into the log. */
export interface Recording extends Pick<Session, 'begin' | 'setAside' | 'record' | 'recordItems' | 'recordEnd'> {
  /** How many items it was told to have settled. */
  readonly settledItems: number
  /**
   * How many items of the run are on record with that; undefined in keyed runs, and when that was read anew, and some of it is
   * counted.
   */
  readonly done: number | undefined
  /**
   * Notes that the run drains: nobody in flight is a suspect of whatever ends the process from now on, be it whoever cannot wait.
   */
  excuse(): void
  /** Adds to the log what is to be told of items that are set aside, as the session ends. */
  leaveAside(): void
}

export interface RecordingOptions {
  readonly writer: string
  readonly log: RunLog
  readonly aside: Aside
  readonly entries: OutcomeEntries
  readonly known: Known
  readonly source: SourceWatch
  readonly clock: Clock
  /** What is to be said of earlier sessions, as `noteClosed` gives it. */
  readonly closed: Head | undefined
}

export function createRecording({ writer, log, aside, entries, known, source, clock, closed }: RecordingOptions): Recording {
  const { index: before } = known
  let settledItems = 0
  let freshItems = 0
  let hasBegun = false
  let toSay = closed
  /** With the first that is said of items: a session that has nothing to run leaves no segment for its sake. */
  const sayClosed = () => {
    if (toSay !== undefined) log.add([entryOf(toSay)])
    toSay = undefined
  }
  return {
    get settledItems() {
      return settledItems
    },
    get done() {
      // Of keyed items that may be others by the time somebody reads it, it would say nothing.
      if (known.index !== before || before.isKeyed) return undefined
      return countSettled(before).done + freshItems
    },
    begin: (chunk) => {
      hasBegun = true
      sayClosed()
      aside.begin(chunk.indices)
      return log.note(entries.ofBegun(chunk))
    },
    async setAside(chunk) {
      const entry = aside.add(chunk)
      if (entry) await log.note(entry)
    },
    excuse: () => {
      if (hasBegun) void log.note(entryOf({ kind: 'died', writers: [writer], hasEnded: true }))
    },
    leaveAside: () => {
      hasBegun = false // From here on its end is the word of it.
      log.add(aside.take())
    },
    record({ fulfilled, rejected }) {
      sayClosed()
      const settled = [...fulfilled.flatMap(entries.ofFulfilled), ...rejected.map(entries.ofRejected)]
      for (const { items, fresh } of settled) {
        settledItems += items
        freshItems += fresh
      }
      log.add(settled)
    },
    recordItems(keys) {
      const { index } = known
      if (index.list === undefined && isAsRecorded(index, keys)) return
      const heads = writeItemList(keys, index.list, clock.today())
      if (heads.length === 0) return
      // What the run has no more does not count as recorded any more, and what came back does again.
      const fresh = countAmong(keys, index).done - countSettled(index).done
      log.add(heads.map((head, at) => entryOf(head, sizeOf(head.keys), at === 0 ? fresh : 0)))
      log.flush().catch(() => {}) // Before any outcome. That it fails, the log tells by itself.
    },
    recordEnd(count) {
      source.checkEnd(count)
      if (known.index.total !== count) log.add([entryOf({ kind: 'total', count }, 16)])
    },
  }
}

/** About what keys weigh in memory. */
function sizeOf(keys: readonly string[]): number {
  return keys.reduce((sum, key) => sum + key.length + 16, 64)
}
