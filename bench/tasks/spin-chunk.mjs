// @ts-check
import { workerData } from 'node:worker_threads'
import spin from './spin.mjs'

const context = { shared: /** @type {number} */ (workerData) }

/** What a user of plain Piscina writes: the same work for one item or for a chunk of them. @param {number | number[]} chunk */
export default function spinChunk(chunk) {
  return typeof chunk === 'number' ? spin(chunk, context) : chunk.map((item) => spin(item, context))
}
