import { type CarriedError, packError, unpackError } from '../../carried-error.ts'
import { isPlain } from '../../options/option-values.ts'
import { codeOf } from '../../store/errno.ts'
import type { Codec } from '../../values/contract.ts'
import { stepTo } from '../../values/steps.ts'
import { keepWords, option, Wording, type Words } from '../../wording.ts'

/** Causes of causes further down than this are not believed: pawl cuts them off before. */
const MAX_DEPTH = 32

/**
 * Errors of one record that are believed, more than pawl ever writes: one error that is in many places of a record, as V8 can write
 * it down, is as many errors once it is read, and twice as many with each level.
 */
const MAX_ERRORS = 2 ** 15

/** Takes a field of an error that a codec cannot hold. */
type OnUnheld = (field: string, value: unknown) => void

/**
 * What of `error` the codec can hold, and the errors in it; `onUnheld` is told of the rest. Never throws, whatever its getters
 * do.
 */
export function recordError(error: unknown, codec: Codec, onUnheld: OnUnheld): unknown {
  return prune(packError(error), { codec, onUnheld, left: MAX_ASKED, known: new Map() })
}

/** What a record is made with. */
interface Making {
  readonly codec: Codec
  readonly onUnheld: OnUnheld
  /** Parts that the codec may yet be asked for. */
  left: number
  /** Which of the parts that have none of ours the codec can hold, as far as it was asked. */
  readonly known: Map<unknown, boolean>
}

function prune({ name, message, stack, cause, errors, fields, inner }: CarriedError, making: Making): unknown {
  const hold = (value: unknown, field: string) => heldOf(value, field, making)
  const held = holdAll(Object.entries(fields ?? {}), hold)
  const heldCause = cause !== undefined && 'value' in cause ? hold(cause.value, 'cause') : UNHELD
  return {
    name,
    message,
    ...(stack === undefined ? {} : { stack }),
    ...(cause !== undefined && 'error' in cause ? { cause: { error: prune(cause.error, making) } } : {}),
    ...(heldCause === UNHELD ? {} : { cause: { value: heldCause } }),
    ...(errors === undefined ? {} : { errors: errors.map((part) => prune(part, making)) }),
    ...(held.length === 0 ? {} : { fields: Object.fromEntries(held) }),
    ...(inner === undefined ? {} : { inner: mapFields(Object.entries(inner), (part) => prune(part, making)) }),
  }
}

const UNHELD = Symbol('unheld')

/** Parts of a field that are looked at one by one, where not all of it can be held. Of one that has more nothing is kept. */
const MAX_HELD_PARTS = 10_000

/**
 * Parts that a codec is asked for, of all fields of an error and of the errors in it. Higher, and an error with large fields keeps
 * the main thread longer; lower, and of more such fields nothing is kept.
 */
const MAX_ASKED = 1000

/** Parts that any codec holds; were one too long, all of the field would not be held. */
function isLeaf(part: unknown): boolean {
  return typeof part === 'string' || typeof part === 'boolean' || part === null || Number.isFinite(part)
}

/** What of a field the codec can hold; UNHELD: nothing. */
function heldOf(value: unknown, field: string, making: Making): unknown {
  const { codec, onUnheld } = making
  const isHeld = (part: unknown) => codec.encode([part]).refused.length === 0
  if (isHeld(value)) return value
  const told = (part: unknown, path: string) => {
    if (part !== undefined) onUnheld(path, part) // What is undefined, and what is not there, read the same.
    return UNHELD
  }
  let left = MAX_HELD_PARTS
  const isHeldPart = (part: unknown) => {
    const known = making.known.get(part)
    if (known !== undefined) return known
    if (making.left-- <= 0) return false
    const held = isHeld(part)
    making.known.set(part, held) // The same ones, undefined, NaN or one large buffer, are often in many places.
    return held
  }
  /** Of an object what it has besides, of an array all or nothing, as its places count. `around`: what it lies in. */
  const keep = (part: unknown, path: string, around: readonly unknown[]): unknown => {
    if (left-- <= 0 || around.includes(part)) return told(part, path)
    if (isLeaf(part)) return part
    const within = [...around, part]
    if (isPlain(part))
      return Object.fromEntries(holdAll(Object.entries(part), (it, name) => keep(it, path + stepTo(name, false), within)))
    // Only what has no parts of ours: parts within parts, asked for whole at each level, would be walked time and again.
    if (!Array.isArray(part) || making.known.has(part) || Object.keys(part).length !== part.length)
      return isHeldPart(part) ? part : told(part, path)
    const parts: unknown[] = []
    for (const [at, it] of part.entries()) {
      const held = keep(it, `${path}[${at}]`, within)
      if (held === UNHELD) return told(part, path)
      parts.push(held)
    }
    return parts
  }
  const kept = keep(value, field, [])
  return kept === UNHELD || (left >= 0 && making.left >= 0 && isHeld(kept)) ? kept : told(value, field)
}

function holdAll(fields: readonly [string, unknown][], hold: (value: unknown, name: string) => unknown): [string, unknown][] {
  return fields.map(([name, value]): [string, unknown] => [name, hold(value, name)]).filter(([, value]) => value !== UNHELD)
}

/** The error of a record. What is not of the shape of one is left out: nobody says who wrote it. */
export function reviveError(given: unknown): Error {
  const error = unpackError(toCarried(given, 0, { left: MAX_ERRORS }))
  const words = wordsAgain(error)
  return words ? keepWords(error, words) : error
}

/** The options that a reason of ours names in its advice. On record is the text alone. */
const ADVISED = new Map([
  ['ERR_PAWL_TIMEOUT', /('timeout')/],
  ['ERR_PAWL_WORKER_CRASH', /('?maxCrashes'?|'resourceLimits\.maxOldGenerationSizeMb')/],
])

function wordsAgain(error: Error): Words | undefined {
  const advised = ADVISED.get(codeOf(error))
  if (!advised) return undefined
  const parts = error.message.split(advised)
  return new Wording(parts.map((part, at) => (at % 2 === 1 ? option(part.replaceAll("'", ''), part) : part)))
}

function toCarried(given: unknown, depth: number, room: { left: number }): CarriedError {
  room.left--
  const within = <V>(parts: readonly V[]) => parts.slice(0, Math.max(0, room.left))
  const { name, message, stack, cause, errors, fields, inner } = toObject(depth > MAX_DEPTH ? undefined : given)
  const { error, ...value } = toObject(cause)
  return {
    name: typeof name === 'string' ? name : 'Error',
    message: typeof message === 'string' ? message : '',
    stack: typeof stack === 'string' ? stack : undefined,
    ...(error === undefined ? {} : { cause: { error: toCarried(error, depth + 1, room) } }),
    ...(error === undefined && 'value' in value ? { cause: { value: value.value } } : {}),
    ...(Array.isArray(errors) ? { errors: within(errors).map((part) => toCarried(part, depth + 1, room)) } : {}),
    ...(fields === undefined ? {} : { fields: toObject(fields) }),
    ...(inner === undefined
      ? {}
      : { inner: mapFields(within(Object.entries(toObject(inner))), (part) => toCarried(part, depth + 1, room)) }),
  }
}

function mapFields<V, W>(fields: readonly (readonly [string, V])[], change: (value: V) => W): Record<string, W> {
  return Object.fromEntries(fields.map(([name, value]) => [name, change(value)]))
}

function toObject(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
