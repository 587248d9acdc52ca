import { createEncoder } from '../format/entries.ts'
import { RunLog } from '../log/log.ts'
import { Tidings } from '../log/tidings.ts'
import { countSettled } from '../record/item-places.ts'
import { noteClosed } from '../record/left.ts'
import { statusIn } from '../record/restored.ts'
import { Aside } from './aside.ts'
import { createConfirm } from './confirm.ts'
import { createEnding } from './ending.ts'
import type { Opened } from './opened.ts'
import { createOutcomeEntries } from './outcome-entries.ts'
import { createRecording, type Known } from './recording.ts'
import type { Session, SessionOptions } from './session.ts'
import { createSourceWatch } from './source-watch.ts'
import { startUpkeep } from './upkeep.ts'

/** A session at work on a run that was opened. */
export function startSession(options: SessionOptions, opened: Opened): Session {
  const { writer, lease, manifest, restored } = opened
  const parts = startParts(options, opened)
  const { log, tidings, upkeep, source, recording, ending } = parts
  return {
    ...{ writer, manifest, restored },
    get stats() {
      const { checkpoints, bytesWritten } = log.stats
      return { checkpoints, bytesWritten: bytesWritten + upkeep.bytesWritten }
    },
    get backlog() {
      return log.backlog
    },
    begin: recording.begin,
    setAside: recording.setAside,
    record: recording.record,
    recordSource: source.recordSource,
    recordItems: recording.recordItems,
    checkEnd: source.checkEnd,
    recordEnd: recording.recordEnd,
    confirm: createConfirm({ options, opened, ...parts }),
    flush: () => log.flush(),
    async close(hasFailed = false, isVoid = false) {
      let hasEnd = false
      try {
        hasEnd = await ending.close(hasFailed)
      } finally {
        await upkeep.finish({ hasEnd, isGone: tidings.isGoneTold, isVoid })
        await (hasEnd ? lease.release() : lease.leave())
      }
    },
  }
}

/** What a session is made of, each part with those before it. */
function startParts(options: SessionOptions, opened: Opened) {
  const { runId, clock } = options
  const { writer, lease, index, restored } = opened
  const known: Known = { index }
  const entries = openEntries(options, opened, known)
  const upkeep = startUpkeep(options, opened, () => entries.recordedBytes)
  const recorded = countSettled(index).done
  const tidings = new Tidings({ ...options, recorded, onGone: upkeep.putManifest })
  const isWhole = options.store.append === undefined
  const encoder = createEncoder(options.format, options.compress, opened.manifest.fingerprint, () => clock.today(), isWhole)
  const log = new RunLog({ ...options, writer, encoder, lease, tidings, onClosed: upkeep.add })
  void upkeep.noteEnds(log)
  const source = createSourceWatch(runId, index, restored, log)
  const closed = noteClosed(index, lease, writer)
  const recording = createRecording({ writer, log, aside: new Aside(index, restored), entries, known, source, clock, closed })
  options.draining?.addEventListener('abort', recording.excuse, { once: true })
  const ending = createEnding(options, index, log, recording)
  return { known, entries, upkeep, tidings, log, source, recording, ending }
}

function openEntries({ emit }: SessionOptions, { index, codec }: Opened, known: Known) {
  return createOutcomeEntries({
    ...{ isKeyed: index.isKeyed, codec, hasFailures: index.failures.size > 0 },
    statusOf: (at, key) => statusIn(known.index, at, key),
    onUnheld: (message) => emit('warning', { code: 'CHECKPOINT_UNHELD', message }),
  })
}
