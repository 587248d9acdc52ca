// @ts-check
/**
 * One contender at one workload, in a process of its own, started by run.mjs. Prints one line of JSON, see `Sample`.
 *
 * The wall time is that from opening the pool to having all results in hand; importing the contender is timed by itself
 * (the row of start-up includes it) and ending its threads is not. The delay is that of the event loop of the main thread as `monitorEventLoopDelay` sees
 * it with a timer of 1 ms: 99 of 100 firings of it came at most so long after the one before (an idle loop gives 1.1 ms;
 * a loop blocked throughout gives the whole run). Memory is the peak of the whole process, items and results included.
 *
 * @typedef {object} Sample times in ms, memory in bytes
 * @property {number} wall
 * @property {number} load importing the contender
 * @property {number} delay event-loop delay, 99th percentile
 * @property {number} longest event-loop delay, the longest
 * @property {number} memory
 * @property {number} busy CPU time the main thread used
 * @property {number} cpu CPU time all threads used; other processes disturb it less than the wall time
 * @property {number} others share of all cores that other processes took meanwhile
 * @property {string} digest of all results
 * @property {string} partDigest of the first `part` results
 *
 * @typedef {(variant: string, workers: number, workload: import('./workloads.mjs').Workload) =>
 *   { map(items: any[] | AsyncIterable<any>): Promise<ArrayLike<any>>, close(): Promise<unknown> }} Open opens a pool, or what stands for one
 */
import { createHash } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { threadTime, watchOthers } from '../work.mjs'
import { workloads } from './workloads.mjs'

/** Items a generator gives before it waits for the event loop, as one does that reads pages. */
const PAGE = 100

/** How long a pool may take to end its threads; poolifier waits for ever for one that has not come up yet. */
const PATIENCE_MS = 1000

/** @param {any[]} items */
async function* generate(items) {
  for (let i = 0; i < items.length; i++) {
    if (i % PAGE === 0) await setImmediate()
    yield items[i]
  }
}

/** @param {ArrayLike<any>} results @param {number} part */
function digest(results, part) {
  const hash = createHash('sha1')
  let partDigest = ''
  for (let i = 0; i < results.length; i++) {
    const result = results[i]
    hash.update(result instanceof Uint8Array ? result : `${typeof result === 'number' ? result : JSON.stringify(result)},`)
    if (i === part - 1) partDigest = hash.copy().digest('hex')
  }
  return { digest: hash.digest('hex'), partDigest }
}

/** Prints a sample. @param {string} name @param {string} contender @param {number} count items @param {number} part */
async function contend(name, contender, count, part) {
  const workload = workloads[name]
  if (!workload) throw new Error(`Cannot run '${name}': expected one of ${Object.keys(workloads).join(', ')}`)
  const [family = '', variant = ''] = contender.split('-')
  const began = performance.now()
  /** @type {{ open: Open }} */
  const { open } = await import(`./contenders/${family}.mjs`)
  const load = performance.now() - began
  const items = workload.createItems(count)
  const source = () => (workload.generator ? generate(items) : items)
  const delays = monitorEventLoopDelay({ resolution: 1 })
  delays.enable()
  await setTimeout(3) // It counts from its first firing, which must not wait for the first pause of the run.
  const readOthers = watchOthers()
  let busy = threadTime()
  let cpu = process.cpuUsage()
  let start = performance.now()
  const pool = open(variant, availableParallelism(), workload)
  let results = await pool.map(source())
  if (workload.again) {
    busy = threadTime()
    cpu = process.cpuUsage()
    start = performance.now()
    results = await pool.map(source())
  }
  const wall = performance.now() - start + (workload.fromImport ? load : 0)
  busy = threadTime() - busy
  cpu = process.cpuUsage(cpu)
  await setTimeout(2) // A loop that was blocked has not told yet.
  delays.disable()
  const delay = { delay: delays.percentile(99) / 1e6, longest: delays.max / 1e6 }
  const sample = { wall, load, ...delay, busy, cpu: (cpu.user + cpu.system) / 1000, others: readOthers() }
  const memory = process.resourceUsage().maxRSS * 1024
  console.log(JSON.stringify({ ...sample, memory, ...digest(results, part) }))
  await Promise.race([pool.close(), setTimeout(PATIENCE_MS)])
}

const [name = '', contender = '', count = '', part = ''] = process.argv.slice(2)
await contend(name, contender, Number(count), Number(part))
process.exit()
