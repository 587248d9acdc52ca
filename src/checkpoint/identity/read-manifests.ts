import type { Store, StoredObject } from '../../store/store.ts'
import { isOfRun, type RunFile } from '../format/run-file.ts'
import { newReport } from '../reading/file-report.ts'
import { readingAhead } from '../reading/read-ahead.ts'
import { readFrames } from '../reading/read-file.ts'
import { MAX_MANIFEST_BYTES, type Manifest, parseManifest } from './manifest.ts'

/**
 * The manifests of a run, those that can be read. `damaged`: keys of the others. What has not the name of one is none of ours,
 * whatever it says of itself. `listed`: what there is below the run, if that is known.
 *
 * @throws CheckpointVersionError when a newer pawl wrote one.
 */
export async function readManifests(
  store: Store,
  runId: string,
  listed?: readonly StoredObject[],
): Promise<{ manifests: Manifest[]; damaged: string[] }> {
  const manifests: Manifest[] = []
  const damaged: string[] = []
  const folder = `${runId}/run/`
  for (const { key, size } of listed ?? (await store.list(folder))) {
    if (!key.startsWith(folder) || !key.endsWith('.json') || !isOfRun(key)) continue
    const bytes = size > MAX_MANIFEST_BYTES ? undefined : await store.get(key)
    const manifest = bytes && parseManifest(bytes, key)
    if (manifest?.runId === runId) manifests.push(manifest)
    else damaged.push(key)
  }
  return { manifests, damaged }
}

/** The fingerprints the headers of files tell, `''` left out. */
export async function readFingerprints(store: Store, files: readonly RunFile[]): Promise<Set<string>> {
  const fingerprints = new Set<string>()
  const ahead = readingAhead(store, files)
  for (const file of files) {
    const report = newReport()
    // The header is read before the first frames are given.
    for await (const _ of readFrames(ahead, file, '', false, report)) break
    if (report.header !== undefined) fingerprints.add(report.header.fingerprint)
  }
  return fingerprints
}
