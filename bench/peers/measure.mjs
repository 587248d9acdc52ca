// @ts-check
import { execFile, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describeMachine } from '../results.mjs'
import { median } from '../rounds.mjs'
import { roundsPerMs } from '../work.mjs'
import { isPeer, listContenders, partOf } from './contenders.mjs'
import { createRandom, shuffle } from './random.mjs'
import { workloads } from './workloads.mjs'

/** `--short` runs one item of so many. */
const SHORT = 4
const TIME_LIMIT_MS = 120_000
const program = join(import.meta.dirname, 'contend.mjs')
const pace = roundsPerMs()
const run = promisify(execFile)

/** Installs the peers when some of `contenders` need them and they are not there. @param {readonly string[]} contenders */
export function installPeers(contenders) {
  if (!contenders.some(isPeer) || existsSync(join(import.meta.dirname, 'node_modules'))) return
  const { status } = spawnSync('npm', ['ci'], { cwd: import.meta.dirname, stdio: 'inherit' })
  if (status !== 0) throw new Error(`Cannot install the peers: npm ci ended with ${status}`)
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
 * One workload, all contenders in turn.
 *
 * @param {string} name @param {readonly string[]} wanted contenders @param {number} rounds @param {boolean} short
 * @returns {Promise<import('./summary.mjs').Entry>}
 */
export async function measure(name, wanted, rounds, short) {
  const workload = /** @type {import('./workloads.mjs').Workload} */ (workloads[name])
  const count = short && !workload.whole ? Math.ceil(workload.count / SHORT) : workload.count
  const names = listContenders(workload).filter((it) => wanted.includes(it))
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
