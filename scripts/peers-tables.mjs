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
  const { rounds = 0, workers = 0 } = pooled[0]?.entry ?? {}
  return (
    `Wall time of raw workers with a static split divided by that of each contender, higher is better, on ${workers} workers ` +
    `(median of at least ${Math.min(...pooled.map((it) => it.entry.rounds), rounds)} rounds, each contender in a process of its own):\n\n${table(head, rows)}`
  )
}

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
  const about = `${entry.items.toLocaleString('en')} items, ${entry.rounds} rounds in ${runs === 1 ? 'one run' : `${runs} runs`}, ${entry.date.slice(0, 10)}; other processes took ${(entry.others * 100).toFixed(0)} % of the cores meanwhile.`
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
