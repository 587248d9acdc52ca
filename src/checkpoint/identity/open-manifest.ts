import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../../clock.ts'
import { CheckpointCorruptError, InvalidOptionError, isPawlError, RunNotFoundError } from '../../errors.ts'
import { listReadable } from '../../store/refused.ts'
import type { Store } from '../../store/store.ts'
import type { Emit, Json } from '../../types.ts'
import { ownVersion } from '../../version.ts'
import { worded, wordedWarning, wording } from '../../wording.ts'
import { toRunFile } from '../format/run-file.ts'
import { listFiles } from '../record/load.ts'
import { deleteAll } from './discard.ts'
import { fingerprintOf, type RunIdentity } from './fingerprint.ts'
import { MAX_MANIFEST_BYTES, type Manifest, manifestKey, writeManifest } from './manifest.ts'
import { DISCARD, explainMismatch } from './mismatch.ts'
import { readFingerprints, readManifests } from './read-manifests.ts'
import { differsInPlaceOnly } from './same-file.ts'
import { warnOfSimilar } from './similar-run.ts'

/** What it takes to make a run's manifest, or to check the one that is there. */
export interface ManifestOptions {
  readonly store: Store
  readonly runId: string
  readonly isDerived?: boolean
  readonly identity: RunIdentity
  readonly taskDigest: string | null
  readonly command?: Json
  readonly resume: true | 'fresh' | 'require'
  readonly clock: Clock
  readonly emit: Emit
}

/** What there is of a run that is to be opened, and is to stay. */
export interface Before {
  /** There is a manifest. */
  readonly wasThere: boolean
  /** Stems of its segments and snapshots: whoever begins now comes behind them. */
  readonly stems: readonly string[]
}

/** Looks at it. Raises what can be told before anything is touched: RunNotFoundError, CheckpointVersionError. */
export async function checkBefore({ store, runId, resume }: ManifestOptions): Promise<Before> {
  if (resume === 'fresh') return { wasThere: false, stems: [] }
  const objects = await store.list(`${runId}/`)
  const { manifests, damaged } = await readManifests(store, runId, objects)
  const stems = objects.flatMap(({ key, size }) => toRunFile(key, size)?.stem ?? [])
  const wasThere = manifests.length + damaged.length > 0
  if (!wasThere && resume === 'require' && stems.length === 0) throw new RunNotFoundError(runId)
  return { wasThere, stems }
}

/** The manifest of a run that is open for work. */
export interface OpenedManifest {
  readonly manifest: Manifest
  /** Nothing can be on record but what was recorded since the caller claimed the run: there is nothing to load. */
  readonly isNew: boolean
}

/**
 * The manifest of the run, made if there is none, made again if it is damaged and the run's files say that it was this one.
 * The caller holds the lease as `writer`; with `resume: 'fresh'` what there is of the run is deleted, the caller's claim aside.
 * `wasThere`: as `checkBefore` found it.
 *
 * @throws CheckpointMismatchError, CheckpointCorruptError, CheckpointVersionError.
 */
export async function openManifest(options: ManifestOptions, writer: string, wasThere: boolean): Promise<OpenedManifest> {
  const { store, runId, resume } = options
  const claim = `${runId}/lease/${writer}`
  if (resume === 'fresh') await deleteAll(store, runId, claim)
  if (!wasThere) {
    // One look for manifests, files, other claims, and what is in the place of folders; and for runs that are similar.
    const keys = await listKeys(options)
    if (keys.every((key) => key === claim || !key.startsWith(`${runId}/`))) return makeManifest(options, keys)
  }
  return { manifest: await findManifest(options), isNew: false }
}

/** All keys of the run; of one whose name was derived, with those of all others that may be read. */
async function listKeys({ store, runId, isDerived }: ManifestOptions): Promise<string[]> {
  const listing = isDerived ? await listReadable(store) : undefined
  // What may not be read of the run itself is told.
  const objects = listing === undefined || listing.refused.has(runId) ? await store.list(`${runId}/`) : listing.objects
  return objects.map(({ key }) => key)
}

/** The manifest of a run of which there was nothing in a look at `keys`. */
async function makeManifest(options: ManifestOptions, keys: readonly string[]): Promise<OpenedManifest> {
  const { store, runId, identity } = options
  if (options.isDerived) await warnOfSimilar(options, keys)
  const manifest = newManifest(options, fingerprintOf(identity))
  // Whoever records puts a manifest before: had anybody begun to between the look and this, its manifest would be in the way.
  const isNew = await putManifest(store, manifest, false)
  return { manifest: isNew ? manifest : await refuseSecond(store, runId, manifest), isNew }
}

/** The manifest of a run of which there is something: by now there may be one, and files. */
async function findManifest(options: ManifestOptions): Promise<Manifest> {
  const { store, runId, identity, emit } = options
  let { manifests, damaged } = await readManifests(store, runId)
  const files = manifests.length > 0 ? [] : await listFiles(store, runId)
  // A session of another shard may have made the manifest, and these, since.
  if (files.length > 0) ({ manifests, damaged } = await readManifests(store, runId))
  const fingerprint = fingerprintOf(identity)
  const ownKey = manifestKey({ runId, fingerprint })
  const same =
    manifests.find((manifest) => manifest.fingerprint === fingerprint) ??
    manifests.find((manifest) => differsInPlaceOnly(manifest, options)) // Run from another directory, it is the same run.
  const [other] = manifests
  if (same !== undefined) {
    if (same.taskDigest !== null && options.taskDigest !== null && same.taskDigest !== options.taskDigest) warnOfChange(options)
    return updateCommand(options, same)
  }
  if (other !== undefined) throw explainMismatch(runId, other.identity, identity)

  const isOurs = files.length === 0 || (await readFingerprints(store, files)).has(fingerprint)
  const isNamedSo = damaged.every((key) => key === ownKey)
  if (!isOurs || (files.length === 0 && !isNamedSo)) {
    throw worded(
      wording`Cannot tell what run '${runId}' is: expected a manifest, or files of fingerprint ${fingerprint} as given now, got neither. To discard what is recorded, ${DISCARD}`,
      (message) => new CheckpointCorruptError(message),
    )
  }
  if (files.length === 0 && damaged.length === 0 && options.isDerived) {
    await warnOfSimilar(options, await listKeys(options))
  }
  const manifest = newManifest(options, fingerprint)
  const isRebuilt = damaged.length > 0 || files.length > 0
  for (const key of damaged) if (key !== ownKey) await store.delete(key)
  const isAlone = await putManifest(store, manifest, isRebuilt)
  if (isRebuilt)
    emit('warning', {
      code: 'CHECKPOINT_DAMAGED',
      message: `The manifest of run '${runId}' was damaged or missing, and was made again: its files are of the same task and items`,
    })
  return isAlone ? manifest : refuseSecond(store, runId, manifest)
}

/**
 * Puts a new manifest. True when it is there, and the only one.
 *
 * @throws InvalidOptionError when it is larger than readers take.
 */
async function putManifest(store: Store, manifest: Manifest, isRebuilt: boolean): Promise<boolean> {
  const bytes = writeManifest(manifest)
  if (bytes.length > MAX_MANIFEST_BYTES) {
    const expected = `a value that takes, with all else that says what the run is, at most ${MAX_MANIFEST_BYTES} bytes as indented JSON`
    throw new InvalidOptionError('config', expected, `${bytes.length} bytes`)
  }
  const key = manifestKey(manifest)
  try {
    await store.put(key, bytes, { replace: isRebuilt })
  } catch (error) {
    if (isPawlError(error, 'ERR_PAWL_STORE_CONFLICT')) return false // By its code: the store may be made with another copy of pawl.
    throw error
  }
  return (await store.list(`${manifest.runId}/run/`)).every((found) => found.key === key)
}

/** Puts the manifest of a run that has one, or had: as it is now, or since somebody deleted it under a session at work. */
export async function putAgain(store: Store, manifest: Manifest): Promise<void> {
  await store.put(manifestKey(manifest), writeManifest(manifest), { replace: true })
}

/** `pawl resume` does what the last session was told, so a manifest that holds something else is replaced. */
async function updateCommand({ store, command }: ManifestOptions, manifest: Manifest): Promise<Manifest> {
  if (command === undefined || isDeepStrictEqual(command, manifest.command)) return manifest
  const updated = { ...manifest, command }
  await putAgain(store, updated)
  return updated
}

/** Two sessions may have made the run at once, of different items: the fingerprint that sorts first stays. */
async function refuseSecond(store: Store, runId: string, manifest: Manifest): Promise<Manifest> {
  const { manifests } = await readManifests(store, runId)
  const first = manifests.find((other) => other.fingerprint < manifest.fingerprint)
  if (first === undefined) return manifests.find((other) => other.fingerprint === manifest.fingerprint) ?? manifest
  await store.delete(manifestKey(manifest))
  throw explainMismatch(runId, first.identity, manifest.identity)
}

function newManifest({ runId, identity, taskDigest, command, clock }: ManifestOptions, fingerprint: string): Manifest {
  const made = { version: 1, runId, fingerprint, createdAt: clock.today(), pawl: ownVersion(), identity, taskDigest } as const
  return command === undefined ? made : { ...made, command }
}

function warnOfChange({ runId, identity, emit }: ManifestOptions): void {
  const words = wording`The file of task ${identity.task.module} changed since run '${runId}' began; what is recorded was computed by the earlier one. To compute all of it again ${DISCARD}`
  emit('warning', wordedWarning('TASK_CHANGED', words))
}
