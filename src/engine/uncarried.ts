import { isError, nameItem, SerializationError } from '../errors.ts'
import { sayPlace } from '../values/steps.ts'
import type { Dropped } from './dropped.ts'

/** What structured clone does not carry between threads, and how that is told. */

/** As it was when this was loaded: a task may put another in its place. */
const { structuredClone } = globalThis

/** Why an item was not given to the task. */
export function refuseItem(index: number, key: string | undefined, cause: unknown): SerializationError {
  const message = `Cannot carry item ${nameItem(index, key)} to a worker: expected a value that structured clone takes, got one that it refuses: ${sayWhy(cause)}. Give plain data instead`
  return new SerializationError(message, '', { cause, index })
}

/** Of a result, a part of which would be an empty object on the main thread. */
export function droppedError(item: string, { path, got }: Dropped): SerializationError {
  const message = `Cannot carry the result of ${item}: expected a value that structured clone carries, got ${got}${sayPlace(path)}. Return plain data instead, such as its text`
  return new SerializationError(message, path)
}

/** A getter may throw what it likes, also nothing. */
function sayWhy(cause: unknown): string {
  return isError(cause) ? cause.message.replace(/\.$/, '') : `a getter threw a value of type ${typeof cause}`
}

/** Clones one by one, and tells the values that structured clone refuses. What a getter gave now it need not give again. */
export function cloneEach(values: ArrayLike<unknown>, nameOf: (at: number) => string) {
  const refused: { at: number; error: Error }[] = []
  const copies = Array.from({ length: values.length }, (_, at): unknown => {
    try {
      return structuredClone(values[at])
    } catch (cause) {
      const message = `Cannot carry the result of ${nameOf(at)} to the main thread: expected a value that structured clone takes, got one that it refuses: ${sayWhy(cause)}. Return plain data instead`
      refused.push({ at, error: new SerializationError(message, '', { cause }) })
      return undefined
    }
  })
  return { copies, refused }
}
