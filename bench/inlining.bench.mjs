// @ts-check
/**
 * Inlining: what a task takes in our loop, and mapped by hand in a worker that does nothing else. V8 may make of a task that
 * computes with fractions something slower as a part of a loop than by itself; that it does not is what `callTask` in
 * src/engine/worker.ts is for. With the task called where it stands the ratio was 1.07.
 *
 * Run it:  npm run build && node bench/inlining.bench.mjs
 *
 * Both have one thread of their own, fresh in each round, since what V8 has compiled once it does not compile again.
 */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { execute } from 'pawl'
import { printTable, saveResults } from './results.mjs'
import { median } from './rounds.mjs'
import { watchOthers } from './work.mjs'

const ITEMS = 4000
const CHUNK = 100
const ROUNDS = 9

const items = Array.from({ length: ITEMS }, (_, index) => index)
const readOthers = watchOthers()

/** Time an item takes in a run, in ms. */
async function measureRun() {
  const task = new URL('./tasks/fractions.mjs', import.meta.url)
  const { stats } = await execute(task, items, { workers: 1, mode: 'threads' })
  return stats.taskTime / ITEMS
}

/** Time an item takes where chunks are mapped by hand, in ms. */
async function measureAlone() {
  const worker = new Worker(new URL('./tasks/map-alone.mjs', import.meta.url))
  worker.postMessage(Array.from({ length: ITEMS / CHUNK }, (_, at) => items.slice(at * CHUNK, (at + 1) * CHUNK)))
  const [took] = await once(worker, 'message')
  await worker.terminate()
  return took / ITEMS
}

const run = []
const alone = []
for (let round = 0; round < ROUNDS; round++) {
  run.push(await measureRun())
  alone.push(await measureAlone())
}
const ratio = median(run) / median(alone)

printTable(
  `one item, µs (${ROUNDS} rounds)`,
  ['', 'median', 'least'],
  [
    ['in a run', (median(run) * 1000).toFixed(1), (Math.min(...run) * 1000).toFixed(1)],
    ['mapped by hand', (median(alone) * 1000).toFixed(1), (Math.min(...alone) * 1000).toFixed(1)],
  ],
)
console.log(`in a run an item takes ${ratio.toFixed(2)} times as long`)
await saveResults('inlining', { rounds: ROUNDS, items: ITEMS, others: readOthers(), run, alone, ratio })
