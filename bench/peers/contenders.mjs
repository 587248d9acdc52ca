// @ts-check
/** Every contender, in the order of the table: what it is called, and how much of a workload it runs. */

/**
 * Most items that are handed to a pool one by one. Two million take half a minute and gigabytes; so many tell as much.
 * The time is multiplied by the share left out, and memory and delay are those of the part.
 */
const MOST_BY_ITEM = 50_000

/** @type {Record<string, string>} */
export const titles = {
  serial: 'serial',
  'raw-static': 'raw workers, static split',
  'raw-dynamic': 'raw workers, dynamic',
  'piscina-item': 'Piscina per item',
  'piscina-64': 'Piscina, chunks of 64',
  'piscina-n4w': 'Piscina, N/4W',
  'tinypool-item': 'Tinypool per item',
  'tinypool-64': 'Tinypool, chunks of 64',
  'tinypool-n4w': 'Tinypool, N/4W',
  'workerpool-item': 'workerpool per item',
  'workerpool-64': 'workerpool, chunks of 64',
  'workerpool-n4w': 'workerpool, N/4W',
  'poolifier-fixed': 'poolifier fixed, chunks of 64',
  'poolifier-dynamic': 'poolifier dynamic, chunks of 64',
  pawl: 'pawl with defaults',
  'pawl-msgpack': 'pawl, saved as msgpack',
  'pawl-json': 'pawl, saved as JSON',
}

/** Contenders that need a package of this folder. @param {string} name */
export const isPeer = (name) => !/^(serial|raw|pawl)/.test(name)

/** @param {import('./workloads.mjs').Workload} workload */
export function listContenders({ besides = [], without }) {
  const all = Object.keys(titles).filter((name) => !/^pawl-/.test(name) || besides.includes(name))
  return without ? all.filter((name) => !isPeer(name)) : all
}

/** How many of `count` items the contender is given. @param {string} name @param {number} count */
export function partOf(name, count) {
  return name.endsWith('-item') ? Math.min(count, MOST_BY_ITEM) : count
}
