import { crc32 } from 'node:zlib'
import { CheckpointVersionError } from '../../errors.ts'
import type { Json } from '../../types.ts'
import { fingerprintOf, type RunIdentity } from './fingerprint.ts'

/** The only version so far. */
const MANIFEST_VERSION = 1

/** More is no manifest: with any `config` or `command` a person would pass. */
export const MAX_MANIFEST_BYTES = 2 ** 26

/** `<runId>/run/<fingerprint>.json`. */
export interface Manifest {
  readonly version: 1
  readonly runId: string
  readonly fingerprint: string
  /** Milliseconds since 1970. */
  readonly createdAt: number
  /** Version of the package that made the run. */
  readonly pawl: string
  readonly identity: RunIdentity
  /** Digest of the task's file; not part of the fingerprint. */
  readonly taskDigest: string | null
  /** Arguments of the command line, so that `pawl resume` needs nothing else. */
  readonly command?: Json
}

/** Where the manifest of a run is. */
export function manifestKey({ runId, fingerprint }: Pick<Manifest, 'runId' | 'fingerprint'>): string {
  return `${runId}/run/${fingerprint}.json`
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
    // Before the checksum, which a newer version may compute in another way: to rebuild a manifest that is only newer would harm
    // it.
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
