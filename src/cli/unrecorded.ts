import { isPawlError, plural } from '../errors.ts'
import { countTolerated } from '../options/count-tolerated.ts'
import type { ResolvedOptions } from '../options/options.ts'
import { fileStore } from '../store/file.ts'
import type { Failure, Report } from '../types.ts'
import { wordsIn } from '../wording.ts'
import type { Assignment } from './assignment.ts'
import { sayHere } from './ways-on.ts'

/** What failed, in a run that could not write its checkpoint. */

/** Failures told one by one on stderr; `--json` gives all of them. */
const MOST_TOLD = 20

/** What an item that failed is called, and how it failed: `item 3 (key a.txt): error after 2 attempts, 1 crash`. */
export function nameFailure({
  index,
  key,
  kind,
  attempts,
  crashes,
}: Pick<Failure, 'index' | 'kind' | 'attempts' | 'crashes'> & { readonly key?: string }): string {
  const name = key === undefined || key === String(index) ? `item ${index}` : `item ${index} (key ${key})`
  const past = [plural(attempts, 'attempt'), ...(crashes > 0 ? [plural(crashes, 'crash', 'crashes')] : [])]
  return `${name}: ${kind} after ${past.join(', ')}`
}

/** Why an item failed: `Error [ECONNREFUSED]: no answer`. What pawl's own errors are called says what their codes do. */
export function nameReason(reason: Error, message = reason.message): string {
  const { code = '' } = reason as { readonly code?: unknown }
  const isCode = (typeof code === 'string' && code !== '') || typeof code === 'number'
  // As a word: 1 is not told by '10 of 10 failed'. Of an AbortError the platform's number, 20, says what its name does.
  const isSaid = () =>
    message.split(/[^\w.-]+/).includes(`${code}`) || (code !== 0 && code === new DOMException('', reason.name).code)
  const isTold = isPawlError(reason) || !isCode || isSaid()
  return `${reason.name}${isTold ? '' : ` [${code}]`}: ${message}`
}

/** True when more items failed than is tolerated, whatever it was that ended the run. */
export function isExcess({ status, stats }: Report, maxFailures: ResolvedOptions['maxFailures']): boolean {
  const settled = stats.succeeded + stats.failed
  const isCountKnown = status === 'complete' || stats.items > settled
  return stats.failed > countTolerated(maxFailures, settled, isCountKnown ? stats.items : undefined)
}

/** The failures that no record is known to hold, a sentence each: nothing else will tell of them when the process has ended. */
export async function listUnrecorded(assignment: Assignment, { failures }: Report): Promise<string[]> {
  const isRecorded = await findRecorded(assignment)
  const missing = failures.filter((it) => !it.restored && !isRecorded(it))
  if (missing.length === 0) return []
  const told = missing
    .slice(0, MOST_TOLD)
    .map((it) => `${nameFailure(it)}: ${nameReason(it.reason, sayHere(wordsIn(it.reason), assignment))}`)
  const left = missing.length - told.length
  return [
    `${plural(missing.length, 'failure')} of this session ${missing.length === 1 ? 'is' : 'are'} not on record:`,
    ...told,
    ...(left > 0 ? [`and ${left} more`] : []),
  ]
}

/**
 * Tells of a failure whether it got into the checkpoint after all, with a flush before the one that failed or as a part of that.
 */
async function findRecorded({ directory, runId }: Assignment): Promise<(failure: Failure) => boolean> {
  if (directory === undefined || runId === undefined) return () => false
  try {
    const { readFailures } = await import('../checkpoint/stored/runs.ts')
    const recorded = await readFailures(fileStore(directory), runId)
    const names = new Set(recorded.map((it) => identify(it.key ?? String(it.index), it)))
    return (failure) => names.has(identify(failure.key, failure))
  } catch {
    return () => false // A store that is out of order: what cannot be read is told.
  }
}

/** The same for a failure and its record, and for no other failure of the item. */
function identify(key: string, { session, lastFailedAt }: Pick<Failure, 'session' | 'lastFailedAt'>): string {
  return `${session} ${lastFailedAt} ${key}`
}
