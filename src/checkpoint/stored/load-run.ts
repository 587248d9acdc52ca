import { systemClock } from '../../clock.ts'
import { RunNotFoundError } from '../../errors.ts'
import { RUN_ID } from '../../options/option-table.ts'
import { directoryOf } from '../../store/file.ts'
import type { Store, StoredObject } from '../../store/store.ts'
import { type Claim, findLive, readClaims } from '../claims/claim.ts'
import { isOfRun, writerOf } from '../format/run-file.ts'
import type { Manifest } from '../identity/manifest.ts'
import { readFingerprints, readManifests } from '../identity/read-manifests.ts'
import { askForEach } from '../patience/at-once.ts'
import { MAX_STARTS, startOver } from '../reading/file-bytes.ts'
import { findCut } from '../record/cut.ts'
import { findUnclaimed } from '../record/ends.ts'
import { listFiles, loadIndex } from '../record/load.ts'
import { findLoss, type Loss } from '../record/loss.ts'
import type { RunIndex } from '../record/run-index.ts'

/** A run as it is read by whoever is not at work on it. */
export interface StoredRun {
  readonly manifest: Manifest | undefined
  /** Keys of manifests that are damaged. */
  readonly unreadable: readonly string[]
  /** Folders of the run in whose place there is a file. */
  readonly misplaced: readonly string[]
  /** Names below the run of what is none of pawl's. */
  readonly ignored: readonly string[]
  readonly fingerprint: string
  readonly index: RunIndex
  readonly claims: readonly Claim[]
  /** Those of sessions that seem to be at work. */
  readonly holders: readonly Claim[]
  readonly bytes: number
  readonly writtenAt: readonly number[]
}

const FOLDERS = ['run', 'seg', 'snap', 'lease']

/**
 * Reads what is recorded of a run. Writes nothing.
 *
 * A session that ends meanwhile may have neither its end in what was read, nor a claim by the time claims are read: it looks
 * like damage. So whoever has neither is looked at again, when all that it wrote is there.
 *
 * @throws RunNotFoundError, CheckpointVersionError.
 */
export async function loadRun(store: Store, runId: string, isChecked: boolean, isLocated = false): Promise<StoredRun> {
  const seen = new Set<string>()
  for (let looks = 1; ; looks++) {
    const loaded = await lookAt(store, runId, isChecked, isLocated)
    const unseen = findUnexplained(loaded).filter((writer) => !seen.has(writer))
    if (unseen.length === 0 || looks === MAX_STARTS) return loaded
    for (const writer of unseen) seen.add(writer)
  }
}

/** The writers of sessions that neither said that they ended, nor have a claim, nor are known to have died. */
function findUnexplained({ index, claims }: StoredRun): string[] {
  return findUnclaimed(index, { others: claims.map(({ writer }) => writer), dead: [] })
}

/** All that lies below a run; nothing of a name that no run can have, below which there may be files of one. */
export async function listObjects(store: Store, runId: string): Promise<readonly StoredObject[]> {
  return RUN_ID.test(runId) ? store.list(`${runId}/`) : []
}

async function lookAt(store: Store, runId: string, isChecked: boolean, isLocated: boolean): Promise<StoredRun> {
  const objects = await listObjects(store, runId)
  const misplaced = FOLDERS.filter((folder) => objects.some(({ key }) => key === `${runId}/${folder}`))
  const others = objects.filter(({ key }) => !isOfRun(key)).map(({ key }) => key.slice(runId.length + 1))
  const ignored = others.filter((name) => !misplaced.includes(name))
  if (ignored.length === objects.length) throw new RunNotFoundError(runId, directoryOf(store))
  const { manifest, unreadable, fingerprint } = await startOver(() => readIdentity(store, runId))
  const options = { isChecked, isLocated, count: manifest?.identity.items.count }
  const load = (isKeyed: boolean) => loadIndex(store, runId, fingerprint, { ...options, isKeyed })
  const recorded = await load(manifest !== undefined && manifest.identity.key !== 'index')
  // Without its manifest only what is on record tells.
  const index = manifest === undefined && recorded.hasKeys ? await load(true) : recorded
  const bytes = objects.reduce((sum, { size }) => sum + size, 0)
  const claims = await readClaims(store, runId)
  const holders = await findLive(store, runId, claims, systemClock.today())
  const writtenAt = await readWriteTimes(store, index)
  return { manifest, unreadable, misplaced, ignored, fingerprint, index, claims, holders, bytes, writtenAt }
}

/** What damage cost the run, and the names of files that lack their end, or are gone. */
export function lossOf({ index, claims }: StoredRun): { loss: Loss; cut: Set<string> } {
  const cut = findCut(index, new Set(claims.map(({ writer }) => writer)))
  return { cut, loss: findLoss(index, cut) }
}

/** When the segments of sessions that did not say how they ended were last written, as far as the store can tell. */
async function readWriteTimes(store: Store, { files, sessions }: RunIndex): Promise<number[]> {
  const closed = new Set(sessions.filter(({ isClosed }) => isClosed).map(({ writer }) => writer))
  const open = files.filter(({ kind, stem }) => kind === 'segment' && !closed.has(writerOf(stem)))
  const times = await askForEach(open, async ({ key }) => store.modifiedAt?.(key))
  return times.map((time) => Math.trunc(time ?? 0))
}

/** What the run is, by its manifest, else by its files. */
async function readIdentity(store: Store, runId: string): Promise<Pick<StoredRun, 'manifest' | 'unreadable' | 'fingerprint'>> {
  const { manifests, damaged: unreadable } = await readManifests(store, runId)
  const [manifest] = manifests
  const [recorded = ''] = manifest ? [] : await readFingerprints(store, await listFiles(store, runId))
  return { manifest, unreadable, fingerprint: manifest?.fingerprint ?? recorded }
}
