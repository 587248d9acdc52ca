// @ts-check
/**
 * Every contender at every workload, side by side: wall time against raw workers with a static split.
 *
 * Run it:  npm run bench:peers                       (25 minutes on two cores; writes bench/results/peers.json)
 *          npm run bench:peers -- --only uniform-100us,objects --contenders raw-static,raw-dynamic,pawl --rounds 5
 *          node bench/peers/run.mjs --short …        (a quarter of the items; after `npm run build`)
 *
 * Every sample is a process of its own. In every round each contender runs once, in another order each time, so that a
 * slow moment of the machine hits all alike. Serial and raw static always run: results must equal those of serial, and
 * ratios are the medians of the quotients to raw static of the same round. Work is a fixed number of rounds of a loop,
 * calibrated once here and handed to all processes: a task that watched the clock instead would do less of it when two
 * threads get in each other's way, and no clock is fine enough for 1 µs.
 *
 * Results of workloads that ran in full, with all contenders, are merged into the file; `--save NAME` writes whatever
 * ran to bench/results/NAME.json, merged likewise.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { saveResults } from '../results.mjs'
import { titles } from './contenders.mjs'
import { installPeers, measure } from './measure.mjs'
import { printSummary, printWorkload } from './print.mjs'
import { workloads } from './workloads.mjs'

const ROUNDS = 5

/** Names given as a list with commas. @param {string | undefined} given @param {readonly string[]} known @param {string} option */
function choose(given, known, option) {
  const names = given?.split(',') ?? known
  const unknown = names.filter((name) => !known.includes(name))
  if (unknown.length > 0) throw new Error(`Cannot use --${option} ${unknown}: expected some of ${known.join(', ')}`)
  return names
}

/** Merges what was measured into bench/results/<name>.json. @param {string} name @param {Record<string, import('./summary.mjs').Entry>} entries */
async function merge(name, entries) {
  const file = join(import.meta.dirname, '../results', `${name}.json`)
  const before = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).workloads : {}
  const all = { ...before, ...entries }
  const ordered = Object.fromEntries(
    Object.keys(workloads)
      .filter((it) => all[it])
      .map((it) => [it, all[it]]),
  )
  await saveResults(name, { workloads: ordered })
}

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    contenders: { type: 'string' },
    rounds: { type: 'string', default: String(ROUNDS) },
    short: { type: 'boolean', default: false },
    save: { type: 'string' },
  },
})
const rounds = Number(values.rounds)
if (!Number.isInteger(rounds) || rounds < 1)
  throw new Error(`Cannot use --rounds ${values.rounds}: expected a whole number from 1`)
const wanted = [...choose(values.contenders, Object.keys(titles), 'contenders'), 'serial', 'raw-static']
const isFull = !values.contenders && !values.short && rounds >= ROUNDS
const target = values.save ?? (isFull ? 'peers' : undefined)
installPeers(wanted)
/** @type {Record<string, import('./summary.mjs').Entry>} */
const entries = {}
for (const name of choose(values.only, Object.keys(workloads), 'only')) {
  const entry = await measure(name, wanted, rounds, values.short)
  entries[name] = entry
  printWorkload(entry)
  if (target) await merge(target, { [name]: entry })
}
printSummary(entries)
if (target) spawnSync(process.execPath, [join(import.meta.dirname, '../../scripts/docs.mjs')], { stdio: 'inherit' })
