import { idOf } from './item-set.ts'
import type { FailureEntry, RunIndex } from './run-index.ts'

/** Where readers find an item that was recorded at `index`; undefined when it is none of the run's any more. */
export function placeIn({ list }: Pick<RunIndex, 'list'>, index: number, key: string | undefined): number | undefined {
  return list === undefined ? index : key === undefined ? undefined : list.places.get(key)
}

/** The failure of an item that did not succeed elsewhere; undefined when there is none. */
export function failureIn(
  { isKeyed, failures }: Pick<RunIndex, 'isKeyed' | 'failures'>,
  index: number,
  key: string | undefined,
): FailureEntry | undefined {
  const id = idOf(isKeyed, index, key)
  return id === undefined ? undefined : failures.get(id)
}

/** How many of the run's items have settled, and how many of them failed. Items that it has no more are not counted. */
export function countSettled({ list, fulfilled, failures }: Pick<RunIndex, 'list' | 'fulfilled' | 'failures'>): {
  done: number
  failed: number
} {
  if (list === undefined) return { done: fulfilled.size + failures.size, failed: failures.size }
  return countAmong(list.keys, { fulfilled, failures })
}

/** Whether every item of the run is settled on record. */
export function isAllSettled(index: RunIndex): boolean {
  return index.itemCount !== undefined && countSettled(index).done >= index.itemCount
}

/** As `countSettled` of a keyed run whose items have these keys. */
export function countAmong(
  keys: readonly string[],
  { fulfilled, failures }: Pick<RunIndex, 'fulfilled' | 'failures'>,
): { done: number; failed: number } {
  let done = 0
  let failed = 0
  keys.forEach((key, index) => {
    if (failures.has(key)) failed++
    if (failures.has(key) || fulfilled.has(index, key)) done++
  })
  return { done, failed }
}

/**
 * Of a run without a list: whether readers find each of the items with these keys, as far as it is recorded, at its index, and no
 * other.
 */
export function isAsRecorded({ fulfilled, failures, hasMoved, total = 0 }: RunIndex, keys: readonly string[]): boolean {
  let found = 0
  for (let index = 0; index < keys.length; index++) {
    const key = keys[index] as string
    const recorded = fulfilled.placeOf(key) ?? failures.get(key)?.index
    if (recorded !== undefined && recorded !== index) return false
    if (recorded !== undefined) found++
  }
  return !hasMoved && total <= keys.length && found === fulfilled.size + failures.size
}
