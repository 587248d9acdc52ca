// @ts-check
import { printTable } from '../results.mjs'
import { titles } from './contenders.mjs'
import { bestOther, CLOSE, judge, MOST_DELAY_MS, summarize } from './summary.mjs'

const ms = (/** @type {number} */ time) => time.toFixed(time < 100 ? 1 : 0)
const mb = (/** @type {number} */ bytes) => (bytes / 1e6).toFixed(0)

/** @param {import('./summary.mjs').Entry} entry */
export function printWorkload(entry) {
  const rows = Object.keys(titles).flatMap((name) => {
    const title = titles[name] ?? name
    const it = summarize(entry, name)
    if (!it) return []
    const part = it.share < 1 ? `, from ${(it.share * 100).toPrecision(2)} %` : ''
    return [
      [
        title + part,
        ms(it.wall),
        it.ratio.toFixed(2),
        it.efficiency.toFixed(2),
        ms(it.cpu),
        ms(it.busy),
        mb(it.memory),
        it.delay.toFixed(1),
        ms(it.load),
      ],
    ]
  })
  const about = `${entry.items} items, ${entry.workers} workers, median of ${entry.rounds} rounds, others took ${(entry.others * 100).toFixed(0)} % of the cores`
  printTable(
    `${entry.title} (${about})`,
    ['', 'wall ms', 'raw static / it', 'efficiency', 'CPU ms', 'main', 'peak MB', 'loop p99 ms', 'import ms'],
    rows,
  )
  if (entry.without) console.log(entry.without)
  for (const [name, reason] of Object.entries(entry.failed)) console.log(`${titles[name]}: skipped, ${reason}`)
  const verdict = judge(entry)
  if (verdict) console.log(describeVerdict(verdict))
}

/** @param {NonNullable<ReturnType<typeof judge>>} it */
function describeVerdict(it) {
  const missing = it.goalRatio === undefined ? it.toBest / CLOSE : it.goalRatio
  const speed = it.isFast ? 'reached' : `short by ${((1 - missing) * 100).toFixed(0)} %`
  const goal = it.goal === undefined ? `within 3 % of the best` : `goal ${it.goal.toFixed(2)}`
  const memory = `memory ${it.toStaticMemory.toFixed(2)} of raw static (${it.isSmall ? 'reached' : 'short'})`
  const delay = `loop p99 ${it.delay.toFixed(1)} ms (${it.isFree ? 'reached' : `short: under ${MOST_DELAY_MS}`})`
  return `pawl ${it.ratio.toFixed(2)}, ${goal}: ${speed}; best other ${titles[it.best.name]} ${it.best.ratio.toFixed(2)}, pawl / it ${it.toBest.toFixed(2)}; ${memory}; ${delay}`
}

/** The table of all workloads. @param {Record<string, import('./summary.mjs').Entry>} entries */
export function printSummary(entries) {
  const list = Object.values(entries)
  const columns = ['raw-dynamic', 'piscina-item', 'piscina-64', 'piscina-n4w']
  printTable(
    'wall time of raw static over that of each, higher is better',
    ['', 'serial', 'dynamic', 'Piscina item', '64', 'N/4W', 'best other', 'pawl', 'goal', '', '/ best', 'MB / static', 'p99 ms'],
    list.map((entry) => {
      const of = (/** @type {string} */ name) => summarize(entry, name)?.ratio.toPrecision(3) ?? ''
      const it = judge(entry)
      const verdict = it && [
        it.ratio.toFixed(2),
        it.goal?.toFixed(2) ?? '',
        it.isFast ? 'reached' : 'SHORT',
        it.toBest.toFixed(2),
        `${it.toStaticMemory.toFixed(2)}${it.isSmall ? '' : ' !'}`,
        `${it.delay.toFixed(1)}${it.isFree ? '' : ' !'}`,
      ]
      const other = bestOther(entry)
      return [entry.title, of('serial'), ...columns.map(of), other?.ratio.toPrecision(3) ?? '', ...(verdict ?? Array(6).fill(''))]
    }),
  )
}
