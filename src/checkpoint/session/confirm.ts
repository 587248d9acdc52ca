import { manifestKey } from '../identity/manifest.ts'
import type { RunLog } from '../log/log.ts'
import type { Tidings } from '../log/tidings.ts'
import { countSettled } from '../record/item-places.ts'
import type { Ending } from './ending.ts'
import { findGone, findUnrecorded, notKept, readAnew, type Unrecorded } from './gone.ts'
import type { Opened } from './opened.ts'
import type { OutcomeEntries } from './outcome-entries.ts'
import type { Known } from './recording.ts'
import type { Session, SessionOptions } from './session.ts'
import type { SourceWatch } from './source-watch.ts'
import type { Upkeep } from './upkeep.ts'

/** The parts of a session that have to do with what is on record as it ends. */
export interface ConfirmOptions {
  readonly options: SessionOptions
  readonly opened: Opened
  readonly known: Known
  readonly entries: OutcomeEntries
  readonly log: RunLog
  readonly tidings: Tidings
  readonly source: SourceWatch
  readonly upkeep: Upkeep
  readonly ending: Ending
}

/** Makes `confirm` of a session. */
export function createConfirm(parts: ConfirmOptions): Session['confirm'] {
  const { options, opened, known, log, tidings, source, upkeep, ending } = parts
  const { index } = opened
  /** How many writes had failed when it was last looked whether files are gone. */
  let failuresAtLook: number | undefined

  return async (settled, hasFailed = false) => {
    // A write looks after its own file: where there is no other, only one that failed is a reason to look.
    if (index.files.length + (log.acknowledged?.length ?? 0) + upkeep.made.length === 0) failuresAtLook ??= 0
    // Before the look, since it may be tried for long. That it fails, the log tells by itself.
    await ending.end(hasFailed).catch(() => {})
    if (log.acknowledged === undefined || log.failures === failuresAtLook) return false
    failuresAtLook = log.failures
    if (!tidings.isGoneTold && !(await isAnyGone(parts))) return false
    const found = await readAnew(options, opened)
    const unrecorded = findUnrecorded(found, settled)
    const { fulfilled, rejected, missing } = unrecorded
    // What is on record in spite of it nobody is to miss; of what is not, the end of this session has to tell.
    if (missing > 0) log.endAgain()
    else log.endAgain(new Set([...found.files, ...found.covered].map(({ key }) => key)))
    if (fulfilled.length + rejected.length + missing === 0) return false
    known.index = found
    if (!tidings.isGoneTold) tidings.tellGone()
    tidings.recount(countSettled(found).done)
    await upkeep.noteEnds(log)
    source.recordLost(found)
    await recordAgain(parts, unrecorded)
    if (missing > 0 && settled.complete !== undefined && options.onError === 'fail') throw notKept(options.runId, missing)
    return true
  }
}

/** Whether files are gone that hold what is recorded. A manifest that is, which holds none of it, is told and put again. */
async function isAnyGone({ options, opened, log, tidings, upkeep }: ConfirmOptions): Promise<boolean> {
  const name = manifestKey(opened.manifest)
  const files = [...opened.index.files, ...(log.acknowledged ?? []), ...upkeep.made]
  const gone = await findGone(options.store, options.runId, [...files, { key: name, size: 1 }], upkeep.deleted)
  if (gone.includes(name)) tidings.tellGone()
  return gone.some((key) => key !== name)
}

async function recordAgain({ entries, log }: ConfirmOptions, { fulfilled, rejected }: Unrecorded): Promise<void> {
  for (const batch of fulfilled) {
    log.add(entries.ofFulfilled(batch))
    await log.backlog
  }
  log.add(rejected.map(entries.ofRejected))
}
