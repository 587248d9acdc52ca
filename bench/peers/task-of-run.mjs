// @ts-check
import * as tasks from './tasks.mjs'

const task = /** @type {Record<string, Function>} */ (tasks)[process.env.PEERS_TASK ?? '']

/**
 * What a user of a pool without chunks writes: the task for one item, or for a list of them. PEERS_LIST says which.
 *
 * @param {any} input
 */
export default function runTask(input) {
  return process.env.PEERS_LIST ? input.map((/** @type {unknown} */ item) => task?.(item)) : task?.(input)
}
