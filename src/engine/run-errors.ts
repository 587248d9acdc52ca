import { unpackError } from '../carried-error.ts'
import { SerializationError, TaskLoadError } from '../errors.ts'
import type { PartMessage } from './protocol.ts'

/** Errors of workers. */

/** The task cannot be loaded. */
export function unpackLoadError(part: PartMessage): TaskLoadError {
  const carried = part.loadError
  const error = carried ? unpackError(carried) : new Error('unknown')
  return new TaskLoadError(error.message, { cause: error.cause ?? error })
}

/** What a worker sent as the result of an item cannot be read. */
export function unreadableError(item: string, cause: Error): SerializationError {
  const message = `Cannot read the result of item ${item}: expected a value that can be carried between threads, got ${cause.message}. It may be nested too deep: return it flatter, or as a string`
  return new SerializationError(message, '', { cause })
}

/** So many workers in a row ended before any item began. */
export function stillbornError(cause: Error, count: number): TaskLoadError {
  return new TaskLoadError(
    `Cannot start a worker: expected it to load the task, got ${count} workers in a row that ended before any item began (${cause.message}). ` +
      "See what the task's module does when it is imported, and whether 'resourceLimits' leave it enough memory",
    { cause },
  )
}
