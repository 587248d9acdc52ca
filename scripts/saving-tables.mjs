// @ts-check
/** What bench/saving.bench.mjs, bench/checkpoints.bench.mjs and bench/start-up.bench.mjs found, against the goals. */
import { bytes, duration, table } from './bench-tables.mjs'

/**
 * @typedef {object} Saving times in ms unless a name says otherwise
 * @property {{ microsPerItem: number, items: number, format: string, goal?: number, wall: number, without: number, cost: number, cpuCost: number, busyMicros: number, checkpoints: number, bytesPerItem: number }[]} costs
 * @property {{ format: string, items: number, finished: number, first: number }[]} resumes
 * @property {{ format: string, records: number, read: number, resume: number }[]} readings
 * @property {{ first: number, read: number }} goals
 * @property {number} rounds
 */

/** Main-thread time of all checkpoints of a run, at most, in ms. */
const CHECKPOINTS_GOAL_MS = 1000

const percent = (/** @type {number} */ share) => `${(share * 100).toFixed(1)} %`
const reached = (/** @type {boolean} */ isReached) => (isReached ? 'yes' : 'no')

/** @param {Saving} saving */
export function describeCosts({ costs, rounds }) {
  const rows = costs.map((it) => [
    duration(it.microsPerItem / 1000),
    it.format,
    duration(it.wall),
    duration(it.without),
    percent(it.cost),
    it.goal === undefined ? '' : `${percent(it.goal)}, ${it.cost <= it.goal ? 'reached' : 'not reached'}`,
    percent(it.cpuCost),
    `${it.busyMicros.toFixed(2)} µs`,
    String(it.checkpoints),
    bytes(it.bytesPerItem),
  ])
  const head = [
    'an item takes',
    'format',
    'run',
    'without',
    'wall time more',
    'goal',
    'CPU more',
    'main thread, per item',
    'flushes',
    'written per item',
  ]
  return `Four-field records on disk with fsync, \`interval: 1000\`, against the same run without a checkpoint (median of ${rounds} rounds in turn):\n\n${table(head, rows, 2)}`
}

/** @param {{ records: number, runs: { every: number, format: string, mainThread: number, rewriting: number }[] }} checkpoints */
export function describeMainThread({ records, runs }) {
  const often = runs.filter((it) => it.every === Math.min(...runs.map(({ every }) => every)))
  const rows = often.map((it) => [
    it.format,
    duration(it.mainThread),
    reached(it.mainThread < CHECKPOINTS_GOAL_MS),
    duration(it.rewriting),
  ])
  const head = ['format', 'main thread', `under ${duration(CHECKPOINTS_GOAL_MS)}`, 'rewriting everything each time would take']
  return `All checkpoints together of ${records.toLocaleString('en')} four-field records saved every ${often[0]?.every}:\n\n${table(head, rows)}`
}

/** @param {Saving} saving */
export function describeResumes({ resumes, readings, goals }) {
  const million = (/** @type {number | undefined} */ perSecond) => `${((perSecond ?? 0) / 1e6).toFixed(2)} million/s`
  const rows = resumes.map((it, at) => [
    it.format,
    duration(it.first),
    reached(it.first <= goals.first),
    million(readings[at]?.read),
    reached((readings[at]?.read ?? 0) >= goals.read),
    million(readings[at]?.resume),
  ])
  const [first] = resumes
  const head = [
    'format',
    'first item runs after',
    `within ${duration(goals.first)}`,
    'results read back',
    `${million(goals.read)} or more`,
    'restored by a run',
  ]
  return `Resuming with ${first?.finished.toLocaleString('en')} of ${first?.items.toLocaleString('en')} items finished, from the call to the start of the first item in a worker; and reading back ${readings[0]?.records.toLocaleString('en')} records:\n\n${table(head, rows)}`
}

/** @param {{ medians: Record<string, number>, firstResultGoal?: number, bytesPerWorker: number }} startUp */
export function describeStarts({ medians, firstResultGoal, bytesPerWorker }) {
  const names = Object.keys(medians)
    .filter((name) => name.includes('pawl'))
    .map((name) => name.replace('pawl', ''))
  const rows = names.map((name) => {
    const of = (/** @type {string} */ who) => medians[name.startsWith('import') ? `${name}${who}` : `${who}${name}`] ?? Number.NaN
    return [name.replace(/^:|:$/, '').trim(), duration(of('pawl')), duration(of('piscina'))]
  })
  const goal = firstResultGoal === undefined ? '' : ` The goal for the first result is ${duration(firstResultGoal)}.`
  return `Fresh processes; \`first result\` counts from the call, \`all\` from before the import until four items of 1 ms are done and the threads are gone. An idle worker weighs ${bytes(bytesPerWorker)}.${goal}\n\n${table(['', 'pawl', 'Piscina'], rows)}`
}
