// @ts-check
/**
 * A record with four fields, as a task may return: an integer, a string, a fraction, a boolean. Depends on `index` alone.
 *
 * @param {number} index
 */
export function createRecord(index) {
  return {
    id: index,
    name: `item ${(index * 2654435761) % 1_000_003}`,
    score: ((index * 7919) % 10_007) / 10_007,
    ok: index % 3 !== 0,
  }
}

/** @param {number} count */
export function createRecords(count) {
  return Array.from({ length: count }, (_, index) => createRecord(index))
}
