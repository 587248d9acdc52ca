import { InvalidOptionError } from '../../errors.ts'
import { isStoreLike } from '../../option-values.ts'
import { isDirectory } from '../../store/directory.ts'
import { fileStore } from '../../store/file.ts'
import type { Store } from '../../store/store.ts'

/**
 * The store that was given, as itself or as its directory.
 *
 * @throws InvalidOptionError for what is neither a directory nor a store.
 */
export function toStore(given: Store | string | URL): Store {
  if (!isStoreLike(given)) throw new InvalidOptionError('store', 'a directory or a Store', given)
  return isDirectory(given) ? fileStore(given) : given
}
