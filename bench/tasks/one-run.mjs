// @ts-check
/**
 * One run in a process of its own, started by oneRun() of ../one-run.mjs with a `Spec` as its argument. Prints a `Sample`.
 */
import { rm } from 'node:fs/promises'
import { execute, readResults, stream } from 'pawl'
import { threadTime } from '../work.mjs'

/**
 * @typedef {object} Spec
 * @property {'number' | 'record' | 'binary'} task an export of grow.mjs
 * @property {number} count items, the numbers from 0
 * @property {number} [rounds] of work per item, default 0
 * @property {number} [bytes] of a binary result, default 8
 * @property {import('pawl').ExecuteOptions<number>} [options]
 * @property {boolean} [isStreamed] the items come from a generator, and the outcomes go to a loop that keeps none
 * @property {number} [stopAfter] abort when so many outcomes are there
 * @property {boolean} [untilBegun] end the process when the first item began; `first` is all that counts then
 * @property {string} [remove] delete this directory afterwards
 * @property {{ store: string, runId: string }} [read] read this run's results instead, and run nothing
 *
 * @typedef {object} Sample times in ms, memory in bytes
 * @property {number} wall
 * @property {number} first from the start of the run to the start of the first item in a worker
 * @property {number} busy CPU time of the main thread
 * @property {number} cpu CPU time of all threads
 * @property {number} memory peak of the process
 * @property {string} runId
 * @property {number} items that have an outcome
 * @property {number} restored
 * @property {number} chunks
 * @property {number} checkpoints
 * @property {number} bytesWritten
 */

/** @param {Spec} spec */
async function run({ task, count, rounds = 0, bytes = 8, options = {}, stopAfter, untilBegun, read, isStreamed }) {
  const began = new BigInt64Array(new SharedArrayBuffer(8))
  const items = isStreamed ? generate(count) : Array.from({ length: count }, (_, index) => index)
  const cpu = process.cpuUsage()
  const busy = threadTime()
  const start = performance.now()
  const startDate = Date.now()
  const sample = () => {
    const { user, system } = process.cpuUsage(cpu)
    return {
      wall: performance.now() - start,
      first: Number(began[0]) - startDate,
      busy: threadTime() - busy,
      cpu: (user + system) / 1000,
      memory: process.resourceUsage().maxRSS * 1024,
    }
  }
  if (read) {
    let seen = 0
    for await (const outcome of readResults(read.store, read.runId)) if (outcome.status === 'fulfilled') seen++
    return { ...sample(), runId: read.runId, items: seen, restored: seen, chunks: 0, checkpoints: 0, bytesWritten: 0 }
  }
  if (untilBegun) {
    setInterval(() => {
      if (began[0] === 0n) return
      console.log(JSON.stringify(sample()))
      process.exit()
    }, 1)
  }
  const stop = new AbortController()
  let seen = 0
  const outcome = () => {
    if (++seen === stopAfter) stop.abort()
  }
  const source = { module: new URL('./grow.mjs', import.meta.url), export: task }
  const given = {
    ...options,
    shared: { rounds, bytes, began },
    signal: stop.signal,
    ...(stopAfter ? { on: { outcome } } : {}),
  }
  const running = isStreamed ? streamAll(source, items, given) : execute(source, items, given)
  const report = await running.catch((error) => {
    if (stopAfter && error.code === 'ERR_PAWL_ABORTED') return error.report
    throw error
  })
  const { items: known, restored, chunks, checkpoints, bytesWritten } = report.stats
  return { ...sample(), runId: report.runId, items: known, restored, chunks, checkpoints, bytesWritten }
}

/** @param {number} count */
function* generate(count) {
  for (let item = 0; item < count; item++) yield item
}

/** @param {import('pawl').TaskRef<number, unknown>} task @param {Iterable<number>} items @param {import('pawl').ExecuteOptions<number>} options */
async function streamAll(task, items, options) {
  const outcomes = stream(task, items, { ...options, collect: false })
  for await (const { status } of outcomes) if (status === 'rejected') throw new Error('expected no failures')
  return outcomes.report
}

/** @type {Spec} */
const spec = JSON.parse(process.argv[2] ?? '{}')
console.log(JSON.stringify(await run(spec)))
if (spec.remove) await rm(spec.remove, { recursive: true })
