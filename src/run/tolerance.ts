import { nameItem, plural, RunFailedError } from '../errors.ts'
import { countTolerated } from '../options/count-tolerated.ts'
import type { ResolvedOptions } from '../options/options.ts'
import type { Failure } from '../types.ts'
import { inReport, option, type Words, worded, wording, wordsIn } from '../wording.ts'

/** Whether a run has more failures than it tolerates. */
export interface Tolerance {
  /** True from the first time on that `failed` of `settled` items are too many; `known`: items there are, as far as known. */
  isExceeded(failed: number, settled: number, known: number | undefined): boolean
  /** What a run that had too many of `failures` ends with. */
  error(failures: readonly Failure[]): RunFailedError
}

export function createTolerance(maxFailures: ResolvedOptions['maxFailures']): Tolerance {
  let hasExceeded = false // Once for all: what settles while the run drains for it may bring a share below it again.
  return {
    isExceeded: (failed, settled, known) => {
      hasExceeded ||= failed > 0 && failed > countTolerated(maxFailures, settled, known)
      return hasExceeded
    },
    error: (failures) => tooMany(failures, maxFailures),
  }
}

function tooMany(failures: readonly Failure[], maxFailures: ResolvedOptions['maxFailures']): RunFailedError {
  const first = failures[0] as Failure
  const most = 'count' in maxFailures ? plural(maxFailures.count, 'failure') : `${maxFailures.percentage}% failures`
  const got = wording`got ${plural(failures.length, 'item')} that failed, first item ${nameItem(first.index, first.key)}: ${withoutStop(wordsIn(first.reason))}`
  return worded(
    wording`Cannot finish the run: expected at most ${most} (${option('maxFailures', 'maxFailures')}), ${got}${inReport()}`,
    (message) => new RunFailedError(message, { cause: first.reason }),
  )
}

/** A sentence goes on behind it. Messages of ours end in none. */
function withoutStop(words: Words): Words {
  return typeof words === 'string' ? words.replace(/\.$/, '') : words
}
