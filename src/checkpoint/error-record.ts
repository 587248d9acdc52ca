import { type CarriedError, packError, unpackError } from '../carried-error.ts'
import type { Codec } from './values/codec.ts'

/** Causes of causes further down than this are not believed: pawl cuts them off before. */
const MAX_DEPTH = 32

/** What of `error` the codec can hold. Never throws, whatever its getters do. */
export function recordError(error: unknown, codec: Codec): unknown {
  return prune(packError(error), codec)
}

function prune({ name, message, stack, cause, errors, fields }: CarriedError, codec: Codec): unknown {
  const isHeld = (value: unknown) => codec.encode([value]).refused.length === 0
  const held = Object.entries(fields ?? {}).filter(([, value]) => isHeld(value))
  return {
    name,
    message,
    ...(stack === undefined ? {} : { stack }),
    ...(cause === undefined || ('value' in cause && !isHeld(cause.value))
      ? {}
      : { cause: 'error' in cause ? { error: prune(cause.error, codec) } : cause }),
    ...(errors === undefined ? {} : { errors: errors.map((part) => prune(part, codec)) }),
    ...(held.length === 0 ? {} : { fields: Object.fromEntries(held) }),
  }
}

/** The error of a record. What is not of the shape of one is left out: nobody says who wrote it. */
export function reviveError(given: unknown): Error {
  return unpackError(toCarried(given, 0))
}

function toCarried(given: unknown, depth: number): CarriedError {
  const { name, message, stack, cause, errors, fields } = toObject(depth > MAX_DEPTH ? undefined : given)
  const { error, ...value } = toObject(cause)
  return {
    name: typeof name === 'string' ? name : 'Error',
    message: typeof message === 'string' ? message : '',
    stack: typeof stack === 'string' ? stack : undefined,
    ...(error === undefined ? {} : { cause: { error: toCarried(error, depth + 1) } }),
    ...(error === undefined && 'value' in value ? { cause: { value: value.value } } : {}),
    ...(Array.isArray(errors) ? { errors: errors.map((part) => toCarried(part, depth + 1)) } : {}),
    ...(fields === undefined ? {} : { fields: toObject(fields) }),
  }
}

function toObject(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
