import { crc32 } from 'node:zlib'
import type { FailureKind } from '../../types.ts'
import { type Format, MAX_COLUMN_BYTES } from '../../values/contract.ts'

/**
 * What a frame says. Its body, if any, is apart: the values of `outcomes`, column by column; of a `failure` the column
 * `[error]` or `[error, item]`.
 */
export type Head =
  | OutcomesHead
  | FailureHead
  | RunningHead
  /**
   * An item that is about to run with nothing else in flight, as it may have killed a process. `hash`: in keyed runs, `hashKey`
   * of its key.
   */
  | { readonly kind: 'alone'; readonly index: number; readonly hash?: number }
  | AttemptedHead
  | SourceHead
  | TotalHead
  /**
   * The session ended on its own, then (milliseconds since 1970): nobody in flight is a suspect. `hasFailed`: more items had
   * failed than was tolerated. `shard`: `K/N`, absent for all of the run. `sizes`: bytes that its segments before
   * this one have at least, the first one first; absent when there are none. `settled`: how many items it has settled, all of
   * them on record; absent for none, and in files of before it was told. Also the last frame of a snapshot.
   */
  | {
      readonly kind: 'close'
      readonly at: number
      readonly hasFailed?: true
      readonly shard?: string
      readonly sizes?: readonly number[]
      readonly settled?: number
      /** How many items of the run were on record then, as far as it knew. */
      readonly done?: number
    }
  /**
   * Sessions that were found dead without a `close`: what their last segment lacks is no secret any more. `hasEnded`: they
   * were not killed, but could not write it, so nobody in flight is a suspect; that they are dead is another frame's to say. Or
   * they could, and it is where `left` says: then that is their last segment only, which may be deleted with the word in it.
   * Of the session that writes it: that it drains, so nobody in flight is a suspect of whatever ends it from then on.
   * `left`: what could be read of them then; absent for nothing, and in files of before it was told.
   */
  | {
      readonly kind: 'died'
      readonly writers: readonly string[]
      readonly hasEnded?: true
      readonly left?: readonly LeftHead[]
    }
  | ItemsHead
  /** In a snapshot: the files it stands for. */
  | { readonly kind: 'covers'; readonly files: readonly { readonly name: string; readonly size: number }[] }
  /** In a snapshot: the frames up to the next one of this kind were written to the segment `stem`, and are bound to it. */
  | { readonly kind: 'origin'; readonly stem: string }

/**
 * What a session had left as another found it at an end: its segments below the run, with the bytes that held something, and how
 * many items it had settled, if nothing of it was damaged.
 */
export interface LeftHead {
  readonly writer: string
  readonly files: readonly { readonly name: string; readonly size: number }[]
  readonly settled?: number
}

export interface OutcomesHead {
  readonly kind: 'outcomes'
  /** Indices as `from, count, from, count, …`, in the order of the values. */
  readonly runs: readonly number[]
  readonly keys?: readonly string[]
  /** Absent: one each. */
  readonly attempts?: readonly number[]
  /** The columns of the body as `count, bytes, count, bytes, …`. */
  readonly columns: readonly number[]
}

export interface FailureHead {
  readonly kind: 'failure'
  readonly index: number
  readonly key?: string
  readonly failure: FailureKind
  readonly attempts: number
  readonly crashes: number
  readonly firstFailedAt: number
  readonly lastFailedAt: number
}

/** What items [1000 * block, 1000 * block + count) of an iterable were. Fewer than 1000: the source ended. */
export interface SourceHead {
  readonly kind: 'source'
  readonly block: number
  readonly count: number
  readonly digest: string
}

/** How many items the source gave until it ended; in keyed runs, how many there were. */
export interface TotalHead {
  readonly kind: 'total'
  readonly count: number
}

interface RunningHead {
  readonly kind: 'running'
  readonly runs: readonly number[]
  /** In keyed runs: `hashKey` of each key. */
  readonly hashes?: readonly number[]
}

/**
 * Items whose attempts failed and that wait to be tried again, or were left so: nobody of them is in flight any more until
 * another frame says so. Counted since the item last was a failure on record, in all sessions, without deaths of processes.
 */
export interface AttemptedHead {
  readonly kind: 'attempted'
  readonly runs: readonly number[]
  /** In keyed runs: `hashKey` of each key. */
  readonly hashes?: readonly number[]
  readonly attempts: readonly number[]
  /** Attempts that took a worker down. Absent: none. */
  readonly crashes?: readonly number[]
  /** When the first attempt failed, in milliseconds since 1970; 0: all of them were lost with a worker. */
  readonly since: readonly number[]
}

/**
 * Keyed runs only: the keys of items `from`, `from + 1` and so on in the list of items `list`, which has `count` of them. Items
 * before those of its first frame are as in the list `base`, which sorts before it.
 */
export interface ItemsHead {
  readonly kind: 'items'
  readonly list: string
  readonly base?: string
  readonly from: number
  readonly count: number
  readonly keys: readonly string[]
}

/** A frame that was found valid, and where it is in the plain bytes it was read from. */
export interface FoundFrame {
  readonly head: Head
  readonly start: number
  readonly end: number
  readonly bodyStart: number
  readonly bodyEnd: number
  /** False: the head holds, the body does not. True also when the body was not to be checked. */
  readonly isWhole: boolean
}

/** What the first bytes of a file say. */
export interface FileHeader {
  readonly version: number
  readonly kind: 'segment' | 'snapshot'
  readonly fingerprint: string
  /** Milliseconds since 1970. */
  readonly createdAt: number
  /**
   * Of a segment: it was put whole, so nothing of it is torn. Absent for one that grew, and in files of before it was told.
   */
  readonly isWhole?: true
}

/** Most bytes the body of a frame may have: with its head it fits into any object. */
export const MAX_BODY_BYTES = MAX_COLUMN_BYTES

/** Most bytes a head may have. */
export const MAX_HEAD_BYTES = 2 ** 28

/** Most characters of keys in one frame: with each as the longest escape JSON has, the head stays far from its bound. */
export const MAX_KEY_CHARACTERS = MAX_HEAD_BYTES / 64

/** How many characters keys have together. */
export function countCharacters(keys: readonly string[] = []): number {
  let count = 0
  for (const key of keys) count += key.length
  return count
}

/** The newest version. */
export const FORMAT_VERSION = 4

/**
 * The oldest version whose readers know whatever a file may hold that begins with `frames`: in msgpack values that are taken
 * apart may follow. What a newer version brought goes to a file that says so.
 */
export function versionOf(frames: readonly { readonly head: Head }[], format: Format): number {
  if (frames.some(({ head }) => head.kind === 'attempted')) return 4
  if (format === 'msgpack') return 3
  return frames.some(({ head }) => head.kind === 'items') ? 2 : 1
}

/**
 * Where the checksums of a file's frames start: bound to its name, which is new for every file, and to the run's
 * fingerprint, so that a frame of another file, another run, or an earlier life of the disk's blocks does not pass.
 */
export function seedOf(stem: string, fingerprint: string): number {
  return crc32(`${stem} ${fingerprint}`)
}

/** Where the checksums of a compressed file's blocks start: the file may be opened before anybody knows the fingerprint. */
export function blockSeedOf(stem: string): number {
  return crc32(stem)
}

/** How many indices `runs` names. */
export function countOf(runs: readonly number[]): number {
  let count = 0
  for (let at = 1; at < runs.length; at += 2) count += runs[at] as number
  return count
}

/** One past the last of the items `runs` names; 0 when it names none. */
export function endOf(runs: readonly number[]): number {
  let end = 0
  for (let at = 0; at < runs.length; at += 2) end = Math.max(end, (runs[at] as number) + (runs[at + 1] as number))
  return end
}

/** Consecutive indices as `from, count, …`, in their order. */
export function toRuns(indices: ArrayLike<number>): number[] {
  const runs: number[] = []
  for (let at = 0; at < indices.length; ) {
    const from = indices[at] as number
    let count = 1
    while (at + count < indices.length && indices[at + count] === from + count) count++
    runs.push(from, count)
    at += count
  }
  return runs
}

/** The indices `runs` names, in their order. */
export function fromRuns(runs: readonly number[]): Uint32Array {
  const indices = new Uint32Array(countOf(runs))
  let at = 0
  for (let run = 0; run < runs.length; run += 2) {
    const from = runs[run] as number
    const end = from + (runs[run + 1] as number)
    for (let index = from; index < end; index++) indices[at++] = index
  }
  return indices
}
