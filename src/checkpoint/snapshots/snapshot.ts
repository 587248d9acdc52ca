import type { Store } from '../../store/store.ts'
import type { Format } from '../../values/contract.ts'
import { joinBytes, packFrames } from '../format/entries.ts'
import { blockSeedOf, seedOf } from '../format/frame.ts'
import { layoutOf, newWriter, type RunFile, toRunFile } from '../format/run-file.ts'
import type { Located } from '../reading/read-file.ts'
import { loadFile } from '../record/load.ts'
import type { LoadedFile, RunIndex } from '../record/run-index.ts'

/** What a snapshot is put with. */
export interface SnapshotOptions {
  readonly store: Store
  readonly runId: string
  readonly fingerprint: string
  readonly isCompressed: boolean
  /** How many items the run has, as far as its manifest knows. */
  readonly count: number | undefined
  readonly index: RunIndex
  /** Of the session that puts it. */
  readonly writer: string
  /** Milliseconds since 1970. */
  today(): number
}

/** A snapshot is put together in memory, and gets no larger than this, or one segment more. */
export const MAX_SNAPSHOT_BYTES = 2 ** 26

/**
 * What goes into a snapshot of files it stands for: whole frames, and the oldest version of the format whose readers know them
 * all.
 */
export interface Copied {
  readonly version: number
  readonly frames: readonly Uint8Array[]
}

/** A name for a snapshot, new every time. It sorts behind what the session found there, as do sessions that find only this. */
export function newStem({ today, writer }: Pick<SnapshotOptions, 'today' | 'writer'>): string {
  return `${newWriter(today(), [writer])}-0`
}

/** What goes before the frames of a segment in the snapshot `stem`: by which name their checksums were made. */
export function writeOrigin(
  { fingerprint }: Pick<SnapshotOptions, 'fingerprint'>,
  stem: string,
  segment: Pick<RunFile, 'stem' | 'format'>,
): Uint8Array {
  return joinBytes(layoutOf(segment.format).writeFrame({ kind: 'origin', stem: segment.stem }, [], seedOf(stem, fingerprint)))
}

/** The bytes of a frame, to be copied. A line of JSON may have lost its newline, to the end of its file or to damage. */
export function toWhole({ raw }: Located, format: Format): Uint8Array {
  const last = raw[raw.length - 1]
  if (format !== 'json' || last === 0x0a) return Buffer.from(raw)
  return Buffer.concat([last === 0x7d ? raw : raw.subarray(0, -1), Buffer.from('\n')])
}

/**
 * Puts a snapshot that stands for `covers`, and reads it back: one that is not intact stands for nothing. Durable whatever the
 * session asked for: what it stands for is deleted, and others may have made that durable.
 */
export async function putSnapshot(
  options: SnapshotOptions,
  stem: string,
  { version, format, covers, frames }: Copied & { readonly format: Format; readonly covers: LoadedFile['covers'] },
): Promise<LoadedFile> {
  const { store, runId, fingerprint, isCompressed, today, index, count } = options
  const layout = layoutOf(format)
  const seed = seedOf(stem, fingerprint)
  const files = covers.map(({ name, size }) => ({ name, size }))
  const opening = [
    layout.writeHeader({ version, kind: 'snapshot', fingerprint, createdAt: today() }),
    joinBytes(layout.writeFrame({ kind: 'covers', files }, [], seed)),
  ]
  const rest = [...frames, joinBytes(layout.writeFrame({ kind: 'close', at: today() }, [], seed))]
  // A block of its own for what it stands for: worth most when the rest is damaged.
  const pack = (pieces: readonly Uint8Array[]) => packFrames(pieces, blockSeedOf(stem))
  const bytes = isCompressed ? joinBytes([await pack(opening), await pack(rest)]) : joinBytes([...opening, ...rest])
  const key = `${runId}/snap/${stem}.${format}${isCompressed ? '.gz' : ''}`
  await store.put(key, bytes)
  const file = toRunFile(key, bytes.length) as RunFile
  return loadFile(store, file, fingerprint, { isKeyed: index.isKeyed, isChecked: true, count })
}
