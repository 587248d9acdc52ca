// @ts-check
/**
 * Stages: what each of them adds to an item when it is on, and that none adds anything when it is off.
 *
 * Run it:  npm run build && node bench/stages.bench.mjs
 *
 * Each round runs all contenders on one warm pool per workload, so only the run itself counts. What a stage adds is
 * told in CPU time of all threads together, which other processes disturb little, and as the ratio of the wall times.
 * `off` runs twice: the difference of the two is what the rest of the table cannot resolve. What a checkpoint costs longer
 * items, and in wall time, saving.bench.mjs measures in longer runs.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createExecutor } from 'pawl'
import { printTable, saveResults } from './results.mjs'
import { interleave, median, ratio } from './rounds.mjs'
import { roundsPerMs, watchOthers } from './work.mjs'

const WORKLOADS = [1, 10, 100]
const SERIAL_MS = 1000
const ROUNDS = 5

const task = new URL('./tasks/record.mjs', import.meta.url)
const directory = await mkdtemp(join(tmpdir(), 'pawl-bench-'))
const nothing = () => {}
const pace = roundsPerMs()
const readOthers = watchOthers()

/** @returns {Promise<Record<string, import('pawl').RunOptions<number>>>} */
async function listStages() {
  const store = async () => mkdtemp(join(directory, 'run-'))
  return {
    off: {},
    'off, again': {},
    retry: { retry: 3 },
    breaker: { breaker: true, maxFailures: 1 },
    timeout: { timeout: 10_000 },
    'checkpoint msgpack': { runId: 'bench', checkpoint: { store: await store(), format: 'msgpack' } },
    'checkpoint json': { runId: 'bench', checkpoint: { store: await store(), format: 'json' } },
    listeners: { on: { outcome: nothing, progress: nothing } },
    key: { key: (item) => `item ${item}` },
  }
}

/** @param {number} micros */
async function measure(micros) {
  const items = Array.from({ length: (SERIAL_MS * 1000) / micros }, (_, index) => index)
  const executor = createExecutor({ mode: 'threads' })
  const stages = await listStages()
  /** @type {Record<string, import('./rounds.mjs').Contender>} */
  const contenders = {}
  /** @type {Record<string, number[]>} µs per item, the round of warming up first */
  const cpu = {}
  for (const [name, options] of Object.entries(stages)) {
    contenders[name] = async () => {
      const own = process.cpuUsage()
      const began = performance.now()
      const { results } = await executor.execute(task, items, {
        ...options,
        ...(options.checkpoint ? { resume: 'fresh' } : {}),
        on: { warning: nothing, ...options.on },
        shared: Math.round((pace * micros) / 1000),
      })
      const time = performance.now() - began
      const { user, system } = process.cpuUsage(own)
      cpu[name] = [...(cpu[name] ?? []), (user + system) / items.length]
      assert.equal(results.length, items.length)
      return time
    }
  }
  const samples = await interleave(contenders, { rounds: ROUNDS, warmup: true }).finally(() => executor.close())
  const off = samples.off ?? []
  return Object.entries(samples).map(([stage, times]) => ({
    microsPerItem: micros,
    stage,
    time: median(times),
    cpuMicros: median((cpu[stage] ?? []).slice(1)),
    extraMicros: median((cpu[stage] ?? []).slice(1).map((it, round) => it - (cpu.off?.[round + 1] ?? 0))),
    toOff: ratio(times, off),
  }))
}

try {
  /** @type {Awaited<ReturnType<typeof measure>>} */
  const results = []
  for (const micros of WORKLOADS) results.push(...(await measure(micros)))
  const names = results.filter((it) => it.microsPerItem === WORKLOADS[0]).map((it) => it.stage)
  const find = (/** @type {string} */ stage, /** @type {number} */ micros) =>
    results.find((it) => it.stage === stage && it.microsPerItem === micros)
  printTable(
    `stages: µs of CPU more per item than with all of them off, and the wall time as a ratio (median of ${ROUNDS} rounds)`,
    ['stage', ...WORKLOADS.flatMap((micros) => [`${micros} µs`, ''])],
    names.map((stage) => [
      stage,
      ...WORKLOADS.flatMap((micros) => [
        find(stage, micros)?.extraMicros.toFixed(2) ?? '',
        find(stage, micros)?.toOff.toFixed(3) ?? '',
      ]),
    ]),
  )
  await saveResults('stages', { rounds: ROUNDS, others: readOthers(), serialTime: SERIAL_MS, results })
} finally {
  await rm(directory, { recursive: true })
}
