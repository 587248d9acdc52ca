// @ts-check
/** What bench/peers/ found, in words, tables and a chart. */
import { titles } from '../bench/peers/contenders.mjs'
import { bestOther, CLOSE, judge, MOST_DELAY_MS, pool, summarize } from '../bench/peers/summary.mjs'
import { bytes, duration, table } from './bench-tables.mjs'
import { dotChart } from './chart.mjs'

/** @typedef {import('../bench/peers/summary.mjs').Entry} Entry */

/** Each workload with the rounds of all runs that have it. @param {readonly { workloads: Record<string, Entry> }[]} runs the full one first */
export function poolRuns(runs) {
  const [full] = runs
  return Object.keys(full?.workloads ?? {}).map((name) => {
    const entries = runs.flatMap((run) => run.workloads[name] ?? [])
    return { name, entry: pool(entries), runs: entries.length }
  })
}

/** @typedef {ReturnType<typeof poolRuns>} Pooled */

const quotient = (/** @type {number | undefined} */ value) =>
  value === undefined || Number.isNaN(value) ? '' : value < 0.1 ? value.toPrecision(1) : value.toFixed(2)

/** The table of all workloads, one row each. @param {Pooled} pooled */
export function describePeers(pooled) {
  const columns = ['raw-dynamic', 'piscina-item', 'piscina-64', 'piscina-n4w']
  const rows = pooled.map(({ entry }) => {
    const it = judge(entry)
    const other = bestOther(entry)
    const saved = ['msgpack', 'json'].flatMap((format) => {
      const found = summarize(entry, `pawl-${format}`)
      return found ? [`, ${quotient(found.ratio)} saved as ${format}`] : []
    })
    const goal = entry.goal === undefined ? `${quotient((it?.best.ratio ?? 0) * CLOSE)} (best less 3 %)` : entry.goal.toFixed(2)
    return [
      entry.title,
      ...columns.map((name) => quotient(summarize(entry, name)?.ratio)),
      other ? `${quotient(other.ratio)} (${titles[other.name]})` : '',
      `**${quotient(it?.ratio)}**${saved.join('')}`,
      goal,
      it?.isFast ? 'yes' : 'no',
    ]
  })
  const head = [
    'workload',
    'raw dynamic',
    'Piscina per item',
    'Piscina, 64',
    'Piscina, N/4W',
    'best other peer',
    'pawl',
    'goal',
    'reached',
  ]
  const { workers = 0 } = pooled[0]?.entry ?? {}
  return (
    `Wall time of raw workers with a static split divided by that of each contender, higher is better, on ${workers} workers ` +
    `(medians over rounds, ${describeRounds(pooled)}; each contender in a process of its own). The goal is what pawl set out to reach, of which it tells whether it has.\n\n` +
    `${table(head, rows)}\n\n${describeStanding(pooled)}`
  )
}

/** Samples of a contender. @param {Entry} entry @param {string} name */
function countRounds(entry, name) {
  return entry.contenders[name]?.walls.filter(Number.isFinite).length ?? 0
}

/** How many rounds who took part in. @param {Pooled} pooled */
function describeRounds(pooled) {
  const fewest = (/** @type {string} */ name) => {
    const counts = pooled.map(({ entry }) => countRounds(entry, name)).filter((rounds) => rounds > 0)
    return Math.min(...counts)
  }
  const names = Object.keys(titles).filter((name) => Number.isFinite(fewest(name)) && name !== 'serial')
  const [most, least] = [Math.max(...names.map(fewest)), Math.min(...names.map(fewest))]
  if (most === least) return `${most} of each`
  const often = names.filter((name) => fewest(name) === most).map((name) => titles[name])
  return `${most} of ${often.join('; ')}; ${least} of the others`
}

/** What the table comes to for somebody who chooses. @param {Pooled} pooled */
function describeStanding(pooled) {
  const shares = pooled.flatMap(({ entry }) => {
    const found = judge(entry)
    return found ? [{ title: entry.title, share: found.toBest }] : []
  })
  const near = shares.filter((it) => it.share >= NEAR)
  const far = shares.filter((it) => it.share < NEAR).toSorted((a, b) => a.share - b.share)
  const list = far.map((it) => `${it.title} (${((1 - it.share) * 100).toPrecision(2)} %)`).join('; ')
  return (
    `In ${near.length} of ${shares.length} workloads pawl, told nothing, comes within ${((1 - NEAR) * 100).toFixed(0)} % of the best of all others there, with the chunks that suit it best` +
    `${far.length === 0 ? '.' : `; further behind it is in: ${list}.`}`
  )
}

/** Near enough to the best not to matter to most, as a share. */
const NEAR = 0.95

/** Memory and the event loop. @param {Pooled} pooled */
export function describeFootprint(pooled) {
  const most = (/** @type {Entry} */ entry, /** @type {'memory' | 'delay'} */ field) =>
    Math.max(
      ...Object.keys(entry.contenders)
        .filter((name) => name.endsWith('-item'))
        .map((name) => summarize(entry, name)?.[field] ?? 0),
    )
  const rows = pooled.map(({ entry }) => {
    const it = judge(entry)
    const of = (/** @type {string} */ name) => summarize(entry, name)
    const byItem = most(entry, 'memory')
    return [
      entry.title,
      `${bytes(of('raw-static')?.memory ?? 0)}`,
      `${bytes(of('raw-dynamic')?.memory ?? 0)}`,
      byItem > 0 ? bytes(byItem) : '',
      `**${bytes(it?.memory ?? 0)}**`,
      `${it?.toStaticMemory.toFixed(2)}${it?.isSmall ? '' : ' (goal: 1)'}`,
      duration(of('raw-dynamic')?.delay ?? 0),
      byItem > 0 ? duration(most(entry, 'delay')) : '',
      `**${duration(it?.delay ?? 0)}**${it?.isFree ? '' : ` (goal: ${MOST_DELAY_MS} ms)`}`,
    ]
  })
  const head = [
    'workload',
    'memory, raw static',
    'raw dynamic',
    'most, per item',
    'pawl',
    'pawl / raw static',
    'delay, raw dynamic',
    'most, per item',
    'pawl',
  ]
  return table(head, rows)
}

/** Every contender at one workload. @param {Pooled[number]} workload */
export function describeWorkload({ entry, runs }) {
  const rows = Object.keys(titles).flatMap((name) => {
    const it = summarize(entry, name)
    if (!it) return []
    const part = it.share < 1 ? ` (${(it.share * 100).toPrecision(2)} % of the items)` : ''
    return [
      [
        `${titles[name]}${part}`,
        String(countRounds(entry, name)),
        duration(it.wall),
        quotient(it.ratio),
        it.efficiency.toFixed(2),
        bytes(it.memory),
        duration(it.delay),
        duration(it.load),
        duration(it.cpu),
        duration(it.busy),
      ],
    ]
  })
  const head = [
    'contender',
    'rounds',
    'wall',
    'raw static / it',
    'efficiency',
    'peak memory',
    'delay p99',
    'import',
    'CPU',
    'CPU of main thread',
  ]
  const left = Object.entries(entry.failed).map(([name, reason]) => `\n\n${titles[name]} was left out: ${reason}.`)
  const without = entry.without ? `\n\nNo peers here: ${entry.without}.` : ''
  const about = `${entry.items.toLocaleString('en')} items, rounds of ${runs === 1 ? 'one run' : `${runs} runs`}, ${entry.date.slice(0, 10)}; other processes took ${(entry.others * 100).toFixed(0)} % of the cores meanwhile.`
  return `${about}\n\n${table(head, rows)}${without}${left.join('')}`
}

/** @param {Pooled} pooled */
export function drawPeers(pooled) {
  const names = ['pawl', 'raw-dynamic', 'piscina-n4w', 'piscina-64', 'piscina-item']
  return dotChart({
    title: 'Speed against raw workers with a static split',
    label: 'wall time of raw static / wall time of the contender; the bar is the goal of pawl',
    legend: names.map((name) => titles[name] ?? name),
    rows: pooled.map(({ entry }) => ({
      name: entry.title.replace(', import included', ''),
      values: names.map((name) => summarize(entry, name)?.ratio),
      goal: entry.goal,
    })),
  })
}
