import { listRuns } from '../checkpoint/runs.ts'
import { isPawlError } from '../errors.ts'
import { didYouMean } from '../nearest.ts'
import { retell } from './ways-on.ts'

/**
 * What `read` gives; when it finds no run `runId`, an error that names those in `directory` most like it.
 *
 * @throws RunNotFoundError
 */
export async function readKnown<V>(directory: string, runId: string, read: () => Promise<V>): Promise<V> {
  try {
    return await read()
  } catch (error) {
    if (!isPawlError(error, 'ERR_PAWL_RUN_NOT_FOUND')) throw error
    const runs = await listRuns(directory).catch(() => [])
    const ids = runs.map((run) => run.runId)
    throw retell(error, { directory }, didYouMean(runId, ids))
  }
}
