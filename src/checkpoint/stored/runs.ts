import { RunNotFoundError } from '../../errors.ts'
import { directoryOf } from '../../store/file.ts'
import type { Store } from '../../store/store.ts'
import type { Outcome } from '../../types.ts'
import { type HolderOptions, refuseHolders } from '../claims/holders.ts'
import { isOfRun } from '../format/run-file.ts'
import { deleteAll } from '../identity/discard.ts'
import { type Damage, describeCut, describeDamage, describeGone, describeLosses, STOOD_FOR } from '../record/damage.ts'
import { placeIn } from '../record/item-places.ts'
import { type RecordedRejection, readOutcomes } from '../record/read-outcomes.ts'
import { findStoodFor } from '../record/stood-for.ts'
import { findWinners } from '../record/winners.ts'
import { toStore } from './given-store.ts'
import { listObjects, loadRun, lossOf, type StoredRun } from './load-run.ts'
import { readInOrder } from './read-in-order.ts'
import { COMMAND_DAMAGED, findDamagedCommands } from './shard-commands.ts'

export { refuseHolders } from '../claims/holders.ts'
export type { RunIdentity } from '../identity/fingerprint.ts'
export type { Damage } from '../record/damage.ts'
export { type FileDetails, inspectRun, listRuns, type RunDetails, type RunSummary, type SessionDetails } from './run-details.ts'

/**
 * Reads every byte of a run and says what of it is damaged. What a killed session left unfinished at the end of its segment
 * is not, and neither is `ignored`: names below the run of what pawl did not make and nobody reads; absent when there is none.
 *
 * @throws RunNotFoundError, CheckpointVersionError.
 */
export async function verifyRun(
  given: Store | string | URL,
  runId: string,
): Promise<{ ok: boolean; damaged: Damage[]; ignored?: readonly string[] }> {
  const store = toStore(given)
  const loaded = await loadRun(store, runId, true)
  const { index, fingerprint, unreadable, misplaced, ignored, manifest } = loaded
  const damaged: Damage[] = unreadable.map((key) => ({
    file: key.slice(runId.length + 1),
    problem: 'the manifest is damaged, or that of a run of another name',
  }))
  for (const file of await findDamagedCommands(store, runId)) damaged.push({ file, problem: COMMAND_DAMAGED })
  for (const file of misplaced) damaged.push({ file, problem: 'a file where a folder has to be' })
  // A session that died before it had written the manifest left a claim and nothing else.
  const isBegun = index.files.length > 0 || index.covered.length > 0
  if (manifest === undefined && unreadable.length === 0 && isBegun)
    damaged.push({ file: 'run/', problem: 'the manifest is missing' })
  const { loss, cut } = lossOf(loaded)
  for (const file of index.files) damaged.push(...describeDamage(file, index, loss))
  for (const { name } of await findStoodFor(store, fingerprint, index.covered))
    damaged.push({ file: name, problem: STOOD_FOR, settled: true })
  for (const file of index.files) {
    if (file.kind === 'segment' && cut.has(file.name)) damaged.push(describeCut(file, index, loss))
  }
  for (const name of index.gone) if (cut.has(name)) damaged.push(describeGone(name, index, loss))
  return { ok: damaged.length === 0, damaged, ...(ignored.length > 0 ? { ignored } : {}) }
}

/**
 * The outcomes of a run in the order of their indices, many at once. Values are read as they are reached, not all at once. What is
 * damaged is left out, and `warn` is told.
 *
 * @throws RunNotFoundError, CheckpointVersionError; CheckpointCorruptError when a part that was whole is not any more.
 */
export async function* readResultBatches(
  given: Store | string | URL,
  runId: string,
  warn: (message: string) => void = () => {},
): AsyncGenerator<readonly Outcome[], void, void> {
  const store = toStore(given)
  const loaded = await loadRun(store, runId, true, true)
  for (const sentence of listLosses(runId, loaded)) warn(`${sentence} when the run is resumed; verifyRun names it`)
  yield* readInOrder(store, runId, loaded.fingerprint, loaded.index)
}

/** What of the run is damaged, and what that means, in sentences that one may go on with. */
function listLosses(runId: string, loaded: StoredRun): string[] {
  const { loss, cut } = lossOf(loaded)
  return describeLosses(runId, loaded.index, cut, loss)
}

/**
 * The failures of a run, in the order of their indices, with reason and, where it could be recorded, item. `warn` is told what is
 * damaged, as by `listLosses`.
 *
 * @throws RunNotFoundError, CheckpointVersionError.
 */
export async function readFailures(
  given: Store | string | URL,
  runId: string,
  warn: (sentence: string) => void = () => {},
): Promise<RecordedRejection[]> {
  const store = toStore(given)
  const loaded = await loadRun(store, runId, true)
  for (const sentence of listLosses(runId, loaded)) warn(sentence)
  const { fingerprint, index } = loaded
  const failures: RecordedRejection[] = []
  if (index.failures.size === 0) return failures
  const winners = await findWinners(store, runId, fingerprint, index)
  for await (const { rejected } of readOutcomes(store, runId, fingerprint, index, winners, { values: true })) {
    for (const failure of rejected) {
      const place = placeIn(index, failure.index, failure.key)
      if (place !== undefined) failures.push({ ...failure, index: place })
    }
  }
  return failures.sort((a, b) => a.index - b.index)
}

/**
 * Deletes a run. Where a session of another machine left a claim, it takes 15 s to see that it is not at work any more.
 *
 * @throws RunNotFoundError; RunLockedError when a session is at work on it.
 */
export async function deleteRun(given: Store | string | URL, runId: string, options?: HolderOptions): Promise<void> {
  const store = toStore(given)
  if (!(await listObjects(store, runId)).some(({ key }) => isOfRun(key))) throw new RunNotFoundError(runId, directoryOf(store))
  await refuseHolders(store, runId, options)
  await deleteAll(store, runId)
}
