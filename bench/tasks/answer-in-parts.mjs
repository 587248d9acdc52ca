// @ts-check
/** A worker of parts.bench.mjs: runs chunks of items that take no time with the `partMs` it is told, and says how long that took. */
import { parentPort } from 'node:worker_threads'
import { createRecorder, prepare, slotOf } from '../../build/engine/flight-recorder.js'
import { runItems } from '../../build/engine/run-items.js'
import { threadTime } from '../work.mjs'

const setup = {
  runId: 'bench',
  task: { kind: /** @type {const} */ ('inline'), source: '' },
  shared: undefined,
  seed: 0,
  record: undefined,
  jsonResults: false,
  timed: false,
}
const run = { setup, run: (/** @type {unknown} */ item) => item, codec: undefined, checkLines: undefined }

parentPort?.on('message', async (/** @type {{ count: number, partMs: number }} */ { count, partMs }) => {
  const slot = slotOf(createRecorder(1), 0)
  prepare(slot, count)
  const chunk = {
    id: 1,
    items: Float64Array.from({ length: count }, (_, i) => i),
    indices: Uint32Array.from({ length: count }, (_, i) => i),
    keys: undefined,
    attempts: undefined,
  }
  const began = threadTime()
  await runItems(chunk, run, slot, { post: (part, transfer) => parentPort?.postMessage(part, transfer), partMs, maxStride: 64 })
  parentPort?.postMessage({ time: threadTime() - began })
})
