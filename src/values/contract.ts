import { SerializationError } from '../errors.ts'
import { MAX_NESTING } from '../nesting.ts'
import { sayPlace } from './steps.ts'

/** How values become bytes. `msgpack` holds what structured clone carries; `json` what JSON can hold, readable by people. */
export type Format = 'msgpack' | 'json'

/** Most bytes of a column of one value: what the body of a frame may have. */
export const MAX_COLUMN_BYTES = 2 ** 29

/** A value the codec cannot hold. `at` is its place in the column; `error.path` says where in the value, '' for all of it. */
export interface Refusal {
  readonly at: number
  readonly error: SerializationError
}

/** Turns a column of values into bytes and back. Holds nothing between calls. */
export interface Codec {
  readonly format: Format
  /**
   * Encodes a column of values. A value that cannot be held is left out of `bytes` and told in `refused`, `at`
   * ascending; the others keep their order. `describe(at)` names the item in messages, default `item <at>`.
   * `bytes` is all of its ArrayBuffer, so it may be posted. Never throws for what a value is or does; throws where several
   * are together beyond what V8 holds (512 MiB of JSON, 2 GiB of msgpack): see `encodeTogether`.
   */
  encode(values: ArrayLike<unknown>, describe?: (at: number) => string): Encoded
  /**
   * The values in order. Raises CheckpointCorruptError, and nothing else, when `bytes` are not what `encode` wrote. The
   * values keep no hold of `bytes`. `isOwn`: an `encode` of this process wrote them, so nobody need make sure of it.
   */
  decode(bytes: Uint8Array, isOwn?: boolean): unknown[]
  /**
   * How many values `bytes` say they hold; undefined when only reading them would tell. Raises RangeError for bytes that `encode`
   * did not write, if anything.
   */
  countIn(bytes: Uint8Array): number | undefined
  /**
   * False when `encode` does not make of values that are known what it should: a task has changed what it is made of.
   * Microseconds. Never throws.
   */
  isSound(): boolean
}

export interface Encoded {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly refused: readonly Refusal[]
}

/** A part of a value that cannot be held: where it is (`tags[3].x`, '' for the value itself) and what it is (`a Map`). */
export interface Misfit {
  readonly path: string
  readonly got: string
  readonly cause?: unknown
  /** What to do, when it is nothing that the format says. */
  readonly cure?: string
}

/** A value of which no reader could be sure that its stack holds out. */
export const TOO_DEEP: Misfit = {
  path: '',
  got: `one nested more than ${MAX_NESTING} levels deep`,
  cure: 'Return it flatter, for example as a list of its nodes, or as a string',
}

/** What has to hold a value: a format, or a line of output, which is JSON whatever the format. */
export type Terms = Format | 'line'

const TERMS: Record<Terms, readonly [expected: string, orElse: string]> = {
  json: ['a value that JSON can hold', ", or use format 'msgpack', which holds whatever structured clone carries"],
  line: ['a value that JSON can hold', ' instead'],
  msgpack: ['a value that structured clone carries', ' instead'],
}

/** The plain data that is nearest to what JSON has no form for. */
const PLAIN = new Map([
  ['a Date', 'what its toISOString() gives'],
  ['a Map', 'what Object.fromEntries() makes of it'],
  ['a Set', 'an array of its members'],
  ['a BigInt', 'what its toString() gives'],
  ['undefined', 'null'],
])

/**
 * The refusal of the value at `at`. `doing`: what cannot be done with it. The message says what was expected, what was found
 * where, and what to do.
 */
export function refuse(terms: Terms, at: number, misfit: Misfit, describe?: (at: number) => string, doing = 'record'): Refusal {
  const [expected, orElse] = TERMS[terms]
  const plain = terms === 'msgpack' ? undefined : PLAIN.get(misfit.got)
  const cure = misfit.cure ?? `Return ${plain ?? 'plain data'}${orElse}`
  const item = describe === undefined ? `item ${at}` : describe(at)
  const message = `Cannot ${doing} the result of ${item}: expected ${expected}, got ${misfit.got}${sayPlace(misfit.path)}. ${cure}`
  const options = misfit.cause === undefined ? {} : { cause: misfit.cause }
  return { at, error: new SerializationError(message, misfit.path, options) }
}
