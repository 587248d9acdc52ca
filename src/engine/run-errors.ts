import { type CarriedError, unpackError } from '../carried-error.ts'
import { SerializationError, TaskLoadError, WorkerCrashError } from '../errors.ts'
import { explainNoDirectory } from '../task/load-fault.ts'
import { worded, wording } from '../wording.ts'

/** Errors of workers. */

/** The task cannot be loaded. */
export function unpackLoadError(carried: CarriedError): TaskLoadError {
  const error = unpackError(carried)
  return new TaskLoadError(error.message, error.cause === undefined ? {} : { cause: error.cause })
}

/** What a worker sent as the result of an item cannot be read. */
export function unreadableError(item: string, cause: Error): SerializationError {
  const message = `Cannot read the result of item ${item}: expected a value that can be carried between threads, got ${cause.message}. It may be nested too deep: return it flatter, or as a string`
  return new SerializationError(message, '', { cause })
}

/** What a worker answered cannot be true: `fault` is what came instead of an answer. */
export function untrueError(fault: string): Error {
  return new Error(`${fault}${SPOILED}`)
}

/** The same on the main thread, where no other can take its place. */
export function inlineUntrueError(fault: string): WorkerCrashError {
  return new WorkerCrashError(`Cannot run items on the main thread: expected an answer of all of them, got ${fault}${SPOILED}`)
}

const SPOILED = ': the task may have changed what all code of its thread uses, such as Array.prototype.push'

/** pawl is not where the files are that its threads load. */
export function bundledError(file = 'worker-entry.cjs'): TaskLoadError {
  return new TaskLoadError(
    `Cannot start a worker: expected pawl's own files beside one another, got no ${file}. ` +
      "A program that bundles pawl leaves them behind: keep it external (--external:pawl, or external: ['pawl']), with pawl in node_modules where the program runs",
  )
}

/** Node's permission model denies threads. */
export function noThreadsAllowedError(): TaskLoadError {
  const inline = { about: 'inline', says: ", or run the items on the main thread by mode: 'inline'" } as const
  return worded(
    wording`Cannot start a worker: expected threads to be allowed, got a refusal: Node's permission model was given no --allow-worker. Give node that flag${inline}`,
    (message) => new TaskLoadError(message),
  )
}

/** So many workers in a row ended before any item began. */
export function stillbornError(cause: Error, count: number): TaskLoadError {
  const homeless = explainNoDirectory(cause)
  if (homeless) return homeless
  const memory = { about: 'memory', says: "'resourceLimits' leave it enough memory" } as const
  return worded(
    wording`Cannot start a worker: expected it to load the task, got ${count} workers in a row that ended before any item began (${cause.message}). See what the task's module does when it is imported, and whether ${memory}`,
    (message) => new TaskLoadError(message, { cause }),
  )
}
