// @ts-check
import { createRecord } from '../records.mjs'
import { work } from '../work.mjs'

/**
 * Does `context.shared` rounds of work, if any, and gives back a record.
 *
 * @param {number} item
 * @param {{ shared: number | undefined }} context
 */
export default function record(item, { shared: rounds = 0 }) {
  work(rounds)
  return createRecord(item)
}
