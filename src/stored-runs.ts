import { oneByOne } from './checkpoint/stored/one-by-one.ts'
import type { Damage, RunDetails, RunSummary } from './checkpoint/stored/runs.ts'
import type { Store } from './store/store.ts'
import type { Outcome } from './types.ts'

/**
 * What a store knows of its runs. `store` is a Store or a directory, as a path or a file: URL; each call throws
 * InvalidOptionError for anything else. The code that reads checkpoints is loaded when first asked.
 */
const load = () => import('./checkpoint/stored/runs.ts')

/** The runs of a store, in the order of their ids. */
export async function listRuns(store: Store | string | URL): Promise<RunSummary[]> {
  return (await load()).listRuns(store)
}

/**
 * All that is known of a run. Only reads, so a run at work can be looked at.
 *
 * @throws RunNotFoundError, CheckpointVersionError.
 */
export async function inspectRun(store: Store | string | URL, runId: string): Promise<RunDetails> {
  return (await load()).inspectRun(store, runId)
}

/**
 * Reads every byte of a run and says what of it is damaged. What a killed session left unfinished at the end of its segment
 * is not, and neither is `ignored`: names below the run of what pawl did not make and nobody reads; absent when there is none.
 *
 * @throws RunNotFoundError, CheckpointVersionError.
 */
export async function verifyRun(
  store: Store | string | URL,
  runId: string,
): Promise<{ ok: boolean; damaged: Damage[]; ignored?: readonly string[] }> {
  return (await load()).verifyRun(store, runId)
}

/**
 * The outcomes of a run in the order of their indices; of a run with `key`, of the items of its last session, at the indices they
 * have there. Values are read as they are reached, not all at once. Where parts of the run are damaged the process is warned
 * (`PawlWarning`, code `CHECKPOINT_DAMAGED`), and what they held is left out.
 *
 * @throws RunNotFoundError, CheckpointVersionError; CheckpointCorruptError when a part that was whole is not any more.
 */
export function readResults(store: Store | string | URL, runId: string): AsyncGenerator<Outcome> {
  return oneByOne(readBatches(store, runId))
}

async function* readBatches(store: Store | string | URL, runId: string): AsyncGenerator<readonly Outcome[], void, void> {
  yield* (await load()).readResultBatches(store, runId, (message) =>
    process.emitWarning(message, { type: 'PawlWarning', code: 'CHECKPOINT_DAMAGED' }),
  )
}

/**
 * Removes all that a run recorded. Takes 15 s where a process of another machine was last at work on it and did not end by
 * itself: so long it is watched.
 *
 * @throws RunNotFoundError; RunLockedError while a process works on it.
 */
export async function deleteRun(store: Store | string | URL, runId: string): Promise<void> {
  await (await load()).deleteRun(store, runId)
}
