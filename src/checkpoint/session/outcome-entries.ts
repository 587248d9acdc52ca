import { inspect } from 'node:util'
import { isError, nameItem, textOf } from '../../errors.ts'
import { pickBatch } from '../../items/chunk.ts'
import type { Chunk, FulfilledBatch, Rejection } from '../../types.ts'
import { encodeTogether } from '../../values/codec.ts'
import type { Codec, Format } from '../../values/contract.ts'
import { type Entry, entryOf } from '../format/entries.ts'
import { recordError } from '../format/error-record.ts'
import { countCharacters, type Head, MAX_BODY_BYTES, MAX_KEY_CHARACTERS, toRuns } from '../format/frame.ts'
import { hashKey } from '../format/hash-key.ts'
import type { Restored } from '../record/restored.ts'

/** Makes what the log writes of what is begun, and of what settles. */
export interface OutcomeEntries {
  /** Bytes of the values that entries were made of. */
  readonly recordedBytes: number
  ofBegun(chunk: Pick<Chunk, 'indices' | 'keys' | 'alone'>): Entry
  ofFulfilled(batch: FulfilledBatch): Entry[]
  ofRejected(rejection: Rejection): Entry
}

export interface OutcomeEntriesOptions {
  readonly isKeyed: boolean
  readonly codec: Codec
  /** As in Restored. */
  readonly statusOf: Restored['statusOf']
  /** Items failed before, so that not all that settle are new to the record. */
  readonly hasFailures: boolean
  /** Values that no record can hold, for the first of them; and fields of errors, likewise. */
  onUnheld(message: string): void
}

export function createOutcomeEntries({ isKeyed, codec, statusOf, hasFailures, onUnheld }: OutcomeEntriesOptions): OutcomeEntries {
  let recordedBytes = 0
  let isUnheldTold = false
  let isFieldTold = false

  const countFresh = (indices: Uint32Array, keys: readonly string[] | undefined) => {
    if (!hasFailures) return indices.length
    return indices.reduce((sum, place, at) => sum + (statusOf(place, keys?.[at]) === undefined ? 1 : 0), 0)
  }
  const ofFulfilled = (batch: FulfilledBatch): Entry[] => {
    const { indices, attempts } = batch
    if (indices.length === 0) return []
    const { record } = batch
    if (record === undefined) return encodeBatch(batch).flatMap(ofFulfilled)
    const keys = isKeyed ? keysOf(batch) : undefined
    const isTooLarge = record.byteLength > MAX_BODY_BYTES || countCharacters(keys) > MAX_KEY_CHARACTERS
    if (isTooLarge && indices.length > 1) return halve(read(batch, codec)).flatMap(ofFulfilled)
    const hasRetries = attempts?.some((count) => count !== 1)
    const head = {
      kind: 'outcomes' as const,
      runs: toRuns(indices),
      columns: [indices.length, record.byteLength],
      ...(keys ? { keys } : {}),
      ...(attempts && hasRetries ? { attempts: Array.from(attempts) } : {}),
    }
    const bytes = record.byteLength + 64 * (keys?.length ?? 1)
    recordedBytes += record.byteLength
    const whole = { head, body: [record], items: indices.length, fresh: countFresh(indices, keys), bytes }
    const toHalves = () => {
      recordedBytes -= record.byteLength // Counted again, in parts.
      return halve(read(batch, codec)).flatMap(ofFulfilled)
    }
    return [indices.length > 1 ? { ...whole, halve: toHalves } : whole]
  }
  const encodeBatch = (batch: FulfilledBatch): FulfilledBatch[] => {
    const { values = [], indices } = batch
    const encoded = encodeTogether(codec, values, (at) => `item ${indices[at]}`)
    if (!encoded) return halve(batch)
    const { bytes, refused } = encoded
    if (refused.length === 0) return [{ ...batch, record: bytes }]
    if (!isUnheldTold) onUnheld(refused[0]?.error.message ?? '')
    isUnheldTold = true
    const gone = new Set(refused.map(({ at }) => at))
    return [{ ...selectFrom(batch, (at) => !gone.has(at)), record: bytes }]
  }
  const tellFields = (item: string, fields: readonly Unheld[]) => {
    if (!isFieldTold && fields.length > 0) onUnheld(describeFields(item, fields, codec.format))
    isFieldTold ||= fields.length > 0
  }

  return {
    get recordedBytes() {
      return recordedBytes
    },
    ofBegun: (chunk) => entryOf(toRunning(chunk, isKeyed), 0),
    ofFulfilled,
    ofRejected: (rejection) => rejectedEntry(rejection, isKeyed, codec, statusOf, tellFields),
  }
}

function toRunning({ indices, keys, alone }: Pick<Chunk, 'indices' | 'keys' | 'alone'>, isKeyed: boolean): Head {
  const hashes = isKeyed ? (keys ?? Array.from(indices, String)).map(hashKey) : undefined
  const [index] = indices
  const [hash] = hashes ?? []
  if (alone && index !== undefined) return { kind: 'alone', index, ...(hash === undefined ? {} : { hash }) }
  return { kind: 'running', runs: toRuns(indices), ...(hashes ? { hashes } : {}) }
}

function keysOf({ keys, indices }: FulfilledBatch): readonly string[] {
  return keys ?? Array.from(indices, String)
}

function selectFrom(batch: FulfilledBatch, isChosen: (at: number) => boolean): FulfilledBatch {
  const places = Array.from(batch.indices, (_, at) => at).filter(isChosen)
  return pickBatch(batch, places)
}

/** The batch with its values. */
function read(batch: FulfilledBatch, codec: Codec): FulfilledBatch {
  return { ...batch, values: codec.decode(batch.record as Uint8Array, true) }
}

/** Two batches, of values yet to be encoded, of one that is too large. */
function halve(batch: FulfilledBatch): FulfilledBatch[] {
  const middle = batch.indices.length >>> 1
  return [selectFrom(batch, (at) => at < middle), selectFrom(batch, (at) => at >= middle)]
}

/** Characters that are shown of what cannot be recorded. */
const MAX_SHOWN = 100

/** A part of an error that is not recorded. */
interface Unheld {
  readonly field: string
  readonly value: unknown
}

function describeFields(item: string, [first, ...others]: readonly Unheld[], format: Format): string {
  const { field, value } = first as Unheld
  // Of an error not its stack, which inspect shows; of more than six parts inspect makes several lines, however long one may be.
  const whole = isError(value) ? textOf(value) : inspect(value, { depth: 0, breakLength: Infinity })
  const text = whole.replace(/\s+/g, ' ')
  const got = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text
  const rest = others.length === 0 ? 'The rest of the error is' : 'Other parts of the error are not recorded either, the rest is'
  const cure = format === 'json' ? "Throw errors with plain data, or use format 'msgpack'" : 'Throw errors with plain data'
  return `Cannot record '${field}' of the error of item ${item}: expected a value that format '${format}' can hold, got ${got}. ${rest} recorded. ${cure}`
}

function rejectedEntry(
  rejection: Rejection,
  isKeyed: boolean,
  codec: Codec,
  statusOf: Restored['statusOf'],
  onUnheld: (item: string, fields: readonly Unheld[]) => void,
): Entry {
  const { index, item, reason, kind: failure, attempts, crashes, firstFailedAt, lastFailedAt } = rejection
  const key = isKeyed ? (rejection.key ?? String(index)) : undefined
  const unheld: Unheld[] = []
  const error = recordError(reason, codec, (field, value) => unheld.push({ field, value }))
  onUnheld(nameItem(index, key), unheld)
  const both = encodeTogether(codec, [error, item])
  const fits = both && both.refused.length === 0 && both.bytes.byteLength <= MAX_BODY_BYTES
  const { bytes } = fits ? both : codec.encode([error])
  const head = {
    kind: 'failure' as const,
    index,
    failure,
    attempts,
    crashes,
    firstFailedAt,
    lastFailedAt,
    ...(key === undefined ? {} : { key }),
  }
  const fresh = statusOf(index, key) === undefined ? 1 : 0
  return { head, body: [bytes], items: 1, fresh, bytes: bytes.byteLength + 256 }
}
