/// <reference lib="es2024.arraybuffer" />
import { types } from 'node:util'
import { Deserializer, Serializer } from 'node:v8'
import { CheckpointCorruptError } from '../errors.ts'
import { entriesOf, membersOf } from '../members.ts'
import { MAX_NESTING } from '../nesting.ts'
import { type Misfit, TOO_DEEP } from './contract.ts'
import { findMisfit, isCarried } from './misfit.ts'

/** As they were when this was loaded: a task may put others in their place. */
const { ArrayBuffer, DataView, Map, Set, structuredClone: clone } = globalThis
const { construct, defineProperty, get } = Reflect

/** A value as `serialize` takes it. */
export interface Carried {
  readonly misfit?: undefined
  readonly copy: unknown
  /** The errors of the copy that had a cause, each followed by it. */
  readonly causes: readonly unknown[]
}

/**
 * A copy of `value` as structured clone makes it, or what in it cannot be carried. Objects of the platform (a Blob, a
 * KeyObject) are refused though Node clones them: they cannot be kept in a file. A view that is alone on its buffer is
 * cut to its own bytes, so that a Buffer of ten bytes does not bring along the 8 KiB slab it lies on. The causes of errors
 * are taken off: V8 moved them within its format between Node 20 and 24, and the newer one cannot read the older form.
 */
export function carry(value: unknown): Carried | { readonly misfit: Misfit } {
  try {
    const copy: unknown = clone(value)
    const survey = explore(copy)
    if (survey.fault === 'deep') return { misfit: TOO_DEEP }
    if (survey.fault === undefined) {
      cutViews(survey)
      return { misfit: undefined, copy, causes: takeCauses(survey.errors) }
    }
  } catch (cause) {
    return { misfit: findMisfit(value, 'clone') ?? { path: '', got: `one that cannot be cloned (${String(cause)})`, cause } }
  }
  return { misfit: findMisfit(value, 'clone') ?? { path: '', got: 'an object of the platform' } }
}

/** The bytes of a value that `carry` made. V8's own format, which newer versions of Node read and older ones may not. */
export function serialize({ copy, causes }: Carried): Uint8Array {
  const serializer = new Serializer()
  serializer.writeHeader()
  serializer.writeValue([copy, ...causes])
  return serializer.releaseBuffer()
}

/** The value that `serialize` wrote. Raises CheckpointCorruptError when this Node does not know the format. */
export function deserialize(bytes: Buffer): unknown {
  try {
    const deserializer = new Deserializer(bytes)
    deserializer.readHeader()
    const [copy, ...causes]: unknown[] = deserializer.readValue()
    for (let at = 0; at < causes.length; at += 2) giveCause(causes[at], causes[at + 1])
    return copy
  } catch (cause) {
    const message = `Cannot read a recorded value: expected one that Node ${process.version} can deserialize, got one that a newer Node may have written, or one nested too deep. Resume with the Node that recorded it, or with more stack (--stack-size)`
    throw new CheckpointCorruptError(message, { cause })
  }
}

interface Place {
  readonly holder: object
  readonly key: unknown
  readonly view: ArrayBufferView
}

/** Where views lie in a copy, and how many things lie on each buffer. */
interface Survey {
  readonly seen: Set<object>
  readonly places: Place[]
  readonly users: Map<ArrayBufferLike, number>
  readonly errors: Error[]
  /** A part cannot be kept, or lies so deep that it may not be read back. What comes behind it was not looked at. */
  fault: 'unkept' | 'deep' | undefined
}

/** Surveys a copy in the order in which `serialize` has V8 write it: what lies deep there, and only that, lies deep for V8. */
function explore(copy: unknown): Survey {
  const survey: Survey = { seen: new Set(), places: [], users: new Map(), errors: [], fault: undefined }
  visit(copy, 0, survey)
  for (let at = 0; at < survey.errors.length; at++) visit((survey.errors[at] as Error).cause, 0, survey) // It finds more of them.
  return survey
}

function visit(value: unknown, depth: number, survey: Survey): void {
  if (typeof value !== 'object' || value === null || survey.fault !== undefined || survey.seen.has(value)) return
  if (depth >= MAX_NESTING) survey.fault = 'deep'
  else if (!isCarried(value)) survey.fault = 'unkept'
  survey.seen.add(value)
  if (types.isAnyArrayBuffer(value)) use(survey, value)
  else if (ArrayBuffer.isView(value)) use(survey, value.buffer)
  else visitParts(value, depth + 1, survey)
}

function use(survey: Survey, buffer: ArrayBufferLike): void {
  if (types.isSharedArrayBuffer(buffer)) survey.fault = 'unkept'
  survey.users.set(buffer, (survey.users.get(buffer) ?? 0) + 1)
}

function visitParts(holder: object, depth: number, survey: Survey): void {
  if (types.isSet(holder)) {
    const members = membersOf(holder)
    for (let at = 0; at < members.length; at++) visit(pinned(survey, members[at]), depth, survey)
  } else if (types.isMap(holder)) {
    const entries = entriesOf(holder)
    for (let at = 0; at < entries.length; at += 2) {
      const [key, value] = [entries[at], entries[at + 1]]
      visit(pinned(survey, key), depth, survey)
      visit(value, depth, survey)
      if (ArrayBuffer.isView(value)) survey.places.push({ holder, key, view: value })
    }
  } else {
    const isError = types.isNativeError(holder)
    if (isError && Object.hasOwn(holder, 'cause')) survey.errors.push(holder)
    const keys = isError ? ['cause'] : Object.keys(holder)
    for (let at = 0; at < keys.length; at++) {
      const key = keys[at] as string
      const value: unknown = get(holder, key)
      if (!isError) visit(value, depth, survey) // A cause is written behind the copy.
      if (ArrayBuffer.isView(value)) survey.places.push({ holder, key, view: value })
    }
  }
}

/** A view that is a member of a set or the key of a map stays the object it is: to replace it would change the order. */
function pinned(survey: Survey, value: unknown): unknown {
  if (ArrayBuffer.isView(value)) use(survey, value.buffer)
  return value
}

function cutViews({ places, users }: Survey): void {
  const cut = new Map<ArrayBufferView, ArrayBufferView>()
  for (const { holder, key, view } of places) {
    if (users.get(view.buffer) !== 1 || view.byteLength === view.buffer.byteLength || (view.buffer as ArrayBuffer).resizable)
      continue
    const replacement = cut.get(view) ?? cutToSize(view)
    cut.set(view, replacement)
    if (types.isMap(holder)) holder.set(key, replacement)
    else defineProperty(holder, key as string, { value: replacement })
  }
}

function cutToSize(view: ArrayBufferView): ArrayBufferView {
  const buffer = view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength)
  return view instanceof DataView ? new DataView(buffer) : construct(view.constructor, [buffer])
}

/** Takes the causes off, and gives the errors, each followed by its own. */
function takeCauses(errors: readonly Error[]): unknown[] {
  const causes: unknown[] = []
  for (let at = 0; at < errors.length; at++) {
    const error = errors[at] as Error
    causes[2 * at] = error
    causes[2 * at + 1] = error.cause
    delete error.cause
  }
  return causes
}

function giveCause(error: unknown, cause: unknown): void {
  if (!types.isNativeError(error)) throw new TypeError('Only errors have causes')
  Object.defineProperty(error, 'cause', { value: cause, writable: true, enumerable: false, configurable: true })
}
