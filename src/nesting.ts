import { types } from 'node:util'
import { entriesOf, membersOf } from './members.ts'

/**
 * How deep objects may lie in one another in a result that is recorded. V8 reads objects in objects by recursion: on the main
 * thread, whose stack is a quarter of a worker's, 1,400 levels at the least of all kinds and of Node 20 and 24. So what a
 * worker can give, the main thread may not be able to read back. Higher leaves less of the stack to whoever reads; lower refuses
 * what could be read.
 */
export const MAX_NESTING = 1000

/** True when objects in `copy`, which structured clone made, lie at most `levels` deep, as V8 comes upon them. */
export function isWithin(levels: number, copy: unknown, seen = new Set<object>()): boolean {
  if (typeof copy !== 'object' || copy === null || seen.has(copy)) return true
  if (levels === 0) return false
  seen.add(copy)
  return partsOf(copy).every((part) => isWithin(levels - 1, part, seen))
}

function partsOf(holder: object): readonly unknown[] {
  if (types.isSet(holder)) return membersOf(holder)
  if (types.isMap(holder)) return entriesOf(holder)
  if (types.isNativeError(holder)) return [holder.cause]
  return ArrayBuffer.isView(holder) ? [] : Object.values(holder)
}
