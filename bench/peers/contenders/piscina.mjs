// @ts-check
import { Piscina } from 'piscina'
import { mapInPieces } from '../pieces.mjs'

/** @type {import('../contend.mjs').Open} */
export function open(variant, workers) {
  const filename = new URL('../task-of-run.mjs', import.meta.url).href
  const pool = new Piscina({ filename, minThreads: workers, maxThreads: workers })
  return {
    map: (items) => mapInPieces((input) => pool.run(input), variant, items, workers),
    close: () => pool.destroy(),
  }
}
