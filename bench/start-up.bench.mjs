// @ts-check
/**
 * Start-up: what importing pawl costs, how soon a first result is there, and what an idle worker weighs.
 *
 * Run it:  npm run build && node bench/start-up.bench.mjs
 *
 * Each sample is a fresh process. `first result` counts from the call, `all` from before the import until four items of
 * 1 ms are done and the pool is closed again. Settles SMALL_RUN_MS in src/plan/plan.ts, WORKER_BYTES in src/machine.ts, and how
 * much of msgpackr src/values/msgpack.ts loads.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { printTable, saveResults } from './results.mjs'
import { interleave, median } from './rounds.mjs'

const ROUNDS = 15
const MEMORY_ROUNDS = 5
/** Workers in the larger of the two processes whose memory is compared. */
const MANY = 9
/** `import 'pawl'` is not to take longer than `import 'piscina'`, and a first result not longer than this from the call. */
const IMPORT_GOAL_MS = 0
const FIRST_GOAL_MS = 60

const program = join(import.meta.dirname, 'tasks/start-up.mjs')
const run = promisify(execFile)

/** @param {string[]} args */
async function measure(...args) {
  const { stdout } = await run(process.execPath, [program, ...args])
  return Number(stdout)
}

const times = await interleave(
  {
    'import pawl': () => measure('import', 'pawl'),
    'import piscina': () => measure('import', 'piscina'),
    'import msgpackr': () => measure('import', 'msgpackr'),
    'import msgpackr/index-no-eval': () => measure('import', 'msgpackr/index-no-eval'),
    'pawl: first result': () => measure('pawl first result'),
    'piscina: first result': () => measure('piscina first result'),
    'pawl: all': () => measure('pawl all'),
    'piscina: all': () => measure('piscina all'),
  },
  { rounds: ROUNDS, warmup: true },
)
const weights = await interleave(
  { one: () => measure('memory', '1'), many: () => measure('memory', String(MANY)) },
  { rounds: MEMORY_ROUNDS },
)

const of = (/** @type {string} */ name) => /** @type {number[]} */ (times[name])
const medians = Object.fromEntries(Object.entries(times).map(([name, samples]) => [name, median(samples)]))
const importExtra = median(of('import pawl').map((time, round) => time - /** @type {number} */ (of('import piscina')[round])))
const bytesPerWorker = (median(weights.many ?? []) - median(weights.one ?? [])) / (MANY - 1)

printTable(
  `start-up, ms (${ROUNDS} fresh processes each)`,
  ['', 'median', 'least'],
  Object.entries(times).map(([name, samples]) => [name, median(samples).toFixed(1), Math.min(...samples).toFixed(1)]),
)
console.log(`import 'pawl' takes ${importExtra.toFixed(1)} ms more than import 'piscina' (goal: at most ${IMPORT_GOAL_MS} ms)`)
console.log(`the first result is there after ${medians['pawl: first result']?.toFixed(1)} ms (goal: under ${FIRST_GOAL_MS} ms)`)
console.log(`an idle worker weighs ${(bytesPerWorker / 2 ** 20).toFixed(1)} MiB`)
await saveResults('start-up', {
  rounds: ROUNDS,
  medians,
  least: Object.fromEntries(Object.entries(times).map(([name, it]) => [name, Math.min(...it)])),
  importExtra,
  importGoal: IMPORT_GOAL_MS,
  firstResultGoal: FIRST_GOAL_MS,
  bytesPerWorker,
})
