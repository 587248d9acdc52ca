import { basename } from 'node:path/posix'
import { inspect } from 'node:util'
import { CheckpointMismatchError, plural } from '../../errors.ts'
import { BLOCK_ITEMS } from '../../items/items.ts'
import { type Mention, option, type Words, worded, wording } from '../../wording.ts'
import { canonicalJson, type RunIdentity } from './fingerprint.ts'

/** Why a call is not the run that is recorded, in words. */

/** Of a file the command line takes all bytes, whatever they stand for. */
const CONTENTS = { about: 'contents', says: 'contents of the items (their digest)' } as const

type Part = readonly [part: string, words: Words, of: (identity: RunIdentity) => unknown]

/** What to call each part in a message, and how to see that it differs. */
const PARTS: readonly Part[] = [
  ['task', 'task', ({ task }) => (task.module === 'inline' ? 'another inline function' : `${task.module}#${task.export}`)],
  ['items', 'kind of items', ({ items }) => items.kind],
  ['items', 'number of items', ({ items }) => items.count],
  ['items', wording`${CONTENTS}`, ({ items }) => items.digest],
  ['config', wording`${option('config')}`, ({ config }) => config],
  ['key', wording`${option('key')}`, ({ key }) => key],
  ['seed', wording`${option('seed')}`, ({ seed }) => seed],
  ['shared', wording`${option('shared')} (its digest)`, ({ shared }) => shared],
]

/** Why a session of `given` cannot go on with what is recorded, and what to do. */
export function explainMismatch(runId: string, recorded: RunIdentity, given: RunIdentity): CheckpointMismatchError {
  if ((recorded.key === 'index') !== (given.key === 'index')) return explainKeys(runId, recorded.key, given.key)
  const [differs] = findDifferences(recorded, given)
  const [part, words, of] = differs ?? ['task', 'inline function (its source)', ({ task }: RunIdentity) => task.export]
  const problem = wording`the same ${words} as recorded, ${showGiven(of(recorded))}, got ${showGiven(of(given))}`
  const mayBeElsewhere = part === 'task' && namesOf(recorded) === namesOf(given)
  return mismatch(runId, [part, of(recorded), of(given)], mayBeElsewhere ? wording`${problem}. ${GO_THERE}` : problem)
}

function findDifferences(recorded: RunIdentity, given: RunIdentity): Part[] {
  return PARTS.filter(([, , of]) => canonicalJson(of(recorded) ?? null) !== canonicalJson(of(given) ?? null))
}

const namesOf = ({ task }: RunIdentity) => `${basename(task.module)}#${task.export}`

/** Where a task's file and export are called alike. */
const GO_THERE = 'If both are one file, run it from the directory in which the run was begun, since the path counts from there'

/** To forget what is on record of the run. */
export const DISCARD = { about: 'discard', says: "use resume: 'fresh' (--overwrite)" } as const

const ANOTHER_RUN = { about: 'another run', says: "give this run another 'runId' (--run-id)" } as const

const WAYS_OUT = wording`${ANOTHER_RUN}; to discard what is recorded, ${DISCARD}`

/** `problem`: what was expected, and got; `lead`: what is said in front of how to keep both. */
function mismatch(
  runId: string,
  difference: readonly [part: string, recorded: unknown, given: unknown],
  problem: Words,
  lead: Words | Mention = { about: 'both runs', part: difference[0], says: 'To keep both, ' },
): CheckpointMismatchError {
  const words = wording`Cannot resume run '${runId}': expected ${problem}. ${lead}${WAYS_OUT}`
  return worded(words, (message) => new CheckpointMismatchError(...difference, message))
}

/** What is not given counts as null. */
function showGiven(value: unknown): string {
  return value === null ? 'none' : show(value)
}

function show(value: unknown): string {
  return inspect(value, { depth: 2, breakLength: Number.POSITIVE_INFINITY, maxStringLength: 200 })
}

/** One of the two tells its items apart by key, the other by index. */
function explainKeys(runId: string, recorded: string, given: string): CheckpointMismatchError {
  const describe = (key: string) => {
    if (key === 'index') return wording`told apart by their index, without ${KEY}`
    const by = key === 'function' ? option('key') : option('key', `'key' (--key ${show(key)})`, show(key))
    return wording`told apart by ${by}`
  }
  const cure = recorded === 'index' ? wording`Leave out ${KEY}` : wording`Give ${KEY} as before`
  const problem = wording`items ${describe(recorded)}, as recorded, got items ${describe(given)}`
  return mismatch(runId, ['key', recorded, given], problem, wording`${cure}; to keep both, `)
}

const KEY = option('key', "'key' (--key)")

/** What differs between two runs of a task, for a warning: the part, and its name. */
export function listDifferences(recorded: RunIdentity, given: RunIdentity): { readonly part: string; readonly words: Words }[] {
  return findDifferences(recorded, given).map(([part, words]) => ({ part, words }))
}

const SAME_SOURCE = { about: 'source', says: 'Give it the same source as before; to keep both, ' } as const

/** An iterable gave other items than before. */
export function otherSource(runId: string, block: number, count: number, known: string, digest: string): CheckpointMismatchError {
  const [first, last] = [block * BLOCK_ITEMS, block * BLOCK_ITEMS + count - 1]
  const problem = `the source to give the same items ${first} to ${last} as before (digest ${known}), got others (${digest})`
  return mismatch(runId, ['items', known, digest], problem, SAME_SOURCE)
}

/** It gave more, or fewer; `hasEnded`: no more than these. */
export function otherEnd(runId: string, known: number, count: number, hasEnded: boolean): CheckpointMismatchError {
  const got = hasEnded ? count : `${count} or more`
  const problem = `the source to end after ${plural(known, 'item')} as before, got ${got}`
  return mismatch(runId, ['items', known, count], problem, SAME_SOURCE)
}

/** It ended before an item that is on record. */
export function tooShort(runId: string, atLeast: number, count: number): CheckpointMismatchError {
  const problem = `the source to give ${plural(atLeast, 'item')} at least, since item ${atLeast - 1} is on record, got ${count}`
  return mismatch(runId, ['items', atLeast, count], problem, SAME_SOURCE)
}
