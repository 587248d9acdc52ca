import type { Store } from '../../store/store.ts'
import type { Lease } from '../claims/lease.ts'
import { writerOf } from '../format/run-file.ts'
import type { Manifest } from '../identity/manifest.ts'
import { describeLosses } from '../record/damage.ts'
import { findUnclaimed } from '../record/ends.ts'
import { createIndexBuilder } from '../record/index-builder.ts'
import { type LoadOptions, loadIndex } from '../record/load.ts'
import { findLoss } from '../record/loss.ts'
import type { RunIndex } from '../record/run-index.ts'
import { findStoodFor } from '../record/stood-for.ts'
import { findDamaged, needsMending } from '../snapshots/mend.ts'
import type { SessionOptions } from './session.ts'

/** What earlier sessions recorded of a run. */
export interface Earlier {
  readonly index: RunIndex
  /** Items that run again since their record is damaged, as in `Loss`. */
  readonly damaged: number
  /** Damaged files can be made up for. */
  readonly hasDamage: boolean
}

/** Of a run in which nobody can have recorded anything. */
export function nothingEarlier(manifest: Manifest): Earlier {
  const { isKeyed, count } = optionsOf(manifest)
  return { index: createIndexBuilder(isKeyed, count).finish([], []), damaged: 0, hasDamage: false }
}

/** Loads it, tells of damage, and makes it durable. */
export async function loadEarlier(options: SessionOptions, lease: Lease, manifest: Manifest): Promise<Earlier> {
  const { store, runId } = options
  const index = await loadIndex(store, runId, manifest.fingerprint, optionsOf(manifest))
  if (!index.files.some(({ kind }) => kind === 'segment')) await refuseFile(store, `${runId}/seg`)
  // One of another shard may have begun, and written, since the claims were listed.
  if (findUnclaimed(index, lease).length > 0) await lease.lookAgain()
  const { files, cut } = findDamaged(index, new Set([...lease.others, ...lease.dead]))
  const loss = findLoss(index, cut)
  for (const message of describeLosses(runId, index, cut, loss)) options.emit('warning', { code: 'CHECKPOINT_DAMAGED', message })
  await syncFound(options, index, lease)
  return { index, damaged: loss.items, hasDamage: needsMending(index, files) }
}

/** Looks for damage in files that a snapshot stands for. True when there is some; false, too, when the store does not answer. */
export async function warnOfStoodFor(
  { store, runId, emit }: SessionOptions,
  fingerprint: string,
  { covered }: RunIndex,
): Promise<boolean> {
  const damaged = await findStoodFor(store, fingerprint, covered).catch(() => [])
  if (damaged.length === 0) return false
  const names = damaged.map(({ name }) => name).join(', ')
  const message = `Files of run '${runId}' are damaged that a snapshot stands for: ${names}. Nothing is lost`
  emit('warning', { code: 'CHECKPOINT_DAMAGED', message })
  return true
}

function optionsOf({ identity }: Manifest): LoadOptions {
  return { isKeyed: identity.key !== 'index', isChecked: true, count: identity.items.count }
}

/** What is to be recorded would find no place, of which else a word would come only once all was run and the store given up. */
async function refuseFile(store: Store, folder: string): Promise<void> {
  if ((await store.get(folder, { start: 0, length: 0 })) === undefined) return
  throw new Error(`a file where the folder '${folder}' has to be`)
}

/**
 * Makes durable what earlier sessions left: they may have been killed between writing and syncing, even as they ended, and from
 * now on it counts as recorded. Whoever found a session dead, and said so, has done it for that one; unless there is a claim of
 * it again: it was only stopped, and may have written since. So with `durability: 'none'` too, those that are found dead now.
 */
async function syncFound(
  { store, durability }: SessionOptions,
  { files, sessions }: RunIndex,
  { dead, others }: Lease,
): Promise<void> {
  const isSure = new Set(sessions.filter(({ isKnownDead }) => isKnownDead).map(({ writer }) => writer))
  for (const writer of [...dead, ...others]) isSure.delete(writer)
  const isToSync = durability === 'fsync' ? (writer: string) => !isSure.has(writer) : (writer: string) => dead.includes(writer)
  for (const { stem, key } of files) if (isToSync(writerOf(stem))) await store.sync?.(key)
}
