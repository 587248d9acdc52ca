import { isAbsolute } from 'node:path'
import { listRuns } from '../checkpoint/stored/runs.ts'
import { isPawlError } from '../errors.ts'
import { didYouMean } from '../nearest.ts'
import { isThere } from './task-path.ts'
import { retell } from './ways-on.ts'

/**
 * What `read` gives; when it finds no run `runId`, an error that names those in `directory` most like it, or says that there is
 * no such directory, as elsewhere than where the run was begun.
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
    throw retell(error, { directory }, isThere(directory) ? didYouMean(runId, ids) : `. ${explainAbsent(directory)}`)
  }
}

/** Of a directory of runs that is not there. */
export function explainAbsent(directory: string): string {
  const place = isAbsolute(directory) ? '' : ` below ${process.cwd()}`
  return `There is no directory ${directory}${place}: go to where the run was begun, or name the directory that it is recorded in with --checkpoint`
}
