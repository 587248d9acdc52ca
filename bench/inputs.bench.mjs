// @ts-check
/**
 * `pawl run --input FILE`: what lines cost the main thread, and whether it pays that workers parse them.
 *
 * Run it:  npm run build && node bench/inputs.bench.mjs [OTHER]
 *
 * OTHER is the folder of another build of pawl, say of an earlier commit, that takes turns with this one; ratios are of
 * this one to that, round by round, so below 1 is better. Settles that src/items/file-items.ts is there, and BLOCK in
 * src/cli/blocks.ts.
 */
import { execFile } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { printTable, saveResults } from './results.mjs'
import { interleave, median, ratio } from './rounds.mjs'
import { roundsPerMs } from './work.mjs'

const ROUNDS = 5
const COUNT = 500_000

/** @typedef {{ wall: number, busy: number, cpu: number, memory: number }} Usage times in ms, memory in bytes; `busy` is the main thread's */
/** @typedef {{ name: string, file: string, micros: number, recorded?: boolean, again?: boolean }} Workload */

/** @type {Workload[]} */
const WORKLOADS = [
  { name: 'JSONL, 2 µs', file: 'in.jsonl', micros: 2 },
  { name: 'JSONL, 20 µs', file: 'in.jsonl', micros: 20 },
  { name: 'JSONL, 2 µs, recorded', file: 'in.jsonl', micros: 2, recorded: true },
  { name: 'the same, all finished', file: 'in.jsonl', micros: 2, recorded: true, again: true },
  { name: 'CSV, 2 µs', file: 'in.csv', micros: 2 },
  { name: 'CSV with quotes, 2 µs', file: 'quoted.csv', micros: 2 },
]

const run = promisify(execFile)
const perMs = roundsPerMs()
const builds = { here: join(import.meta.dirname, '..'), ...(process.argv[2] ? { other: resolve(process.argv[2]) } : {}) }
const directory = await mkdtemp(join(tmpdir(), 'pawl-inputs-'))

/** @param {string} name @param {(id: number) => string} line @param {string} [head] */
async function write(name, line, head = '') {
  const lines = function* () {
    yield head
    for (let id = 0; id < COUNT; ) {
      let block = ''
      for (const end = Math.min(COUNT, id + 1000); id < end; id++) block += `${line(id)}\n`
      yield block
    }
  }
  await pipeline(lines, createWriteStream(join(directory, name)))
}

/** @param {string} build @param {Workload} workload @returns {Promise<Usage>} */
async function runOnce(build, { file, micros, recorded, again }) {
  const at = (/** @type {string} */ name) => join(import.meta.dirname, 'tasks', name)
  const store = join(directory, `store-${build === builds.here ? 'here' : 'other'}`)
  if (!again) await rm(store, { recursive: true, force: true })
  const where = recorded ? ['--checkpoint', store, '--run-id', 'r'] : ['--no-checkpoint']
  const { stderr } = await run(
    process.execPath,
    [
      ...['--import', at('tell-usage.mjs'), join(build, 'dist/cli/main.js'), 'run', at('line.mjs'), '--quiet'],
      ...['--input', join(directory, file), '--output', join(directory, 'out.jsonl'), ...where],
    ],
    { env: { ...process.env, ROUNDS: String(Math.round((perMs * micros) / 1000)) } },
  )
  const results = await readFile(join(directory, 'out.jsonl'), 'utf8')
  if (!results.trimEnd().endsWith(`${COUNT - 1}}`) && !results.trimEnd().endsWith(`"${COUNT - 1}"}`))
    throw new Error('results are missing')
  return JSON.parse(/** @type {string} */ (stderr.trim().split('\n').at(-1)))
}

/** @param {Workload} workload */
async function measure(workload) {
  /** @type {Record<string, Usage[]>} */
  const usages = Object.fromEntries(Object.keys(builds).map((name) => [name, []]))
  const contenders = Object.fromEntries(
    Object.entries(builds).map(([name, build]) => [
      name,
      async () => {
        const usage = await runOnce(build, workload)
        usages[name]?.push(usage)
        return usage.wall
      },
    ]),
  )
  await interleave(contenders, { rounds: ROUNDS })
  const of = (/** @type {string} */ name, /** @type {keyof Usage} */ field) => (usages[name] ?? []).map((it) => it[field])
  const fields = /** @type {const} */ (['wall', 'busy', 'cpu', 'memory'])
  return {
    name: workload.name,
    ...Object.fromEntries(fields.map((field) => [field, median(of('here', field))])),
    ...(builds.other ? { other: Object.fromEntries(fields.map((field) => [field, median(of('other', field))])) } : {}),
    ...(builds.other
      ? { ratios: Object.fromEntries(fields.map((field) => [field, ratio(of('here', field), of('other', field))])) }
      : {}),
  }
}

try {
  const rest = (/** @type {number} */ id) => ({
    name: `item number ${id}`,
    score: ((id * 7919) % 10_007) / 10,
    mail: `user${id}@example.org`,
  })
  await write('in.jsonl', (id) => JSON.stringify({ id, ...rest(id), tags: ['alpha', 'beta'], active: id % 3 === 0 }))
  await write(
    'in.csv',
    (id) => [id, ...Object.values(rest(id)), 'alpha beta', id % 3 === 0].join(','),
    'id,name,score,mail,tags,active\n',
  )
  await write('quoted.csv', (id) => `${id},"${Object.values(rest(id)).join('","')}","alpha, beta"`, 'id,name,score,mail,tags\n')
  const rows = []
  for (const workload of WORKLOADS) rows.push(await measure(workload))
  const cells = (/** @type {any} */ it) => [
    `${it.wall.toFixed(0)} ms`,
    `${it.busy.toFixed(0)} ms`,
    `${it.cpu.toFixed(0)} ms`,
    `${(it.memory / 2 ** 20).toFixed(0)} MiB`,
  ]
  printTable(
    `pawl run of ${COUNT} lines (${ROUNDS} rounds)`,
    ['', 'wall', 'main thread', 'all threads', 'memory'],
    rows.flatMap((/** @type {any} */ row) => [
      [row.name, ...cells(row)],
      ...(row.other ? [['  other', ...cells(row.other)]] : []),
      ...(row.ratios ? [['  ratio', ...Object.values(row.ratios).map((/** @type {number} */ it) => it.toFixed(2))]] : []),
    ]),
  )
  await saveResults('inputs', { rounds: ROUNDS, items: COUNT, rows })
} finally {
  await rm(directory, { recursive: true, force: true })
}
