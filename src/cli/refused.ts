import { UsageError } from './failure.ts'

/** Why `pawl resume RUN` does not take a flag of `pawl run`, and what to do instead, of the flag as it was given. */
type Explain = (flag: string, runId: string) => string

const anew: Explain = (flag, runId) =>
  `expected what the run was begun with, since its results depend on it. For other results 'pawl run … ${flag} --run-id NEW' begins a new run, and 'pawl run … ${flag} --run-id ${runId} --overwrite' discards this one`

/** Flags of `run` that a run keeps, as commander is told of them. */
export const REFUSED: Readonly<Record<string, Explain>> = {
  '--seed [n]': anew,
  '--config [json]': anew,
  '--key [field]': anew,
  '--input [file]': (flag, runId) =>
    `expected the input that the run was begun with, which its record names. If it lies elsewhere now, 'pawl run … ${flag} --run-id ${runId}' goes on with this run; for other items '--run-id NEW' begins a new one`,
  '--run-id [id]': (flag, runId) =>
    `expected the run's name alone, which it keeps: 'pawl resume ${runId}'. For another name 'pawl run … ${flag}' begins a run`,
  '--overwrite': (flag, runId) =>
    `expected a run to go on with, and none to discard. 'pawl run … --run-id ${runId} ${flag}' begins it again, with nothing of what is on record`,
  '--resume': (_, runId) => `expected it to be left out, since 'pawl resume ${runId}' goes on with the run in any case`,
  '--no-checkpoint': (flag) => `expected a run that is recorded. 'pawl run … ${flag}' runs all items, and records nothing`,
}

/**
 * Refuses flags, as commander gives them, that only `pawl run` takes.
 *
 * @throws UsageError
 */
export function refuseKept(runId: string, flags: { readonly [name: string]: unknown }): void {
  for (const [notation, explain] of Object.entries(REFUSED)) {
    const [flag = ''] = notation.split(' ')
    const isNegated = flag.startsWith('--no-')
    const name = flag.replace(/^--(no-)?/, '').replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())
    const value = flags[name]
    if (isNegated ? value !== false : value === undefined) continue
    // What a shell would take for something else is left to whoever typed it.
    const given = typeof value === 'string' ? `${flag} ${/^[\w.,:/@%+-]+$/.test(value) ? value : '…'}` : flag
    throw new UsageError(`Cannot use '${flag}' with 'pawl resume': ${explain(given, runId)}`)
  }
}
