// @ts-check
/**
 * Chunk sizes: what the planner chooses against sizes picked by hand, in pawl and in plain Piscina.
 *
 * Run it:  npm run build && node bench/chunk-size.bench.mjs [µs per item …]
 *
 * Each run starts its own pool and ends it, so threads coming up and going down count, for all alike. `auto` starts
 * cold, as in a program's first run; `auto, again` knows what earlier runs of the same task measured. A contender that
 * needs more than DROP_FROM times the best of the first round is not run again. Settles TARGET_CHUNK_MS, MIN_CHUNK_MS
 * and MAX_AUTO_ITEMS in src/plan.ts.
 */
import assert from 'node:assert/strict'
import { availableParallelism } from 'node:os'
import { execute } from 'pawl'
import { Piscina } from 'piscina'
import { printTable, saveResults } from './results.mjs'
import { interleave, median, ratio } from './rounds.mjs'

const ROUNDS = 5
const DROP_FROM = 1.5
const SERIAL_MS = 1000
const SIZES = [1, 4, 16, 64, 256, 1024, 4096, 16384]
const WORKLOADS = [1, 10, 100, 1000, 10_000]
/** Without chunks, a million items take Piscina half a minute and gigabytes; so many tell as much. */
const PER_ITEM_LIMIT = 100_000

const workers = availableParallelism()
const pawlTask = new URL('./tasks/spin.mjs', import.meta.url)
const piscinaTask = new URL('./tasks/spin-chunk.mjs', import.meta.url).href

/** @param {number[]} items @param {number} duration @param {import('pawl').ExecuteOptions<number>} options @param {string} name */
async function runPawl(items, duration, options, name = 'default') {
  const { results, plan } = await execute({ module: pawlTask, export: name }, items, { ...options, workers, shared: duration })
  assert.equal(results.length, items.length)
  assert.equal(results.at(-1), items.at(-1))
  return plan
}

/** @param {number[]} items @param {number} duration @param {number | undefined} size undefined: each item by itself */
async function runPiscina(items, duration, size) {
  const pool = new Piscina({ filename: piscinaTask, minThreads: workers, maxThreads: workers, workerData: duration })
  /** @type {Promise<number | number[]>[]} */
  const runs = []
  if (size === undefined) for (const item of items) runs.push(pool.run(item))
  else for (let from = 0; from < items.length; from += size) runs.push(pool.run(items.slice(from, from + size)))
  const results = (await Promise.all(runs)).flat()
  await pool.destroy()
  assert.equal(results.length, items.length)
}

/** @param {number} micros */
async function measure(micros) {
  const duration = micros / 1000
  const items = Array.from({ length: SERIAL_MS / duration }, (_, i) => i)
  const few = items.slice(0, PER_ITEM_LIMIT)
  // A size that leaves a worker without any is the same as the first such one.
  const sizes = SIZES.filter((size, at) => size < items.length || (SIZES[at - 1] ?? 0) < items.length)
  let runs = 0
  let chosen = ''
  /** @type {Record<string, import('./rounds.mjs').Contender>} */
  const contenders = {
    'pawl auto': async () => {
      const plan = await runPawl(items, duration, {}, `cold${runs++}`)
      chosen = `${plan.mode}, ${plan.chunkSize}`
    },
    'pawl auto, again': async () => void (await runPawl(items, duration, {}, 'default')),
    'Piscina per item': async () => {
      const began = performance.now()
      await runPiscina(few, duration, undefined)
      return ((performance.now() - began) * items.length) / few.length
    },
  }
  for (const size of sizes) {
    contenders[`pawl ${size}`] = async () => void (await runPawl(items, duration, { chunkSize: size, mode: 'threads' }))
    contenders[`Piscina ${size}`] = async () => runPiscina(items, duration, size)
  }
  await runPawl(items.slice(0, 1000), duration, { mode: 'threads' })
  await runPiscina(items.slice(0, 1000), duration, 16)
  const samples = await interleave(contenders, {
    rounds: ROUNDS,
    drop: (name, sample, best) => !name.startsWith('pawl auto') && sample > best * DROP_FROM,
  })
  return summarize(micros, items.length, samples, sizes, chosen)
}

/** @param {number} micros @param {number} count @param {Record<string, number[]>} samples @param {number[]} sizes @param {string} chosen */
function summarize(micros, count, samples, sizes, chosen) {
  const of = (/** @type {string} */ name) => /** @type {number[]} */ (samples[name])
  const candidates = sizes.flatMap((size) => [`pawl ${size}`, `Piscina ${size}`])
  const complete = candidates.filter((name) => of(name).length === ROUNDS)
  const bestOf = (/** @type {string} */ prefix) =>
    complete.filter((it) => it.startsWith(prefix)).reduce((a, b) => (a && median(of(a)) <= median(of(b)) ? a : b), '')
  const best = bestOf('pawl')
  const bestPiscina = bestOf('Piscina')
  const extra = (/** @type {number} */ size) => {
    const [ours, theirs] = [of(`pawl ${size}`), of(`Piscina ${size}`)]
    return {
      size,
      pawl: median(ours),
      piscina: median(theirs),
      rounds: Math.min(ours.length, theirs.length),
      extraMicros: ((median(ours) - median(theirs)) * 1000) / count,
    }
  }
  return {
    microsPerItem: micros,
    items: count,
    auto: median(of('pawl auto')),
    autoChose: chosen,
    autoAgain: median(of('pawl auto, again')),
    best,
    bestTime: median(of(best)),
    bestPiscina,
    bestPiscinaTime: bestPiscina && median(of(bestPiscina)),
    autoToBest: ratio(of('pawl auto'), of(best)),
    autoAgainToBest: ratio(of('pawl auto, again'), of(best)),
    autoToBestPiscina: bestPiscina && ratio(of('pawl auto'), of(bestPiscina)),
    piscinaPerItem: median(of('Piscina per item')),
    sizes: sizes.map(extra),
  }
}

const wanted = process.argv.slice(2).map(Number)
const results = []
for (const micros of wanted.length > 0 ? wanted : WORKLOADS) results.push(await measure(micros))

const ms = (/** @type {number} */ time) => time.toFixed(0)
printTable(
  `chunk size: ${SERIAL_MS} ms of work on ${workers} workers, ms (median of ${ROUNDS} rounds)`,
  [
    'per item',
    'auto',
    'again',
    'best by hand',
    '',
    'auto / best',
    'again / best',
    'goal',
    'best Piscina',
    '',
    'auto / it',
    'per item',
    'auto chose',
  ],
  results.map((it) => [
    `${it.microsPerItem} µs`,
    ms(it.auto),
    ms(it.autoAgain),
    ms(it.bestTime),
    it.best,
    it.autoToBest.toFixed(3),
    it.autoAgainToBest.toFixed(3),
    it.microsPerItem === 1 ? '1.25' : '1.10',
    it.bestPiscina && ms(Number(it.bestPiscinaTime)),
    it.bestPiscina,
    it.bestPiscina && Number(it.autoToBestPiscina).toFixed(3),
    ms(it.piscinaPerItem),
    it.autoChose,
  ]),
)
printTable(
  'pawl less hand-chunked Piscina at equal chunk size, µs per item (goal: under 1; * measured once)',
  ['per item', ...SIZES.map(String)],
  results.map((it) => [
    `${it.microsPerItem} µs`,
    ...SIZES.map((size) => {
      const found = it.sizes.find((row) => row.size === size)
      return found ? `${found.extraMicros.toFixed(2)}${found.rounds < ROUNDS ? '*' : ''}` : ''
    }),
  ]),
)
if (wanted.length === 0) await saveResults('chunk-size', { workers, rounds: ROUNDS, serialTime: SERIAL_MS, workloads: results })
