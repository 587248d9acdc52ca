// @ts-check
import { createRecord } from '../records.mjs'

/**
 * Keeps its thread busy for `context.shared` milliseconds, if any, and gives back a record.
 *
 * @param {number} item
 * @param {{ shared: number | undefined }} context
 */
export default function record(item, { shared: duration = 0 }) {
  const end = performance.now() + duration
  while (performance.now() < end);
  return createRecord(item)
}
