/** A column of numbers in one block of memory, which is copied, or shared among threads, as such. */
export type Numbers = Int32Array | Float64Array

/**
 * The values in one block, as integers when all of them are integers of 32 bits, else as doubles; undefined when one is no
 * number. What a task reads of doubles is a double to V8, which then compiles the task's own sums, remainders and loops
 * for doubles: loops of integers take 1.4 to 4.9 times as long (bench/integers.bench.mjs).
 */
export function packNumbers(
  values: ArrayLike<unknown>,
  Memory: ArrayBufferConstructor | SharedArrayBufferConstructor,
): Numbers | undefined {
  const { length } = values
  if (length > 0 && typeof values[0] !== 'number') return undefined
  const integers = new Int32Array(new Memory(length * Int32Array.BYTES_PER_ELEMENT))
  for (let at = 0; at < length; at++) {
    const value = values[at]
    if (typeof value !== 'number') return undefined
    if (!Object.is(value | 0, value)) return packDoubles(values, integers.subarray(0, at), Memory) // Also for -0.
    integers[at] = value
  }
  return integers
}

/** The same for values that begin with `integers` and go on otherwise. */
function packDoubles(
  values: ArrayLike<unknown>,
  integers: Int32Array,
  Memory: ArrayBufferConstructor | SharedArrayBufferConstructor,
): Float64Array | undefined {
  const { length } = values
  const doubles = new Float64Array(new Memory(length * Float64Array.BYTES_PER_ELEMENT))
  doubles.set(integers)
  for (let at = integers.length; at < length; at++) {
    const value = values[at]
    if (typeof value !== 'number') return undefined
    doubles[at] = value
  }
  return doubles
}

/** Whether a column is one of those above. */
export function areNumbers(column: unknown): column is Numbers {
  return column instanceof Int32Array || column instanceof Float64Array
}
