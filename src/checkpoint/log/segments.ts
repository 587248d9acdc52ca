import { codeOf } from '../../store/errno.ts'
import type { Log, Store, StoredObject } from '../../store/store.ts'
import { type Encoder, type Entry, encodeEntries } from '../format/entries.ts'
import { versionOf } from '../format/frame.ts'

/** What the segments of a session are written with. */
export interface SegmentOptions {
  readonly store: Store
  readonly runId: string
  readonly writer: string
  readonly encoder: Encoder
  readonly durability: 'fsync' | 'none'
  /** For what can wait; see haste.ts. */
  readonly leisurely: Store
  /** The claim on the run; see lease.ts. */
  readonly lease: { isStale(): boolean; renew(): Promise<void> }
  /** Called when a segment will not grow any more. */
  onClosed(key: string, size: number): void
}

/** A segment of this session, and how many of its bytes were acknowledged. */
export interface OwnSegment extends StoredObject {
  /** Its first bytes, if it is one that grows: one that was put whole nobody writes over in place. */
  readonly head: Uint8Array | undefined
}

/** The segments of a session, one after the other. One call at a time. */
export interface Segments {
  /** True when one was begun. */
  readonly hasAny: boolean
  /** Of those that were left, the first one first: how many bytes were acknowledged. */
  readonly sizes: readonly number[]
  /** Those in which something was acknowledged. */
  readonly acknowledged: readonly OwnSegment[]
  /** Writes entries behind the others; with `isFlush` they are durable when it resolves with the bytes written. */
  write(entries: readonly Entry[], isFlush: boolean): Promise<number>
  /** Of an error of `write`: what was written before was deleted, cut, moved away or replaced. */
  isGone(error: unknown): boolean
  /** Leaves a segment that cannot be trusted to save anything more. What was acknowledged in it stays. */
  drop(): Promise<void>
  /** Lets go of the segment. */
  close(): Promise<void>
  /** Takes those that were left, and are not among `keys`, for having had nothing in them. True when there are any. */
  forget(keys: ReadonlySet<string>): boolean
}

/**
 * A segment that has reached this many bytes is followed by a new one. Smaller, and long runs have many files to list and
 * open (100 GB: 400); larger, and damage to a directory entry costs more, and the bound of 1 GiB for an object comes near
 * for segments whose last frame is large.
 */
const SEGMENT_BYTES = 2 ** 28

/** So many bytes of a segment tell it from any other: in each form of the format they hold a checksum of its header. */
const HEAD_BYTES = 32

/** The file that is written to is not there any more, or something else is in place of its folder. */
const GONE = new Set(['ENOENT', 'ENOTDIR', 'EEXIST'])

function isGone(error: unknown): boolean {
  return GONE.has(codeOf(error))
}

export function openSegments(options: SegmentOptions): Segments {
  const { store, leisurely, runId, encoder } = options
  let segment:
    | { readonly key: string; readonly version: number; readonly log: Log | undefined; size: number; acknowledged: number }
    | undefined
  const sizes: number[] = []
  const heads = new Map<string, Uint8Array>()
  /** Segments that were left before anything in them was acknowledged. */
  let abandoned: string[] = []
  /** What was noted since the last flush that held: where its segment is left, nobody else writes it again. */
  const notes: Entry[] = []
  let claimError: unknown

  /**
   * Into a segment that is open bytes are on their way when the call returns, unless they are compressed first: `Session.begin`
   * says so.
   */
  async function write(entries: readonly Entry[], isFlush: boolean): Promise<number> {
    // Another process may have taken the run over while this one was stopped, and merged and deleted the segment: what was
    // written to it since would be lost. So nothing goes to, or counts in, a segment of before.
    if (options.lease.isStale()) {
      await options.lease.renew().catch(refuseClaim)
      await drop()
    }
    const all = segment === undefined ? [...notes, ...entries] : entries
    if (!isFlush) notes.push(...entries)
    const version = versionOf(all, encoder.layout.format)
    if (segment !== undefined && version > segment.version) {
      // Its header says that older readers know all of it. Saved, so that how long it is can be told as the session ends.
      await save(segment.log)
      segment.acknowledged = segment.size
      await close()
    }
    segment ??= await openSegment(version)
    const opened = segment
    const encoding = encodeEntries(encoder, `${options.writer}-${sizes.length}`, all, opened.size === 0, isFlush)
    const bytes = encoding instanceof Promise ? await encoding : encoding
    if (opened.log === undefined) await store.put(opened.key, bytes, { durable: options.durability === 'fsync' })
    else {
      if (opened.size === 0) heads.set(opened.key, Uint8Array.from(bytes.subarray(0, HEAD_BYTES)))
      await opened.log.write(bytes)
      if (isFlush) await save(opened.log)
    }
    // What was put whole nobody has seen a part of: it may be merged, and counts in any case.
    if (isFlush && opened.log !== undefined && options.lease.isStale()) throw new Error('the process was stopped while it wrote')
    opened.size += bytes.byteLength
    if (isFlush) {
      opened.acknowledged = opened.size
      notes.length = 0
      await deleteAbandoned()
    }
    if (opened.log === undefined || opened.size >= SEGMENT_BYTES) await close()
    return bytes.byteLength
  }

  async function save(log: Log | undefined): Promise<void> {
    await (options.durability === 'fsync' ? log?.sync() : log?.confirm?.())
  }

  /**
   * It says nothing of the segments: they are asked. Not of any error: whoever took the run over may have merged and deleted
   * them.
   */
  async function refuseClaim(error: unknown): Promise<never> {
    if (isGone(error)) await segment?.log?.confirm?.()
    claimError = error
    throw error
  }

  const keyOf = (sequence: number) => `${runId}/seg/${options.writer}-${sequence}.${encoder.form}`

  async function openSegment(version: number) {
    const key = keyOf(sizes.length)
    try {
      return { key, version, log: await store.append?.(key), size: 0, acknowledged: 0 }
    } catch (error) {
      sizes.push(0) // It may be there all the same.
      throw error
    }
  }

  async function close(): Promise<void> {
    if (segment === undefined) return
    const { key, log, size, acknowledged } = segment
    segment = undefined
    sizes.push(acknowledged)
    await log?.close().catch(() => {})
    if (acknowledged > 0) options.onClosed(key, size)
  }

  async function drop(): Promise<void> {
    if (segment === undefined) return
    const { key, acknowledged } = segment
    await close()
    if (acknowledged === 0) abandoned.push(key)
  }

  /** Only when all that is in them was saved again: whoever took the run over in the meantime may count on it. */
  async function deleteAbandoned(): Promise<void> {
    const keys = abandoned
    abandoned = []
    for (const key of keys) await leisurely.delete(key).catch(() => {})
  }

  return {
    get hasAny() {
      return segment !== undefined || sizes.length > 0
    },
    sizes,
    get acknowledged() {
      const left = sizes.map((size, sequence) => ({ key: keyOf(sequence), size }))
      const all = segment ? [...left, { key: segment.key, size: segment.acknowledged }] : left
      return all.filter(({ size }) => size > 0).map((object) => ({ ...object, head: heads.get(object.key) }))
    },
    write,
    isGone: (error) => error !== claimError && isGone(error),
    drop,
    close,
    forget(keys) {
      const missing = sizes.flatMap((size, sequence) => (size > 0 && !keys.has(keyOf(sequence)) ? [sequence] : []))
      for (const sequence of missing) sizes[sequence] = 0
      return missing.length > 0
    },
  }
}
