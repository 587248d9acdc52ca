import { systemClock } from '../../clock.ts'
import { InvalidOptionError } from '../../errors.ts'
import { isStoreLike } from '../../options/option-values.ts'
import { isDirectory } from '../../store/directory.ts'
import { directoryOf, fileStore } from '../../store/file.ts'
import type { Store } from '../../store/store.ts'
import { eachCall } from '../patience/each-call.ts'
import { createPatiently } from '../patience/patiently.ts'

/**
 * The store that was given, as itself or as its directory. One that is no directory is asked again where a call fails with what
 * may pass, as when a run is opened: to read a long run is thousands of calls.
 *
 * @throws InvalidOptionError for what is neither a directory nor a store.
 */
export function toStore(given: Store | string | URL): Store {
  if (!isStoreLike(given)) throw new InvalidOptionError('store', 'a directory or a Store', given)
  if (isDirectory(given)) return fileStore(given)
  if (directoryOf(given) !== undefined) return given
  return eachCall(given, createPatiently(systemClock, { signal: new AbortController().signal }))
}
