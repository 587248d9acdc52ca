// @ts-check
/** What the samples of one workload come to, for the tables that run.mjs prints and those of the documentation. */
import { median } from '../rounds.mjs'
import { isPeer } from './contenders.mjs'

/**
 * @typedef {object} Measured samples round by round; times in ms, memory in bytes
 * @property {number} items how many it was given; fewer than all when a part was run and the wall time multiplied
 * @property {number[]} walls
 * @property {number[]} memory
 * @property {number[]} delays
 * @property {number[]} loads
 * @property {number[]} busy CPU time of the main thread
 * @property {number[]} cpus CPU time of all threads
 *
 * @typedef {object} Entry
 * @property {string} title
 * @property {string} date
 * @property {ReturnType<import('../results.mjs').describeMachine>} machine
 * @property {boolean} short
 * @property {number} rounds
 * @property {number} items
 * @property {number} workers
 * @property {number} others share of all cores that other processes took, median over all samples
 * @property {number | undefined} goal
 * @property {readonly string[]} excused
 * @property {string | undefined} without
 * @property {Record<string, Measured>} contenders
 * @property {Record<string, string>} failed why a contender has no samples
 */

/** pawl is to be this close to the best contender of every row, and its event loop to be this free, in ms. */
export const CLOSE = 0.97
export const MOST_DELAY_MS = 5

/** Median of the quotients of the rounds that both took part in. @param {readonly number[]} base @param {readonly number[]} own */
export function compare(base, own) {
  const quotients = own.map((wall, round) => (base[round] ?? Number.NaN) / wall).filter(Number.isFinite)
  return quotients.length > 0 ? median(quotients) : Number.NaN
}

/** @param {readonly number[]} samples NaN for rounds it took no part in */
function middle(samples) {
  return median(samples.filter(Number.isFinite))
}

/**
 * The rounds of several runs of a workload as one entry: the first says what it is about. Contenders that were not in a
 * later run keep the rounds they have.
 *
 * @param {readonly Entry[]} entries at least one
 * @returns {Entry}
 */
export function pool(entries) {
  const [first] = /** @type {[Entry]} */ (/** @type {unknown} */ (entries))
  /** @param {string} name @param {'walls' | 'memory' | 'delays' | 'loads' | 'busy' | 'cpus'} field */
  const join = (name, field) =>
    entries.flatMap((it) => it.contenders[name]?.[field] ?? Array.from({ length: it.rounds }, () => Number.NaN))
  const contenders = Object.entries(first.contenders).map(([name, { items }]) => {
    const [walls, memory, delays] = [join(name, 'walls'), join(name, 'memory'), join(name, 'delays')]
    const [loads, busy, cpus] = [join(name, 'loads'), join(name, 'busy'), join(name, 'cpus')]
    return [name, { items, walls, memory, delays, loads, busy, cpus }]
  })
  return { ...first, rounds: entries.reduce((sum, it) => sum + it.rounds, 0), contenders: Object.fromEntries(contenders) }
}

/** Medians of one contender; `ratio` is the wall time of raw static over its own, higher is better. @param {Entry} entry @param {string} name */
export function summarize(entry, name) {
  const own = entry.contenders[name]
  if (!own) return undefined
  const serial = entry.contenders.serial?.walls ?? []
  const wall = middle(own.walls)
  return {
    wall,
    ratio: compare(entry.contenders['raw-static']?.walls ?? [], own.walls),
    efficiency: compare(serial, own.walls) / (name === 'serial' ? 1 : entry.workers),
    memory: middle(own.memory),
    delay: middle(own.delays),
    load: middle(own.loads),
    busy: middle(own.busy),
    cpu: middle(own.cpus),
    share: own.items / entry.items,
  }
}

/** How pawl stands against its goals; undefined without pawl. @param {Entry} entry */
export function judge(entry) {
  const pawl = summarize(entry, 'pawl')
  if (!pawl) return undefined
  const others = Object.keys(entry.contenders).filter((name) => !name.startsWith('pawl') && name !== 'serial')
  const ratios = others.map((name) => ({ name, ratio: summarize(entry, name)?.ratio ?? 0 }))
  const best = ratios.reduce((a, b) => (b.ratio > a.ratio ? b : a))
  const memory = pawl.memory / (summarize(entry, 'raw-static')?.memory ?? Number.NaN)
  return {
    ...pawl,
    best,
    goal: entry.goal,
    goalRatio: entry.goal === undefined ? undefined : pawl.ratio / entry.goal,
    toBest: pawl.ratio / best.ratio,
    toStaticMemory: memory,
    isFast: entry.goal === undefined ? pawl.ratio / best.ratio >= CLOSE : pawl.ratio >= entry.goal,
    isSmall: memory <= 1 || entry.excused.includes('memory'),
    isFree: pawl.delay < MOST_DELAY_MS || entry.excused.includes('delay'),
  }
}

/** Best of the peers other than Piscina. @param {Entry} entry */
export function bestOther(entry) {
  const names = Object.keys(entry.contenders).filter((name) => isPeer(name) && !name.startsWith('piscina'))
  const found = names.map((name) => ({ name, ratio: summarize(entry, name)?.ratio ?? 0 }))
  return found.toSorted((a, b) => b.ratio - a.ratio)[0]
}
