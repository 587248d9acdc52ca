// @ts-check
import { collect } from '../pieces.mjs'
import * as tasks from '../tasks.mjs'

/** @type {import('../contend.mjs').Open} */
export function open() {
  const task = /** @type {Record<string, Function>} */ (tasks)[process.env.PEERS_TASK ?? '']
  return {
    map: async (items) => (await collect(items)).map((item) => task?.(item)),
    close: async () => {},
  }
}
