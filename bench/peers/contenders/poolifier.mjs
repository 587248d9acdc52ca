// @ts-check
import { fileURLToPath } from 'node:url'
import { DynamicThreadPool, FixedThreadPool } from 'poolifier'
import { mapInPieces } from '../pieces.mjs'

/** @type {import('../contend.mjs').Open} */
export function open(variant, workers) {
  const script = fileURLToPath(new URL('../workers/poolifier.mjs', import.meta.url))
  const pool = variant === 'fixed' ? new FixedThreadPool(workers, script) : new DynamicThreadPool(1, workers, script)
  return {
    map: (items) => mapInPieces((input) => pool.execute(input), '64', items, workers),
    close: () => pool.destroy(),
  }
}
