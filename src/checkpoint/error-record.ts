import type { Codec } from './values/codec.ts'

/** An error as data: what a codec can hold of it. */
export interface ErrorRecord {
  readonly name: string
  readonly message: string
  readonly stack?: string
  /** Present when the error has a cause: an error again, or a value. */
  readonly cause?: { readonly error: ErrorRecord } | { readonly value: unknown }
  /** Of an AggregateError. */
  readonly errors?: readonly ErrorRecord[]
  /** Own enumerable properties, `code` among them, as far as the codec can hold them. */
  readonly own?: Readonly<Record<string, unknown>>
}

/** Causes of causes further down are left out; so a cycle ends. */
const MAX_DEPTH = 8

const NATIVE = { Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError }

/** What can be kept of `error`. Never throws, whatever its getters do. */
export function recordError(error: unknown, codec: Codec, depth = 0): ErrorRecord {
  const read = (key: string) => {
    try {
      return (error as Record<string, unknown>)[key]
    } catch {
      return undefined
    }
  }
  const own: Record<string, unknown> = {}
  for (const key of Object.keys(error as object)) {
    if (key === 'cause' || key === 'errors' || key === 'stack' || key === 'message' || key === 'name') continue
    const value = read(key)
    if (codec.encode([value]).refused.length === 0)
      Object.defineProperty(own, key, { value, enumerable: true, configurable: true })
  }
  const stack = read('stack')
  const errors = read('errors')
  const isDeep = depth >= MAX_DEPTH
  return {
    name: String(read('name')),
    message: String(read('message')),
    ...(typeof stack === 'string' ? { stack } : {}),
    ...('cause' in (error as object) && !isDeep ? recordCause(read('cause'), codec, depth) : {}),
    ...(Array.isArray(errors) && !isDeep ? { errors: errors.map((part) => recordError(toError(part), codec, depth + 1)) } : {}),
    ...(Object.keys(own).length > 0 ? { own } : {}),
  }
}

function recordCause(cause: unknown, codec: Codec, depth: number): Pick<ErrorRecord, 'cause'> {
  if (cause instanceof Error) return { cause: { error: recordError(cause, codec, depth + 1) } }
  return codec.encode([cause]).refused.length === 0 ? { cause: { value: cause } } : {}
}

const toError = (value: unknown) => (value instanceof Error ? value : new Error(String(value)))

/**
 * The error of a record: of the native class its name tells, else an Error with that name. What is not of the shape of a
 * record is left out.
 */
export function reviveError(given: unknown, depth = 0): Error {
  const isRecord = typeof given === 'object' && given !== null && depth <= MAX_DEPTH
  const record = (isRecord ? given : {}) as Partial<ErrorRecord>
  const message = typeof record.message === 'string' ? record.message : ''
  const name = typeof record.name === 'string' ? record.name : 'Error'
  const Native = Object.hasOwn(NATIVE, name) ? NATIVE[name as keyof typeof NATIVE] : Error
  const error = Array.isArray(record.errors)
    ? new AggregateError(
        record.errors.map((part) => reviveError(part, depth + 1)),
        message,
      )
    : new Native(message)
  const define = (key: string, value: unknown, enumerable: boolean) =>
    Object.defineProperty(error, key, { value, enumerable, writable: true, configurable: true })
  if (error.name !== name) define('name', name, false)
  define('stack', typeof record.stack === 'string' ? record.stack : `${name}: ${message}`, false)
  if (record.cause !== undefined) define('cause', reviveCause(record.cause, depth), false)
  for (const [key, value] of Object.entries(record.own ?? {})) define(key, value, true)
  return error
}

function reviveCause(cause: unknown, depth: number): unknown {
  if (typeof cause !== 'object' || cause === null) return undefined
  return 'error' in cause ? reviveError(cause.error, depth + 1) : (cause as { value?: unknown }).value
}
