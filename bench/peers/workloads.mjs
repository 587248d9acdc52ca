// @ts-check
/**
 * The workloads: what the items are, how long one takes, which task runs on them, and what pawl is to reach.
 *
 * @typedef {object} Workload
 * @property {string} title
 * @property {string} task an export of tasks.mjs
 * @property {number} micros work per item, or its mean, in µs; what the task does besides comes on top
 * @property {number} count items
 * @property {(count: number) => any[]} createItems
 * @property {boolean} [generator] the items come from an async generator
 * @property {boolean} [again] the job is done twice on one pool, and the second time counts; raw workers start anew
 * @property {boolean} [fromImport] importing the contender counts, since pawl imports what a run uses when it uses it
 * @property {boolean} [whole] `--short` does not make it smaller
 * @property {readonly string[]} [besides] contenders of this workload alone
 * @property {string} [without] why only pawl, raw workers and serial run it
 * @property {number} [goal] wall time of raw static over that of pawl, at least
 * @property {readonly string[]} [excused] what cannot be asked of it: `memory`, `delay`
 *
 * @typedef {{ id: number, customer: { name: string, city: string, tags: string[] }, lines: { sku: string, count: number, price: number }[], note: string }} Order
 */
import { createRandom, shuffle } from './random.mjs'

const numbers = (/** @type {number} */ count) => Array.from({ length: count }, (_, index) => index)

/**
 * Costs with a heavy tail, lightest first, mean 1: quantiles of a Pareto distribution with exponent 0.95, none above 300
 * times the least. The heavier half has nine tenths of the work. They depend on `count` alone.
 *
 * @param {number} count
 */
function createParetoCosts(count) {
  const costs = Array.from({ length: count }, (_, i) => Math.min(300, (1 - (i + 0.5) / count) ** (-1 / 0.95)))
  const mean = costs.reduce((sum, cost) => sum + cost, 0) / count
  return costs.map((cost) => cost / mean)
}

/** Orders of about 1 KB as JSON, no two alike; structured clone takes 2.4 µs to write and read one. @param {number} count @returns {Order[]} */
function createOrders(count) {
  const random = createRandom(1)
  return Array.from({ length: count }, (_, id) => ({
    id,
    customer: {
      name: `customer ${Math.floor(random() * 1e6)}`,
      city: `city ${id % 97}`,
      tags: ['new', 'web', `segment ${id % 7}`],
    },
    lines: Array.from({ length: 3 }, (_, at) => ({
      sku: `sku-${Math.floor(random() * 1e5)}`,
      count: 1 + (at % 5),
      price: Math.floor(random() * 1e4) / 100,
    })),
    note: 'leave at the door '.repeat(40) + id,
  }))
}

/** @param {number} count */
function createBuffers(count) {
  return Array.from({ length: count }, (_, index) => new Uint8Array(100_000).fill(index % 251))
}

/** @type {Record<string, Workload>} */
export const workloads = {
  'uniform-1us': { title: '1 µs uniform', task: 'spin', micros: 1, count: 2_000_000, createItems: numbers, goal: 1.1 },
  'uniform-10us': { title: '10 µs uniform', task: 'spin', micros: 10, count: 200_000, createItems: numbers, goal: 0.97 },
  'uniform-100us': { title: '100 µs uniform', task: 'spin', micros: 100, count: 20_000, createItems: numbers, goal: 0.98 },
  'uniform-1ms': { title: '1 ms uniform', task: 'spin', micros: 1000, count: 2000, createItems: numbers, goal: 0.99 },
  'uniform-10ms': { title: '10 ms uniform', task: 'spin', micros: 10_000, count: 200, createItems: numbers, goal: 0.99 },
  'pareto-100us-shuffled': {
    title: '100 µs Pareto, shuffled',
    task: 'spinBy',
    micros: 100,
    count: 20_000,
    createItems: (count) => shuffle(createParetoCosts(count), createRandom(2)),
    goal: 1.02,
  },
  'pareto-100us-heavy-last': {
    title: '100 µs Pareto, heavy last',
    task: 'spinBy',
    micros: 100,
    count: 20_000,
    createItems: createParetoCosts,
    goal: 1.76,
  },
  'pareto-5ms-heavy-last': {
    title: '5 ms Pareto, heavy last',
    task: 'spinBy',
    micros: 5000,
    count: 400,
    createItems: createParetoCosts,
    goal: 1.7,
  },
  objects: {
    title: '20 µs on 1 KB objects in and out',
    task: 'price',
    micros: 20,
    count: 100_000,
    createItems: createOrders,
    goal: 1.35,
  },
  buffers: {
    title: '100 KB buffers in and out, 1 ms',
    task: 'mask',
    micros: 900,
    count: 2000,
    createItems: createBuffers,
    goal: 1.1,
  },
  trivial: {
    title: 'a million numbers, trivial function',
    task: 'double',
    micros: 0,
    count: 1_000_000,
    createItems: numbers,
    whole: true,
    goal: 3,
  },
  'small-cold': {
    title: '5 ms of work in all, cold',
    task: 'spin',
    micros: 100,
    count: 50,
    createItems: numbers,
    whole: true,
    goal: 1,
  },
  'small-again': {
    title: 'the same, second time on one pool',
    task: 'spin',
    micros: 100,
    count: 50,
    createItems: numbers,
    whole: true,
    again: true,
    goal: 3,
  },
  generator: {
    title: '100 µs from an async generator',
    task: 'spin',
    micros: 100,
    count: 20_000,
    createItems: numbers,
    generator: true,
  },
  checkpoint: {
    title: '2 µs, a million records, saved or not',
    task: 'record',
    micros: 2,
    count: 1_000_000,
    createItems: numbers,
    besides: ['pawl-msgpack', 'pawl-json'],
    without: 'the peers save nothing; serial, raw workers and pawl without a checkpoint stand for comparison',
  },
  'start-up': {
    title: 'start-up: two items, import included',
    task: 'double',
    micros: 0,
    count: 2,
    createItems: numbers,
    whole: true,
    fromImport: true,
    excused: ['memory'],
  },
}
