import { deepStrictEqual } from 'node:assert/strict'

/**
 * Raises AssertionError unless `actual` is deepStrictEqual to `expected` and has the same objects in the same places.
 * Sets invalid dates in both to 1970, because to Node 20 no invalid date is equal to another.
 */
export function assertSame(actual: unknown, expected: unknown): void {
  deepStrictEqual(identities(actual), identities(expected))
  deepStrictEqual(actual, expected)
}

/** The objects met on a walk through `value`, as numbers in the order of their first meeting; -1 before an invalid date. */
export function identities(value: unknown): number[] {
  const numbers = new Map<object, number>()
  const met: number[] = []
  const open = [value]
  while (open.length > 0) {
    const part = open.pop()
    if (typeof part !== 'object' || part === null) continue
    const known = numbers.get(part)
    if (part instanceof Date && Number.isNaN(part.getTime())) {
      part.setTime(0)
      met.push(-1)
    }
    met.push(known ?? numbers.size)
    if (known !== undefined) continue
    numbers.set(part, numbers.size)
    if (ArrayBuffer.isView(part)) open.push(part.buffer)
    else if (part instanceof Map) open.push(...[...part].flat())
    else if (part instanceof Set) open.push(...part)
    else open.push(...Object.values(part))
    if (part instanceof Error) open.push(part.cause)
  }
  return met
}
