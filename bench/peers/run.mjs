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
import { execFile, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { describeMachine, saveResults } from '../results.mjs'
import { median } from '../rounds.mjs'
import { roundsPerMs } from '../work.mjs'
import { isPeer, listContenders, partOf, titles } from './contenders.mjs'
import { printSummary, printWorkload } from './print.mjs'
import { createRandom, shuffle } from './random.mjs'
import { workloads } from './workloads.mjs'

const ROUNDS = 5
const SHORT = 4
const TIME_LIMIT_MS = 120_000
const program = join(import.meta.dirname, 'contend.mjs')
const pace = roundsPerMs()
const run = promisify(execFile)

/** Names given as a list with commas. @param {string | undefined} given @param {readonly string[]} known @param {string} option */
function choose(given, known, option) {
  const names = given?.split(',') ?? known
  const unknown = names.filter((name) => !known.includes(name))
  if (unknown.length > 0) throw new Error(`Cannot use --${option} ${unknown}: expected some of ${known.join(', ')}`)
  return names
}

/** @param {string} name of a workload @param {string} contender @param {number} count @returns {Promise<import('./contend.mjs').Sample>} */
async function sample(name, contender, count) {
  const { task = '', micros = 0 } = workloads[name] ?? {}
  const env = {
    ...process.env,
    PEERS_TASK: task,
    PEERS_ROUNDS: String(Math.round((pace * micros) / 1000)),
    PEERS_LIST: contender.endsWith('-item') ? '' : '1',
  }
  const args = [program, name, contender, String(partOf(contender, count)), String(partOf('-item', count))]
  const { stdout } = await run(process.execPath, args, { env, timeout: TIME_LIMIT_MS, maxBuffer: 2 ** 24 })
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
}

/** The line of what a process printed that names the error. @param {unknown} error */
function explain(error) {
  const lines = (error instanceof Error ? error.message : String(error)).trim().split('\n')
  return lines.findLast((line) => /Error|differ/.test(line)) ?? lines[0] ?? ''
}

/**
 * @param {string} name @param {readonly string[]} wanted contenders @param {number} rounds @param {boolean} short
 * @returns {Promise<import('./summary.mjs').Entry>}
 */
async function measure(name, wanted, rounds, short) {
  const workload = /** @type {import('./workloads.mjs').Workload} */ (workloads[name])
  const count = short && !workload.whole ? Math.ceil(workload.count / SHORT) : workload.count
  const names = listContenders(workload).filter((it) => wanted.includes(it) || it === 'serial' || it === 'raw-static')
  /** @type {import('./summary.mjs').Entry['contenders']} */
  const contenders = {}
  /** @type {Record<string, string>} */
  const failed = {}
  const others = []
  const expected = await sample(name, 'serial', count)
  for (let round = 0; round < rounds; round++) {
    for (const contender of shuffle(names, createRandom(round + 1))) {
      if (failed[contender]) continue
      const items = partOf(contender, count)
      try {
        const found = await sample(name, contender, count)
        if (found.digest !== (items < count ? expected.partDigest : expected.digest))
          throw new Error('results differ from serial')
        contenders[contender] ??= { items, walls: [], memory: [], delays: [], loads: [], busy: [], cpus: [] }
        const own = contenders[contender]
        own.walls.push((found.wall * count) / items)
        own.memory.push(found.memory)
        own.delays.push(found.delay)
        own.loads.push(found.load)
        own.busy.push((found.busy * count) / items)
        own.cpus.push((found.cpu * count) / items)
        others.push(found.others)
      } catch (error) {
        if (!isPeer(contender)) throw error
        delete contenders[contender]
        failed[contender] = explain(error)
      }
    }
  }
  const { title, goal, excused = [], without } = workload
  const about = { title, date: new Date().toISOString(), machine: describeMachine(), short, rounds, items: count }
  return { ...about, workers: availableParallelism(), others: median(others), goal, excused, without, contenders, failed }
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
const wanted = choose(values.contenders, Object.keys(titles), 'contenders')
const isFull = !values.contenders && !values.short && Number(values.rounds) >= ROUNDS
if (wanted.some(isPeer) && !existsSync(join(import.meta.dirname, 'node_modules'))) {
  const { status } = spawnSync('npm', ['ci'], { cwd: import.meta.dirname, stdio: 'inherit' })
  if (status !== 0) throw new Error(`Cannot install the peers: npm ci ended with ${status}`)
}
/** @type {Record<string, import('./summary.mjs').Entry>} */
const entries = {}
for (const name of choose(values.only, Object.keys(workloads), 'only')) {
  const entry = await measure(name, wanted, Number(values.rounds), values.short)
  entries[name] = entry
  printWorkload(entry)
  const target = values.save ?? (isFull ? 'peers' : undefined)
  if (target) await merge(target, { [name]: entry })
}
printSummary(entries)
