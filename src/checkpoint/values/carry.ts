/// <reference lib="es2024.arraybuffer" />
import { types } from 'node:util'
import { Deserializer, Serializer } from 'node:v8'
import { CheckpointCorruptError } from '../../errors.ts'
import type { Misfit } from './contract.ts'
import { findMisfit, isCarried } from './misfit.ts'

/**
 * A copy of `value` as structured clone makes it, or what in it cannot be carried. Objects of the platform (a Blob, a
 * KeyObject) are refused though Node clones them: they cannot be kept in a file. A view that is alone on its buffer is
 * cut to its own bytes, so that a Buffer of ten bytes does not bring along the 8 KiB slab it lies on.
 */
export function carry(value: unknown): { readonly copy: unknown } | { readonly misfit: Misfit } {
  try {
    const copy: unknown = structuredClone(value)
    if (settle(copy)) return { copy }
  } catch (cause) {
    return { misfit: findMisfit(value, 'clone') ?? { path: '', got: `one that cannot be cloned (${String(cause)})`, cause } }
  }
  return { misfit: findMisfit(value, 'clone') ?? { path: '', got: 'an object of the platform' } }
}

/** The bytes of a value that `carry` made. V8's own format, which newer versions of Node read and older ones may not. */
export function serialize(copy: unknown): Uint8Array {
  const serializer = new Serializer()
  serializer.writeHeader()
  serializer.writeValue(copy)
  return serializer.releaseBuffer()
}

/** The value that `serialize` wrote. Raises CheckpointCorruptError when this Node does not know the format. */
export function deserialize(bytes: Buffer): unknown {
  try {
    const deserializer = new Deserializer(bytes)
    deserializer.readHeader()
    return deserializer.readValue()
  } catch (cause) {
    const message = `Cannot read a recorded value: expected one that Node ${process.version} can deserialize, got one that a newer Node may have written. Resume with the Node that recorded it`
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
}

/** Cuts the views of a copy to size. False when a part of it cannot be kept. */
function settle(copy: unknown): boolean {
  const survey: Survey = { seen: new Set(), places: [], users: new Map() }
  const open: unknown[] = [copy]
  while (open.length > 0) {
    const value = open.pop()
    if (typeof value !== 'object' || value === null || survey.seen.has(value)) continue
    survey.seen.add(value)
    if (!isCarried(value)) return false
    if (types.isAnyArrayBuffer(value)) use(survey, value)
    else if (ArrayBuffer.isView(value)) use(survey, value.buffer)
    else explore(value, survey, open)
  }
  return [...survey.users.keys()].every((buffer) => !types.isSharedArrayBuffer(buffer)) && cutViews(survey)
}

function use({ users }: Survey, buffer: ArrayBufferLike): void {
  users.set(buffer, (users.get(buffer) ?? 0) + 1)
}

function explore(holder: object, survey: Survey, open: unknown[]): void {
  if (types.isSet(holder)) for (const value of holder) open.push(pinned(survey, value))
  else if (types.isMap(holder)) {
    for (const [key, value] of holder) {
      open.push(pinned(survey, key), value)
      if (ArrayBuffer.isView(value)) survey.places.push({ holder, key, view: value })
    }
  } else {
    const keys = types.isNativeError(holder) ? ['cause'] : Object.keys(holder)
    for (const key of keys) {
      const value: unknown = Reflect.get(holder, key)
      open.push(value)
      if (ArrayBuffer.isView(value)) survey.places.push({ holder, key, view: value })
    }
  }
}

/** A view that is a member of a set or the key of a map stays the object it is: to replace it would change the order. */
function pinned(survey: Survey, value: unknown): unknown {
  if (ArrayBuffer.isView(value)) use(survey, value.buffer)
  return value
}

function cutViews({ places, users }: Survey): true {
  const cut = new Map<ArrayBufferView, ArrayBufferView>()
  for (const { holder, key, view } of places) {
    if (users.get(view.buffer) !== 1 || view.byteLength === view.buffer.byteLength || (view.buffer as ArrayBuffer).resizable)
      continue
    const replacement = cut.get(view) ?? cutToSize(view)
    cut.set(view, replacement)
    if (types.isMap(holder)) holder.set(key, replacement)
    else Reflect.defineProperty(holder, key as string, { value: replacement })
  }
  return true
}

function cutToSize(view: ArrayBufferView): ArrayBufferView {
  const buffer = view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength)
  return view instanceof DataView ? new DataView(buffer) : Reflect.construct(view.constructor, [buffer])
}
