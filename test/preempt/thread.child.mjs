import { parentPort } from 'node:worker_threads'
import { execute } from 'pawl'

/** A program in a worker thread that wants to hear signals: posts the warnings of each way to say so. */
const warnings = /** @type {object[]} */ ([])
const on = { warning: (/** @type {object} */ warning) => void warnings.push(warning) }
for (const preempt of [{ signals: true }, { signals: false }]) {
  await execute((/** @type {number} */ n) => n, [1], { mode: 'inline', preempt, on })
}
parentPort?.postMessage(warnings)
