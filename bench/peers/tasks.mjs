// @ts-check
/**
 * The tasks of the workloads, the same functions for every contender. How much they do comes from the environment, which
 * every kind of worker inherits: PEERS_ROUNDS, rounds of `work` per item, calibrated once by run.mjs.
 */
import { createRecord } from '../records.mjs'
import { work } from '../work.mjs'

const rounds = Number(process.env.PEERS_ROUNDS)

/** @param {number} item */
export function spin(item) {
  return work(rounds) ^ item
}

/**
 * `| 0`: without it the number of rounds is a floating-point number where V8 inlines `work`, and each round takes four
 * times as long; whether it inlines depends on the contender's loop, which is not what is measured.
 *
 * @param {number} item share of the mean work, from 0
 */
export function spinBy(item) {
  return work(Math.round(item * rounds) | 0)
}

/** @param {number} item */
export function double(item) {
  return item * 2
}

/** @param {import('./workloads.mjs').Order} order */
export function price(order) {
  const seen = work(rounds) & 0xff
  const total = order.lines.reduce((sum, line) => sum + line.count * line.price, 0)
  return { ...order, lines: order.lines.map((line) => ({ ...line, sum: line.count * line.price })), total, seen }
}

/** @param {Uint8Array} bytes */
export function mask(bytes) {
  const key = work(rounds) & 0xff
  const masked = new Uint8Array(bytes.length)
  for (let i = 0; i < bytes.length; i++) masked[i] = /** @type {number} */ (bytes[i]) ^ key
  return masked
}

/** @param {number} item */
export function record(item) {
  work(rounds)
  return createRecord(item)
}
