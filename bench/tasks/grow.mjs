// @ts-check
import { createRecord } from '../records.mjs'
import { work } from '../work.mjs'

/**
 * What a task of one-run.mjs is given: rounds of work, the size of a binary result, and where the first item notes when it
 * began, in milliseconds since 1970.
 *
 * @typedef {{ rounds: number, bytes: number, began: BigInt64Array }} Load
 */

/** @param {number} item @param {{ shared: Load }} context */
export function number(item, { shared: { rounds, began } }) {
  Atomics.compareExchange(began, 0, 0n, BigInt(Date.now()))
  return work(rounds) ^ item
}

/** @param {number} item @param {{ shared: Load }} context */
export function record(item, { shared: { rounds } }) {
  work(rounds)
  return createRecord(item)
}

/** @param {number} item @param {{ shared: Load }} context */
export function binary(item, { shared: { bytes } }) {
  return new Uint8Array(bytes).fill(item % 251)
}
