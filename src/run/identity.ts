import type { RunIdentity } from '../checkpoint/identity/fingerprint.ts'
import type { ResolvedOptions } from '../options/options.ts'
import type { ResolvedTask } from '../task/resolve-task.ts'
import type { Emit } from '../types.ts'
import { digestOf } from '../values/digest.ts'
import { option, wordedWarning, wording } from '../wording.ts'
import type { RunOrigin } from './journey.ts'

/** What the checkpoint knows a run by. Digests are only made when there is one: without, a count will do. */
export async function identify<T>(
  task: Pick<ResolvedTask, 'identity'>,
  array: readonly T[] | undefined,
  options: ResolvedOptions<T>,
  { keyLabel, itemsDigest }: Pick<RunOrigin, 'keyLabel' | 'itemsDigest'>,
  emit: Emit,
): Promise<RunIdentity> {
  const isKeyed = options.key !== undefined
  const base = {
    task: task.identity,
    config: options.config ?? null,
    key: keyLabel ?? (isKeyed ? 'function' : 'index'),
    seed: options.seed,
    shared: options.checkpoint && options.shared !== undefined ? digestOf([options.shared]) : null,
  }
  if (isKeyed) return { ...base, items: { kind: 'keyed' } }
  if (!array) return { ...base, items: { kind: 'iterable' } }
  if (!options.checkpoint) return { ...base, items: { kind: 'array', count: array.length } }
  if (itemsDigest !== undefined) return { ...base, items: { kind: 'array', count: array.length, digest: itemsDigest } }
  const { digestItems } = await import('../checkpoint/identity/digest-items.ts')
  const digested = await digestItems(array)
  if (digested.sampled !== undefined) {
    const words = wording`Of the ${array.length} items, ${digested.sampled} at even distances were read to recognise them when the run is resumed: a change of others goes unnoticed. Give ${option('key')} if items may change`
    emit('warning', wordedWarning('ITEMS_SAMPLED', words))
  }
  return { ...base, items: { kind: 'array', count: array.length, ...digested } }
}
