import type { Store } from '../../store/store.ts'
import { isOfRun } from '../format/run-file.ts'
import { askForEach } from '../patience/at-once.ts'

/**
 * Deletes what the session `writer`, which holds the lease and is at its end, left of a run of which nothing is recorded. If
 * anybody else has left something, or is at work, all of it stays.
 */
export async function discardIfEmpty(store: Store, runId: string, writer: string): Promise<void> {
  const claim = `${runId}/lease/${writer}`
  const keys = (await store.list(`${runId}/`)).map(({ key }) => key)
  const folders = [`${runId}/run/`, `${runId}/seg/${writer}-`]
  const isOurs = (key: string) => key === claim || (isOfRun(key) && folders.some((folder) => key.startsWith(folder)))
  if (keys.every(isOurs)) await deleteKeys(store, runId, keys, claim)
}

/** Deletes all of a run but the key `except`; the manifest last, so that what a crash leaves still has a name. */
export async function deleteAll(store: Store, runId: string, except?: string): Promise<void> {
  const keys = (await store.list(`${runId}/`)).map(({ key }) => key)
  await deleteKeys(store, runId, keys, except)
}

async function deleteKeys(store: Store, runId: string, keys: readonly string[], except: string | undefined): Promise<void> {
  const isManifest = (key: string) => key.startsWith(`${runId}/run/`)
  const others = keys.filter((key) => key !== except)
  for (const group of [others.filter((key) => !isManifest(key)), others.filter(isManifest)])
    await askForEach(group, (key) => store.delete(key))
}
