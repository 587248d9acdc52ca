// @ts-check
import { fileURLToPath } from 'node:url'
import workerpool from 'workerpool'
import { mapInPieces } from '../pieces.mjs'

/** @type {import('../contend.mjs').Open} */
export function open(variant, workers) {
  const script = fileURLToPath(new URL('../workers/workerpool.mjs', import.meta.url))
  const pool = workerpool.pool(script, { minWorkers: workers, maxWorkers: workers, workerType: 'thread' })
  return {
    map: (items) => mapInPieces((input) => pool.exec('run', [input]), variant, items, workers),
    close: async () => void (await pool.terminate()),
  }
}
