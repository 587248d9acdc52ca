// @ts-check
/**
 * Chunk sizes: what the planner chooses against sizes picked by hand, in pawl and in plain Piscina.
 *
 * Run it:  npm run build && node bench/chunk-size.bench.mjs [µs per item …]
 *
 * In the first table each run starts its own pool and ends it, so threads coming up and going down count, for all alike.
 * `auto` starts cold, as in a program's first run; `again` knows what earlier runs of the same task measured. A size that
 * needs more than DROP_FROM times the best of the first round is not run again, and of the shortest items in the smallest
 * chunks only MOST_CHUNKS are run. `least` is the quotient of the least times: what to look at when others use the
 * machine too. The second table is what pawl adds to an item on warm pools, with items that take no time.
 *
 * Settles TARGET_CHUNK_MS and MIN_CHUNK_MS in src/plan/plan.ts, and MIN_STEAL_MS in src/engine/bench.ts.
 */
import assert from 'node:assert/strict'
import { availableParallelism } from 'node:os'
import { createExecutor, execute } from 'pawl'
import { Piscina } from 'piscina'
import { printTable, saveResults } from './results.mjs'
import { interleave, median, ratio } from './rounds.mjs'
import { watchOthers } from './work.mjs'

const ROUNDS = 5
const DROP_FROM = 1.3
const SERIAL_MS = 1000
const SIZES = [1, 4, 16, 64, 256, 1024, 4096, 16384]
const WORKLOADS = [1, 10, 100, 1000, 10_000]
/** A million chunks of one item take Piscina half a minute and gigabytes; so many tell as much. */
const MOST_CHUNKS = 50_000
const CARRIED_ITEMS = 200_000
const GOAL_MICROS = 1

const workers = availableParallelism()
const pawlTask = new URL('./tasks/spin.mjs', import.meta.url)
const piscinaTask = new URL('./tasks/spin-chunk.mjs', import.meta.url).href
const readOthers = watchOthers()

/** @param {number} duration of an item in ms */
const openPiscina = (duration) =>
  new Piscina({ filename: piscinaTask, minThreads: workers, maxThreads: workers, workerData: duration })

/** @param {Piscina} pool @param {number[]} items @param {number | undefined} size undefined: each item by itself */
async function mapWithPiscina(pool, items, size) {
  /** @type {Promise<number | number[]>[]} */
  const runs = []
  if (size === undefined) for (const item of items) runs.push(pool.run(item))
  else for (let from = 0; from < items.length; from += size) runs.push(pool.run(items.slice(from, from + size)))
  check((await Promise.all(runs)).flat(), items)
}

/** @param {readonly number[]} results @param {readonly number[]} items */
function check(results, items) {
  assert.equal(results.length, items.length)
  assert.equal(results.at(-1), items.at(-1))
}

/**
 * Runs the first `limit` items and gives the time for all of them.
 *
 * @param {number[]} items @param {number} limit @param {(some: number[]) => Promise<void>} run
 */
async function extrapolate(items, limit, run) {
  const some = items.slice(0, limit)
  const began = performance.now()
  await run(some)
  return ((performance.now() - began) * items.length) / some.length
}

/** @param {number} micros per item */
async function measure(micros) {
  const duration = micros / 1000
  const items = Array.from({ length: SERIAL_MS / duration }, (_, i) => i)
  // A size that leaves a worker without any is the same as the first such one.
  const sizes = SIZES.filter((size, at) => size < items.length || (SIZES[at - 1] ?? 0) < items.length)
  let runs = 0
  let chosen = ''
  /** @param {number[]} some @param {import('pawl').ExecuteOptions<number>} options */
  const runPawl = async (some, options, name = 'default') => {
    const { results, plan } = await execute({ module: pawlTask, export: name }, some, { ...options, workers, shared: duration })
    check(results, some)
    if (name !== 'default') chosen = `${plan.mode}, ${plan.chunkSize}`
  }
  /** @param {number[]} some @param {number} [size] */
  const runPiscina = async (some, size) => {
    const pool = openPiscina(duration)
    await mapWithPiscina(pool, some, size)
    await pool.destroy()
  }
  /** @type {Record<string, import('./rounds.mjs').Contender>} */
  const contenders = {
    'pawl auto': () => runPawl(items, {}, `cold${runs++}`),
    'pawl again': () => runPawl(items, {}),
    'Piscina per item': () => extrapolate(items, MOST_CHUNKS, (some) => runPiscina(some)),
  }
  for (const size of sizes) {
    const limit = MOST_CHUNKS * size
    contenders[`pawl of ${size}`] = () => extrapolate(items, limit, (some) => runPawl(some, { chunkSize: size, mode: 'threads' }))
    contenders[`Piscina of ${size}`] = () => extrapolate(items, limit, (some) => runPiscina(some, size))
  }
  await runPawl(items.slice(0, 1000), { mode: 'threads' })
  await runPiscina(items.slice(0, 1000), 16)
  const samples = await interleave(contenders, {
    rounds: ROUNDS,
    drop: (name, time, best) => (name.includes(' of ') ? time > best * DROP_FROM : name === 'Piscina per item'),
  })
  return { microsPerItem: micros, items: items.length, autoChose: chosen, ...summarize(samples) }
}

/** @param {Record<string, number[]>} samples */
function summarize(samples) {
  const of = (/** @type {string} */ name) => samples[name] ?? []
  const bestOf = (/** @type {string} */ prefix) => {
    const whole = Object.keys(samples).filter((name) => name.startsWith(prefix) && of(name).length === ROUNDS)
    return whole.toSorted((a, b) => median(of(a)) - median(of(b)))[0] ?? ''
  }
  const compare = (/** @type {string} */ name, /** @type {string} */ best) => ({
    ratio: ratio(of(name), of(best)),
    least: Math.min(...of(name)) / Math.min(...of(best)),
  })
  const bestPawl = bestOf('pawl of ')
  const bestPiscina = bestOf('Piscina of ')
  return {
    best: bestPawl,
    bestPiscina,
    autoToBest: compare('pawl auto', bestPawl),
    againToBest: compare('pawl again', bestPawl),
    autoToPiscina: compare('pawl auto', bestPiscina),
    times: Object.fromEntries(
      Object.entries(samples).map(([name, times]) => [
        name,
        { median: median(times), least: Math.min(...times), rounds: times.length },
      ]),
    ),
  }
}

/** What it costs to carry an item there and its result back, at each chunk size, in µs. */
async function measureCarrying() {
  const items = Array.from({ length: CARRIED_ITEMS }, (_, i) => i)
  const pool = openPiscina(0)
  const executor = createExecutor({ workers, mode: 'threads' })
  const rows = []
  for (const size of SIZES) {
    const samples = await interleave(
      {
        pawl: async () => {
          const { results } = await executor.execute(pawlTask, items, { chunkSize: size, shared: 0 })
          check(results, items)
        },
        piscina: () => mapWithPiscina(pool, items, size),
      },
      { rounds: ROUNDS, warmup: true },
    )
    const [pawl = [], piscina = []] = [samples.pawl, samples.piscina]
    const perItem = (/** @type {number} */ time) => (time * 1000) / CARRIED_ITEMS
    rows.push({
      size,
      pawl: perItem(median(pawl)),
      piscina: perItem(median(piscina)),
      extra: perItem(median(pawl.map((time, round) => time - Number(piscina[round])))),
      extraLeast: perItem(Math.min(...pawl) - Math.min(...piscina)),
    })
  }
  await executor.close()
  await pool.destroy()
  return rows
}

/** @param {Awaited<ReturnType<typeof measure>>[]} workloads */
function printWorkloads(workloads) {
  const quotient = (/** @type {{ ratio: number, least: number }} */ it) => [it.ratio.toFixed(3), it.least.toFixed(3)]
  printTable(
    `chunk size: ${SERIAL_MS} ms of work on ${workers} workers, ms (median of ${ROUNDS} rounds)`,
    [
      '',
      'auto',
      'chose',
      'best by hand',
      '',
      'auto / it',
      'least',
      'goal',
      'again / it',
      'least',
      'best Piscina',
      '',
      'auto / it',
      'least',
      'per item',
    ],
    workloads.map((it) => {
      const time = (/** @type {string} */ name) => it.times[name]?.median.toFixed(0) ?? ''
      return [
        `${it.microsPerItem} µs`,
        time('pawl auto'),
        it.autoChose,
        it.best,
        time(it.best),
        ...quotient(it.autoToBest),
        it.microsPerItem === 1 ? '1.25' : '1.10',
        ...quotient(it.againToBest),
        it.bestPiscina,
        time(it.bestPiscina),
        ...quotient(it.autoToPiscina),
        time('Piscina per item'),
      ]
    }),
  )
}

const wanted = process.argv.slice(2).map(Number)
const workloads = []
for (const micros of wanted.length > 0 ? wanted : WORKLOADS) workloads.push(await measure(micros))
printWorkloads(workloads)
const carrying = await measureCarrying()
printTable(
  `carrying an item at equal chunk size on warm pools, µs (goal: pawl adds less than ${GOAL_MICROS})`,
  ['chunk size', 'pawl', 'Piscina', 'pawl adds', 'least'],
  carrying.map((it) => [it.size, it.pawl.toFixed(2), it.piscina.toFixed(2), it.extra.toFixed(2), it.extraLeast.toFixed(2)]),
)
if (wanted.length === 0) {
  await saveResults('chunk-size', { rounds: ROUNDS, others: readOthers(), workers, serialTime: SERIAL_MS, workloads, carrying })
}
