import { defineTask, NonRetryableError } from 'pawl'

/** @typedef {{ id: string, pieces: number, each: number, flakyFor?: number }} Order */

/** The price of an order. Some fail at first, as a task does that reads from a busy disk; a broken one never succeeds. */
export const priceOrder = defineTask(import.meta.url, (/** @type {Order} */ { pieces, each, flakyFor = 0 }, { attempt }) => {
  if (pieces < 0) throw new NonRetryableError(`expected a number of pieces, got ${pieces}`)
  if (attempt <= flakyFor) throw new Error('the price list is busy')
  return pieces * each
})
