// @ts-check
/**
 * docs/performance.md and its charts, written wholly from the results in bench/results/. `npm run docs` writes them;
 * test/guards/performance.test.ts compares them with what this makes.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import * as growthTables from './growth-tables.mjs'
import { describePastThisMachine, drawPastThisMachine } from './past-this-machine.mjs'
import { describeFootprint, describePeers, describeWorkload, drawPeers, poolRuns } from './peers-tables.mjs'
import { describeCosts, describeMainThread, describeResumes, describeStarts } from './saving-tables.mjs'

const results = join(import.meta.dirname, '../bench/results')

/** The full run first, then those with the closest contenders alone. */
const PEERS = ['peers', 'peers-2', 'peers-3']

/** @param {string} name @returns {any} undefined when not measured yet */
function read(name) {
  const file = join(results, `${name}.json`)
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined
}

/** @param {{ machine: ReturnType<typeof import('../bench/results.mjs').describeMachine>, date: string }} found @param {string} bench */
function where({ machine, date }, bench) {
  const { cpu, cores, memory, node } = machine
  return `Measured by \`${bench}\` on ${cpu}, ${cores} cores, ${memory} GiB, Node ${node.replace(/^v/, '')}, ${date.slice(0, 10)}.`
}

/** The rounds of all runs against the peers, workload by workload; undefined when not measured yet. */
function readPeers() {
  const all = PEERS.map(read).filter((run) => run !== undefined)
  const runs = all.filter((run) => isDeepStrictEqual(run.machine, all[0].machine)) // Somebody else's would be told as yours.
  return runs[0] && PEERS[0] && existsSync(join(results, `${PEERS[0]}.json`))
    ? { pooled: poolRuns(runs), first: runs[0] }
    : undefined
}

/** The table and the chart of README.md. */
export function peersBlock() {
  const found = readPeers()
  if (!found) return 'Not measured yet: `npm run bench:peers` fills this in.'
  const chart = '![pawl, raw workers and Piscina at every workload](docs/charts/peers.svg)'
  return `${describePeers(found.pooled)}\n\n${chart}\n\n${where(found.first, 'npm run bench:peers')}`
}

/** Paths and contents of the page and its charts. @returns {Record<string, string>} */
export function makePerformance() {
  const peers = readPeers()
  const [growth, saving, checkpoints, startUp] = ['growth', 'saving', 'checkpoints', 'start-up'].map(read)
  const charts = {
    ...(peers && { peers: drawPeers(peers.pooled) }),
    ...(growth && {
      items: growthTables.drawItems(growth),
      memory: growthTables.drawMemory(growth),
      sizes: growthTables.drawSizes(growth),
      workers: growthTables.drawWorkers(growth),
      flushes: growthTables.drawEvery(growth),
      segments: growthTables.drawSegments(growth),
    }),
    ...(growth && saving && startUp && { 'past-this-machine': drawPastThisMachine(growth, saving, startUp) }),
  }
  const page = [
    INTRODUCTION,
    section('Side by side', peers, 'npm run bench:peers', () => sideBySide(/** @type {NonNullable<typeof peers>} */ (peers))),
    section('Saving', saving, 'npm run bench', () =>
      [describeCosts(saving), describeResumes(saving), where(saving, 'bench/saving.bench.mjs')].join('\n\n'),
    ),
    section(
      'Checkpoints',
      checkpoints,
      'npm run bench',
      () => `${describeMainThread(checkpoints)}\n\n${where(checkpoints, 'bench/checkpoints.bench.mjs')}`,
    ),
    section(
      'Start-up',
      startUp,
      'npm run bench',
      () => `${describeStarts(startUp)}\n\n${where(startUp, 'bench/start-up.bench.mjs')}`,
    ),
    section('Growth', growth, 'npm run bench', () => describeGrowth(growth)),
    section('Past this machine', growth && saving && startUp, 'npm run bench', () =>
      describePastThisMachine(growth, saving, startUp),
    ),
  ]
  const drawn = Object.entries(charts).map(([name, svg]) => [`docs/charts/${name}.svg`, svg])
  return { 'docs/performance.md': `${page.join('\n\n')}\n`, ...Object.fromEntries(drawn) }
}

const INTRODUCTION = `# Performance

What pawl costs against doing the same by hand, and how that grows. Every figure and chart of this page is written by a script from the results in \`bench/results/\` (\`npm run docs\`), so it says what was measured, whether it pleases or not. The contenders, the workloads and how they are measured are in \`bench/peers/\`.`

/** @param {string} title @param {unknown} found @param {string} command @param {() => string} make */
function section(title, found, command, make) {
  return `## ${title}\n\n${found ? make() : `Not measured yet: \`${command}\` fills this in.`}`
}

/** @param {NonNullable<ReturnType<typeof readPeers>>} peers */
function sideBySide({ pooled, first }) {
  const details = pooled.map((it) => `<details>\n<summary>${it.entry.title}</summary>\n\n${describeWorkload(it)}\n\n</details>`)
  return [
    describePeers(pooled),
    '![pawl, raw workers and Piscina at every workload](charts/peers.svg)',
    HOW,
    '### Memory and the event loop',
    `Peak memory of the whole process, items and results included, and the 99th percentile of the event-loop delay of the main thread: 99 of 100 firings of a timer of 1 ms came at most so long after the one before, so an idle loop shows 1.1 ms. \`per item\`: the most of the contenders that hand out items one by one, of the part they were given.`,
    describeFootprint(pooled),
    '### Every contender',
    ...details,
    where(first, 'npm run bench:peers'),
  ].join('\n\n')
}

const HOW = `How it is measured: every sample is a process of its own, and in every round each contender runs once, in another order each time. Wall time runs from opening the pool to having all results in hand. Work is a fixed number of rounds of a loop, calibrated once, the same for all; results must equal those of the serial run. A ratio is the median of the quotients of the same round, so it need not be the quotient of two medians that come from different rounds. "Raw dynamic" is a loop over raw workers, written by hand, that hands out adaptive chunks. "N/4W" are as many chunks as four times the workers. Whoever hands out more than 50,000 items one by one is given the first 50,000, and the time is multiplied. Of "second time on one pool", raw workers start anew: they have no pool.`

/** @param {any} growth */
function describeGrowth(growth) {
  const chart = (/** @type {string} */ name, /** @type {string} */ alt) => `![${alt}](charts/${name}.svg)`
  return [
    '### Items',
    growthTables.describeItems(growth),
    chart('items', 'wall time by number of items'),
    chart('memory', 'memory by number of items'),
    '### Size of a result',
    growthTables.describeSizes(growth),
    chart('sizes', 'time per item by size of its result'),
    '### Workers',
    growthTables.describeWorkers(growth),
    chart('workers', 'wall time and memory by number of workers'),
    '### Flushes',
    growthTables.describeEvery(growth),
    chart('flushes', 'wall time, main-thread time and flushes by checkpoint interval'),
    '### Segments',
    growthTables.describeSegments(growth),
    chart('segments', 'time to read and to resume by number of segments'),
    where(growth, 'bench/growth.bench.mjs'),
  ].join('\n\n')
}
