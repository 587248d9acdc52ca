import { InvalidOptionError, invalidOption } from '../errors.ts'
import { wording } from '../wording.ts'

/** Most items whose keys can be held against one another: V8 raises a RangeError for a Map of more. */
const MAX_KEYS = 2 ** 24

/** Keys by `key`, each item's checked: a string that no other item has. `most`: how many items may have one. */
export function createKeys<T>(key: (item: T, index: number) => string, most = MAX_KEYS): (item: T, index: number) => string {
  const seen = new Map<string, number>()
  return (item, index) => {
    if (seen.size === most) throw tooManyKeys(most, most + 1)
    const name = callKey(key, item, index)
    if (typeof name !== 'string')
      throw new InvalidOptionError('key', `a function that gives a string, also for item ${index}`, name)
    const first = seen.get(name)
    if (first !== undefined)
      throw invalidOption(
        'key',
        wording`a key of its own for each item, not one for both ${named(first)} and ${named(index)}`,
        name,
      )
    seen.set(name, index)
    return name
  }
}

/**
 * The key of each item. `given`: those that are known already, in place of what `key` says.
 *
 * @throws InvalidOptionError for two items with one key, and for more than MAX_KEYS before any is made.
 */
export function listKeys<T>(
  items: readonly T[],
  key: (item: T, index: number) => string,
  given: readonly string[] | undefined,
): string[] {
  if (items.length > MAX_KEYS) throw tooManyKeys(MAX_KEYS, items.length)
  return given ? given.map(createKeys((name: string) => name)) : Array.from(items, createKeys(key))
}

const named = (index: number) => ({ about: 'item', index, says: `item ${index}` }) as const

function tooManyKeys(most: number, count: number): InvalidOptionError {
  return new InvalidOptionError('key', `at most ${most} items, whose keys are all held in memory: several runs take more`, count)
}

/** An item that holds what nobody can look into, so that only a key tells it from another when the run is resumed. */
export function unseenItem(index: number, className: string): InvalidOptionError {
  const held = `item ${index} is or holds an object of class '${className}', which a resumed run could not tell from another`
  return new InvalidOptionError('key', `a function that names each item, since ${held}`, undefined)
}

function callKey<T>(key: (item: T, index: number) => string, item: T, index: number): string {
  try {
    return key(item, index)
  } catch (cause) {
    const thrown = cause instanceof Error ? cause.message : cause
    throw new InvalidOptionError('key', `a function that gives a string, also for item ${index}, for which it throws`, thrown, {
      cause,
    })
  }
}
