import { inspect } from 'node:util'
import { crc32 } from 'node:zlib'
import { CheckpointMismatchError, CheckpointVersionError } from '../errors.ts'
import type { Json } from '../types.ts'
import { canonicalJson, fingerprintOf, type Identity } from './fingerprint.ts'

/** The only version so far. */
const MANIFEST_VERSION = 1

/** `<runId>/run/<fingerprint>.json`. */
export interface Manifest {
  readonly version: 1
  readonly runId: string
  readonly fingerprint: string
  /** Milliseconds since 1970. */
  readonly createdAt: number
  /** Version of the package that made the run. */
  readonly pawl: string
  readonly identity: Identity
  /** Digest of the task's file; not part of the fingerprint. */
  readonly taskDigest: string | null
  /** Arguments of the command line, so that `pawl resume` needs nothing else. */
  readonly command?: Json
}

/** The bytes of a manifest: JSON for people, with a checksum of the rest as its last member. */
export function writeManifest(manifest: Manifest): Buffer {
  const plain = JSON.parse(JSON.stringify(manifest))
  return Buffer.from(`${JSON.stringify({ ...plain, crc: checksum(plain) }, null, 2)}\n`)
}

/**
 * The manifest in `bytes`; undefined when it is damaged.
 *
 * @throws CheckpointVersionError when a newer pawl wrote it.
 */
export function parseManifest(bytes: Uint8Array, key: string): Manifest | undefined {
  try {
    const { crc, ...manifest } = JSON.parse(Buffer.from(bytes).toString())
    // Before the checksum, which a newer version may compute in another way: to rebuild a manifest that is only newer would harm it.
    if (Number.isInteger(manifest.version) && manifest.version > MANIFEST_VERSION) throw newerVersion(key, manifest.version)
    if (crc !== checksum(manifest)) return undefined
    return isManifest(manifest) ? manifest : undefined
  } catch (error) {
    if (error instanceof CheckpointVersionError) throw error
    return undefined
  }
}

function newerVersion(key: string, version: number): CheckpointVersionError {
  return new CheckpointVersionError(
    `Cannot read ${key}: expected version ${MANIFEST_VERSION}, got ${version}. A newer pawl wrote it, and reads it`,
  )
}

function checksum(manifest: unknown): string {
  return crc32(JSON.stringify(manifest)).toString(16).padStart(8, '0')
}

function isManifest(value: Manifest): boolean {
  const { identity } = value
  return (
    value.version === MANIFEST_VERSION &&
    areTexts(value.runId, value.fingerprint, value.pawl, identity.task.module, identity.task.export, identity.key) &&
    Number.isFinite(value.createdAt) &&
    Number.isFinite(identity.seed) &&
    ['array', 'iterable', 'keyed', 'path'].includes(identity.items.kind) &&
    (identity.items.count === undefined || Number.isSafeInteger(identity.items.count)) &&
    (value.taskDigest === null || typeof value.taskDigest === 'string') &&
    fingerprintOf(identity) === value.fingerprint
  )
}

const areTexts = (...values: unknown[]) => values.every((value) => typeof value === 'string')

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
