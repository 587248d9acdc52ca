import { InvalidOptionError, invalidOption } from '../errors.ts'
import { wording } from '../wording.ts'

/** Keys by `key`, each item's checked: a string that no other item has. */
export function createKeys<T>(key: (item: T, index: number) => string): (item: T, index: number) => string {
  const seen = new Map<string, number>()
  return (item, index) => {
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
 * @throws InvalidOptionError for two items with one key.
 */
export function listKeys<T>(
  items: readonly T[],
  key: (item: T, index: number) => string,
  given: readonly string[] | undefined,
): string[] {
  return given ? given.map(createKeys((name: string) => name)) : Array.from(items, createKeys(key))
}

const named = (index: number) => ({ about: 'item', index, says: `item ${index}` }) as const

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
