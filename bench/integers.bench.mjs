// @ts-check
/**
 * Integers: what a task takes for items that are integers, as they travel from an array (as 32-bit integers), and as they
 * would as doubles, which those of a given Float64Array are.
 *
 * Run it:  npm run build && node bench/integers.bench.mjs
 *
 * Settles in src/items/numbers.ts that integers are not packed as doubles. What counts is the time in the task: on its way a
 * number costs the same either way.
 */
import { isDeepStrictEqual } from 'node:util'
import { execute } from 'pawl'
import { printTable, saveResults } from './results.mjs'
import { interleave, median, ratio } from './rounds.mjs'

const ROUNDS = 5

/** @type {Record<string, number[]>} */
const workloads = {
  isPrime: Array.from({ length: 20_000 }, (_, at) => 1_000_000_007 - 2 * at),
  collatz: Array.from({ length: 100_000 }, (_, at) => at + 1),
  sumTo: Array.from({ length: 4000 }, (_, at) => 200_000 + at),
}

const rows = []
for (const [name, integers] of Object.entries(workloads)) {
  const task = { module: new URL('./tasks/integers.mjs', import.meta.url), export: name }
  /** @type {unknown[]} */
  let expected = []
  /** @param {ArrayLike<number> & Iterable<number>} items */
  const run = (items) => async () => {
    const { results, stats } = await execute(task, items, { mode: 'threads' })
    if (expected.length > 0 && !isDeepStrictEqual(results, expected)) throw new Error(`${name} gave other results`)
    expected = results
    return stats.taskTime
  }
  const samples = await interleave(
    { integers: run(integers), doubles: run(Float64Array.from(integers)) },
    { rounds: ROUNDS, warmup: true },
  )
  const [asIntegers = [], asDoubles = []] = [samples.integers, samples.doubles]
  rows.push({ name, integers: median(asIntegers), doubles: median(asDoubles), ratio: ratio(asDoubles, asIntegers) })
}
printTable(
  'time in the task, ms',
  ['', 'integers', 'doubles', 'doubles / integers'],
  rows.map((it) => [it.name, it.integers.toFixed(0), it.doubles.toFixed(0), it.ratio.toFixed(2)]),
)
await saveResults('integers', { rounds: ROUNDS, rows })
