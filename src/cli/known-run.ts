import { listRuns } from '../checkpoint/runs.ts'
import { isPawlError } from '../errors.ts'
import { didYouMean } from '../nearest.ts'
import type { Store } from '../store/store.ts'

/**
 * What `read` gives; when it finds no run `runId`, an error that names those of `store` most like it.
 *
 * @throws RunNotFoundError
 */
export async function readKnown<V>(store: Store, runId: string, read: () => Promise<V>): Promise<V> {
  try {
    return await read()
  } catch (error) {
    if (!isPawlError(error, 'ERR_PAWL_RUN_NOT_FOUND')) throw error
    const runs = await listRuns(store).catch(() => [])
    const ids = runs.map((run) => run.runId)
    error.message += didYouMean(runId, ids)
    throw error
  }
}
