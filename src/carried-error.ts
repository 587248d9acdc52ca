import { inspect } from 'node:util'
import { isError } from './errors.ts'
import { isWithin, MAX_NESTING } from './nesting.ts'

/**
 * An error on its way across a thread or through a checkpoint: only data, so that structured clone, msgpack and JSON
 * all carry it. `fields` are the error's own fields that `structuredClone` takes, but for those that are errors, and URLs as text;
 * what it refuses, or is nested too deep to be read back, is left out.
 */
export interface CarriedError {
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
  /** Another error, or any value that can be cloned. Absent: the error has no cause. */
  readonly cause?: { readonly error: CarriedError } | { readonly value: unknown }
  /** Of an AggregateError, and of any error whose `errors` are errors. Of another one they are a field. */
  readonly errors?: readonly CarriedError[]
  readonly fields?: Readonly<Record<string, unknown>>
  /**
   * Of fields that are errors, whole: structured clone would keep no more than a message and a stack. Those that lead back to an
   * error they lie in are left out.
   */
  readonly inner?: Readonly<Record<string, CarriedError>>
}

/** Causes nested deeper than this are cut off, so that a chain that leads back to itself ends. */
const MAX_DEPTH = 16

/**
 * Errors in `errors` and in fields that are carried, of one error and all in it. Of more in `errors`, the last that is carried
 * says how many there are; a field is left out.
 * Higher: a larger failure, in memory and on record; lower: less to look into.
 */
const MAX_PARTS = 1000

/** Deeper values are left out. With the causes around them they are still within what a record may have. */
const MAX_LEVELS = MAX_NESTING / 2

/** As it was when this was loaded: a task may put another in its place. */
const { get } = Reflect

const OWN = new Set(['name', 'message', 'stack', 'cause'])

/** Turns whatever a task threw into data. A non-error becomes the cause of an Error that describes it. */
export function packError(thrown: unknown): CarriedError {
  return pack(thrown, [], { left: MAX_PARTS })
}

/** @param around the errors it lies in. */
function pack(thrown: unknown, around: readonly unknown[], room: { left: number }): CarriedError {
  if (!isError(thrown)) {
    const cause = cloneOr(thrown, undefined)
    return {
      name: 'Error',
      message: `The task threw ${describe(thrown)}, which is not an Error`,
      stack: undefined,
      cause: { value: cause },
    }
  }
  const parts = partsOf(thrown)
  const isDeepest = around.length === MAX_DEPTH
  const within = [...around, thrown]
  const ofFields = packFields(thrown, parts !== undefined, within, room)
  return {
    name: text(readField(thrown, 'name'), 'Error'),
    message: text(readField(thrown, 'message'), ''),
    stack: typeof readField(thrown, 'stack') === 'string' ? (readField(thrown, 'stack') as string) : undefined,
    ...(!isDeepest && seen(() => Object.hasOwn(thrown, 'cause'), false)
      ? { cause: packCause(readField(thrown, 'cause'), within, room) }
      : {}),
    ...(parts && !isDeepest ? { errors: packParts(parts, within, room) } : {}),
    ...ofFields,
  }
}

function packFields(
  error: Error,
  hasParts: boolean,
  within: readonly unknown[],
  room: { left: number },
): Pick<CarriedError, 'fields' | 'inner'> {
  const fields: Record<string, unknown> = {}
  const inner: Record<string, CarriedError> = {}
  const names = seen(() => namesOf(error), [])
  for (let at = 0; at < names.length; at++) {
    const name = names[at] as string
    if (OWN.has(name) || (hasParts && name === 'errors')) continue
    const field = readField(error, name)
    const given = seen(() => (field instanceof URL ? field.href : field), field)
    if (!isError(given)) {
      const value = cloneOr(given, ABSENT)
      if (value !== ABSENT) show(fields, name, value)
    } else if (within.length <= MAX_DEPTH && room.left > 0 && !within.includes(given)) {
      room.left--
      show(inner, name, pack(given, within, room))
    }
  }
  const code = readField(error, 'code')
  if (code !== undefined && !Object.hasOwn(fields, 'code') && !isError(code) && typeof code !== 'function')
    fields.code = cloneOr(code, String(code))
  return {
    ...(Object.keys(fields).length > 0 ? { fields } : {}),
    ...(Object.keys(inner).length > 0 ? { inner } : {}),
  }
}

/** What a SuppressedError is about; there is nothing else in it, and neither shows among its fields. */
const SUPPRESSED = ['error', 'suppressed']

/** What a validator has against a value, as Standard Schema calls it; of a ZodError it does not show. */
const ISSUES = 'issues'

/** Which fields are carried. Of those that do not show no others: libraries keep in them what is not to go on record. */
function namesOf(error: Error): readonly string[] {
  const names = Object.keys(error)
  if (SUPPRESSED.every((name) => Object.hasOwn(error, name))) names.push(...SUPPRESSED)
  const issues = Object.getOwnPropertyDescriptor(error, ISSUES)
  if (issues?.enumerable === false && Array.isArray(issues.value)) names.push(ISSUES)
  return names
}

/** The error again: of the built-in class its name says, else an Error of that name. */
export function unpackError(carried: CarriedError): Error {
  const options = carried.cause
    ? { cause: 'error' in carried.cause ? unpackError(carried.cause.error) : carried.cause.value }
    : undefined
  const errors = carried.errors?.map(unpackError)
  const error = withoutStack(() =>
    errors
      ? new AggregateError(errors, carried.message, options)
      : new (BUILT_IN.get(carried.name) ?? Error)(carried.message, options),
  )
  if (error.name !== carried.name) hide(error, 'name', carried.name)
  hide(error, 'stack', carried.stack ?? `${carried.name}: ${carried.message}`)
  for (const [name, value] of Object.entries(carried.fields ?? {})) show(error, name, value)
  for (const [name, value] of Object.entries(carried.inner ?? {})) show(error, name, unpackError(value))
  return error
}

/** Node's own, whatever the program calls Error: where V8 looks up how much of a stack to note. */
const NATIVE = Object.getPrototypeOf(TypeError) as ErrorConstructor

/**
 * What `make` makes, an error that will be given another stack: to note where this one is made, and to write that down, takes
 * ten times as long as the rest. A program may have frozen where that is said; then it is noted.
 */
function withoutStack<E>(make: () => E): E {
  const limit = Object.getOwnPropertyDescriptor(NATIVE, 'stackTraceLimit')
  if (!limit?.writable) return make()
  NATIVE.stackTraceLimit = 0
  try {
    return make()
  } finally {
    NATIVE.stackTraceLimit = limit.value
  }
}

const BUILT_IN = new Map<string, ErrorConstructor>(
  [EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError].map((it) => [it.name, it as ErrorConstructor]),
)

const ABSENT = Symbol('absent')

function packCause(cause: unknown, around: readonly unknown[], room: { left: number }): NonNullable<CarriedError['cause']> {
  return isError(cause) ? { error: pack(cause, around, room) } : { value: cloneOr(cause, describe(cause)) }
}

/** The errors that `error` is made of; undefined when its `errors`, if any, are its own affair, as validators have them. */
function partsOf(error: Error): readonly unknown[] | undefined {
  const errors = readField(error, 'errors')
  try {
    if (!Array.isArray(errors)) return undefined
    if (error instanceof AggregateError) return errors
    for (let at = 0; at < errors.length; at++) if (!isError(errors[at])) return undefined
    return errors.length > 0 ? errors : undefined
  } catch {
    return undefined // A proxy that lets nobody look.
  }
}

function packParts(errors: readonly unknown[], around: readonly unknown[], room: { left: number }): CarriedError[] {
  const packed: CarriedError[] = []
  for (let at = 0; at < errors.length; at++) {
    const left = errors.length - at
    if (room.left <= 0 && left > 1) {
      // Of one more there is nothing to say that is shorter. It may be this very sentence: an error is packed again for the
      // record.
      packed.push({ name: 'Error', message: `${left} more errors are left out: ${MAX_PARTS} are carried`, stack: undefined })
      break
    }
    room.left--
    packed.push(pack(readField(errors, String(at)), around, room))
  }
  return packed
}

function readField(value: object, name: string): unknown {
  return seen(() => get(value, name), undefined)
}

/** What `look` gives. A getter, or a proxy, that throws is no reason to lose the rest of the error: then it is `otherwise`. */
function seen<V>(look: () => V, otherwise: V): V {
  try {
    return look()
  } catch {
    return otherwise
  }
}

function cloneOr<F>(value: unknown, otherwise: F): unknown | F {
  try {
    const copy: unknown = structuredClone(value)
    return isWithin(MAX_LEVELS, copy) ? copy : otherwise
  } catch {
    return otherwise
  }
}

function text(value: unknown, otherwise: string): string {
  return typeof value === 'string' ? value : otherwise
}

function show(holder: object, name: string, value: unknown): void {
  Object.defineProperty(holder, name, { value, enumerable: true, writable: true, configurable: true })
}

function hide(error: Error, name: string, value: string): void {
  Object.defineProperty(error, name, { value, enumerable: false, writable: true, configurable: true })
}

function describe(value: unknown): string {
  try {
    return inspect(value, { depth: 1, breakLength: Number.POSITIVE_INFINITY }).slice(0, 200)
  } catch {
    return `a value of type ${typeof value} that cannot be shown`
  }
}
