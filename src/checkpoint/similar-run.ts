import { isPawlError } from '../errors.ts'
import type { Store } from '../store/store.ts'
import type { Emit } from '../types.ts'
import { worded, wording } from '../wording.ts'
import type { Identity } from './fingerprint.ts'
import { countSettled } from './item-places.ts'
import { loadIndex } from './load.ts'
import { MAX_MANIFEST_BYTES, type Manifest, parseManifest } from './manifest.ts'
import { describeDifference } from './mismatch.ts'

interface NewRun {
  readonly store: Store
  readonly runId: string
  readonly identity: Identity
  readonly emit: Emit
}

/** Of runs of the same task, how many are looked at to find an unfinished one. */
const MAX_SIMILAR = 5

/**
 * Tells of an unfinished run of the same task when a new one begins under a derived id, which hashes task and items: when one of
 * them changed a little, its user may have meant the earlier run. `keys`: all that are in the store.
 */
export async function warnOfSimilar({ store, runId, identity, emit }: NewRun, keys: readonly string[]): Promise<void> {
  let looked = 0
  for (const key of keys.filter((each) => /^[^/]+\/run\/[^/]+\.json$/.test(each))) {
    const bytes = await store.get(key, { start: 0, length: MAX_MANIFEST_BYTES })
    const manifest = bytes && tryParse(bytes, key)
    if (!manifest || manifest.runId === runId || !isSameTask(manifest.identity, identity)) continue
    if (looked++ === MAX_SIMILAR) return
    const { fingerprint, identity: recorded } = manifest
    const isKeyed = recorded.key !== 'index'
    const options = { isKeyed, isChecked: false, count: recorded.items.count }
    const index = await loadIndex(store, manifest.runId, fingerprint, options).catch(ifNewer)
    if (index === undefined) continue
    const total = recorded.items.count ?? index.total
    const { done } = countSettled(index)
    if (done === 0 || done === total) continue
    const words = wording`Starting run '${runId}', though run '${manifest.runId}' of the same task is unfinished (${done} of ${total ?? 'unknown'} items): they differ in ${describeDifference(recorded, identity)}`
    emit(
      'warning',
      worded(words, (message) => ({ code: 'SIMILAR_RUN', message })),
    )
    return
  }
}

/** Another run is no reason for this one not to begin. */
function ifNewer(error: unknown): undefined {
  if (!isPawlError(error, 'ERR_PAWL_CHECKPOINT_VERSION')) throw error
}

function tryParse(bytes: Uint8Array, key: string): Manifest | undefined {
  try {
    return parseManifest(bytes, key)
  } catch {
    return undefined // Of a newer version, and not the run that was asked for.
  }
}

function isSameTask(a: Identity, b: Identity): boolean {
  return a.task.module === b.task.module && a.task.export === b.task.export
}
