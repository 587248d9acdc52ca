import { inspect } from 'node:util'
import { CheckpointMismatchError, plural } from '../errors.ts'
import { BLOCK_ITEMS } from '../items.ts'
import { canonicalJson, type Identity } from './fingerprint.ts'

/** Why a call is not the run that is recorded, in words. */

/** What to call each part in a message, and how to see that it differs. */
const PARTS: readonly (readonly [part: string, words: string, of: (identity: Identity) => unknown])[] = [
  ['task', 'task', ({ task }) => (task.module === 'inline' ? 'another inline function' : `${task.module}#${task.export}`)],
  ['items', 'kind of items', ({ items }) => items.kind],
  ['items', 'number of items', ({ items }) => items.count],
  ['items', 'contents of the items (their digest)', ({ items }) => items.digest],
  ['config', "'config'", ({ config }) => config],
  ['key', "'key'", ({ key }) => key],
  ['seed', "'seed'", ({ seed }) => seed],
  ['shared', "'shared' (its digest)", ({ shared }) => shared],
]

/** Why a session of `given` cannot go on with what is recorded, and what to do. */
export function explainMismatch(runId: string, recorded: Identity, given: Identity): CheckpointMismatchError {
  if ((recorded.key === 'index') !== (given.key === 'index')) return explainKeys(runId, recorded.key, given.key)
  const differs = PARTS.find(([, , of]) => canonicalJson(of(recorded) ?? null) !== canonicalJson(of(given) ?? null))
  const [part, words, of] = differs ?? ['task', 'inline function (its source)', ({ task }: Identity) => task.export]
  return new CheckpointMismatchError(
    part,
    of(recorded),
    of(given),
    `Cannot resume run '${runId}': expected the same ${words} as recorded, ${show(of(recorded))}, got ${show(of(given))}. ` +
      `To keep both, ${WAYS_OUT}`,
  )
}

const WAYS_OUT = `give this run another 'runId' (--run-id); to discard what is recorded, use resume: 'fresh' (--overwrite)`

function show(value: unknown): string {
  return inspect(value, { depth: 2, breakLength: Number.POSITIVE_INFINITY, maxStringLength: 200 })
}

/** One of the two tells its items apart by key, the other by index. */
function explainKeys(runId: string, recorded: string, given: string): CheckpointMismatchError {
  const describe = (key: string) => {
    if (key === 'index') return "told apart by their index, without 'key' (--key)"
    return key === 'function' ? "told apart by 'key'" : `told apart by 'key' (--key ${show(key)})`
  }
  const cure = recorded === 'index' ? "Leave out 'key' (--key)" : "Give 'key' (--key) as before"
  const message = `Cannot resume run '${runId}': expected items ${describe(recorded)}, as recorded, got items ${describe(given)}. ${cure}; to keep both, ${WAYS_OUT}`
  return new CheckpointMismatchError('key', recorded, given, message)
}

/** Names what differs between two runs of a task, for a warning. */
export function describeDifference(recorded: Identity, given: Identity): string {
  const words = PARTS.filter(([, , of]) => canonicalJson(of(recorded) ?? null) !== canonicalJson(of(given) ?? null))
  return words.map(([, word]) => word).join(', ') || 'nothing that is recorded'
}

/** An iterable gave other items than before. */
export function otherSource(runId: string, block: number, count: number, known: string, digest: string): CheckpointMismatchError {
  const [first, last] = [block * BLOCK_ITEMS, block * BLOCK_ITEMS + count - 1]
  const message = `Cannot resume run '${runId}': expected the source to give the same items ${first} to ${last} as before (digest ${known}), got others (${digest}). To keep both, ${WAYS_OUT}`
  return new CheckpointMismatchError('items', known, digest, message)
}

/** It gave more, or fewer; `hasEnded`: no more than these. */
export function otherEnd(runId: string, known: number, count: number, hasEnded: boolean): CheckpointMismatchError {
  const got = hasEnded ? count : `${count} or more`
  const message = `Cannot resume run '${runId}': expected the source to end after ${plural(known, 'item')} as before, got ${got}. To keep both, ${WAYS_OUT}`
  return new CheckpointMismatchError('items', known, count, message)
}

/** It ended before an item that is on record. */
export function tooShort(runId: string, atLeast: number, count: number): CheckpointMismatchError {
  const message =
    `Cannot resume run '${runId}': expected the source to give ${plural(atLeast, 'item')} at least, since item ${atLeast - 1} is on record, ` +
    `got ${count}. Give it the same source as before; to keep both, ${WAYS_OUT}`
  return new CheckpointMismatchError('items', atLeast, count, message)
}
