// @ts-check
/**
 * Saving: what a checkpoint costs a run, how soon a resumed run is at work, and how fast results are read back.
 *
 * Run it:  npm run build && node bench/saving.bench.mjs [--short]     (six minutes; short: one, writes nothing)
 *
 * Every sample is a process of its own, with and without a checkpoint in turn, on disk with fsync and a flush each
 * second. `cost` is the median of the quotients of the same round, less one; the same of the CPU time of all threads is
 * what other processes disturb little. Records have four fields.
 */
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { oneRun } from './one-run.mjs'
import { printTable, saveResults } from './results.mjs'
import { interleave, median, ratio } from './rounds.mjs'
import { roundsPerMs } from './work.mjs'

const isShort = process.argv.includes('--short')
const ROUNDS = isShort ? 1 : 5
/** Items in so many µs each, and what a checkpoint of them may cost, as a share of the run. */
const COSTS = [
  { micros: 1000, count: isShort ? 2000 : 16_000, goal: 0.01 },
  { micros: 100, count: isShort ? 20_000 : 120_000, goal: 0.04 },
  { micros: 10, count: isShort ? 100_000 : 600_000, goal: 0.2 },
]
const FORMATS = /** @type {const} */ (['msgpack', 'json'])
const RESUMED = isShort ? 200_000 : 2_000_000
const FIRST_GOAL_MS = 400
const READ = isShort ? 100_000 : 1_000_000
const READ_GOAL = 1_000_000

const pace = roundsPerMs()
const directory = await mkdtemp(join(tmpdir(), 'pawl-bench-'))
const newStore = () => mkdtemp(join(directory, 'run-'))

/** @typedef {import('./tasks/one-run.mjs').Sample} Sample */

/** Runs each spec once a round and keeps all samples. @param {Record<string, () => Promise<Sample>>} runs @param {number} rounds */
async function measureAll(runs, rounds) {
  /** @type {Record<string, Sample[]>} */
  const samples = Object.fromEntries(Object.keys(runs).map((name) => [name, []]))
  const contenders = Object.entries(runs).map(([name, run]) => [
    name,
    async () => {
      const sample = await run()
      samples[name]?.push(sample)
      return sample.wall
    },
  ])
  await interleave(Object.fromEntries(contenders), { rounds })
  return samples
}

/** @param {typeof COSTS[number]} load */
async function measureCost({ micros, count, goal }) {
  const rounds = Math.round((pace * micros) / 1000)
  const spec = { task: /** @type {const} */ ('record'), count, rounds }
  const samples = await measureAll(
    {
      off: () => oneRun({ ...spec, options: { mode: 'threads' } }),
      ...Object.fromEntries(FORMATS.map((format) => [format, () => save(spec, format)])),
    },
    ROUNDS,
  )
  const of = (/** @type {string} */ name, /** @type {keyof Sample} */ field) =>
    (samples[name] ?? []).map((it) => Number(it[field]))
  return FORMATS.map((format) => ({
    microsPerItem: micros,
    items: count,
    format,
    goal: format === 'msgpack' ? goal : undefined,
    wall: median(of(format, 'wall')),
    without: median(of('off', 'wall')),
    cost: ratio(of(format, 'wall'), of('off', 'wall')) - 1,
    cpuCost: ratio(of(format, 'cpu'), of('off', 'cpu')) - 1,
    busyMicros: (median(of(format, 'busy').map((it, at) => it - (of('off', 'busy')[at] ?? 0))) * 1000) / count,
    checkpoints: median(of(format, 'checkpoints')),
    bytesPerItem: median(of(format, 'bytesWritten')) / count,
  }))
}

/** @param {import('./tasks/one-run.mjs').Spec} spec @param {'json' | 'msgpack'} format */
async function save(spec, format) {
  const store = await newStore()
  return oneRun({ ...spec, options: { checkpoint: { store, format, interval: 1000 } }, remove: store })
}

/** From the call to the start of the first item, when half of RESUMED items are finished. */
async function measureResume() {
  const spec = { task: /** @type {const} */ ('number'), count: RESUMED, rounds: 0 }
  const rows = []
  for (const format of FORMATS) {
    const begun = await newStore()
    await oneRun({ ...spec, options: { checkpoint: { store: begun, format } }, stopAfter: RESUMED / 2 })
    const samples = await measureAll(
      {
        resumed: async () => {
          const store = await newStore()
          await cp(begun, store, { recursive: true })
          const options = { resume: /** @type {const} */ ('require'), checkpoint: { store, format } }
          return oneRun({ ...spec, options, untilBegun: true }).finally(() => rm(store, { recursive: true }))
        },
      },
      ROUNDS,
    )
    rows.push({ format, items: RESUMED, finished: RESUMED / 2, first: median((samples.resumed ?? []).map((it) => it.first)) })
  }
  return rows
}

/** Records read back in a second, by `readResults` and by a resumed run that finds all done. */
async function measureReading() {
  const rows = []
  for (const format of FORMATS) {
    const store = await newStore()
    const options = { checkpoint: { store, format } }
    const { runId } = await oneRun({ task: 'record', count: READ, options })
    const samples = await measureAll(
      {
        read: () => oneRun({ task: 'record', count: 0, read: { store, runId } }),
        resume: () => oneRun({ task: 'record', count: READ, options }),
      },
      ROUNDS,
    )
    const perSecond = (/** @type {string} */ name) => (READ / median((samples[name] ?? []).map((it) => it.wall))) * 1000
    rows.push({ format, records: READ, read: perSecond('read'), resume: perSecond('resume') })
  }
  return rows
}

try {
  const costs = []
  for (const load of COSTS) costs.push(...(await measureCost(load)))
  const resumes = await measureResume()
  const readings = await measureReading()
  const percent = (/** @type {number} */ share) => `${(share * 100).toFixed(1)} %`
  printTable(
    `what a checkpoint costs (median of ${ROUNDS} rounds)`,
    ['µs per item', 'format', 'run ms', 'without', 'cost', 'goal', 'CPU', 'µs of main thread', 'flushes', 'bytes per item'],
    costs.map((it) => [
      it.microsPerItem,
      it.format,
      it.wall.toFixed(0),
      it.without.toFixed(0),
      percent(it.cost),
      it.goal === undefined ? '' : percent(it.goal),
      percent(it.cpuCost),
      it.busyMicros.toFixed(2),
      it.checkpoints,
      it.bytesPerItem.toFixed(1),
    ]),
  )
  printTable(
    `resume and reading back (goals: ${FIRST_GOAL_MS} ms, ${READ_GOAL / 1e6} million a second)`,
    ['format', `first item of ${RESUMED} half done, ms`, 'records read, millions/s', 'restored by a run, millions/s'],
    resumes.map((it, at) => [
      it.format,
      it.first.toFixed(0),
      ((readings[at]?.read ?? 0) / 1e6).toFixed(2),
      ((readings[at]?.resume ?? 0) / 1e6).toFixed(2),
    ]),
  )
  const goals = { first: FIRST_GOAL_MS, read: READ_GOAL }
  if (!isShort) await saveResults('saving', { rounds: ROUNDS, goals, costs, resumes, readings })
} finally {
  await rm(directory, { recursive: true })
}
