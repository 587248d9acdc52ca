// @ts-check
/**
 * Checkpoints: what recording a whole run costs, against rewriting everything finished at each checkpoint.
 *
 * Run it:  npm run build && node bench/checkpoints.bench.mjs
 *
 * COUNT four-field records at `every` = 10, 100, 1000, in chunks of that size, on disk with fsync. `in checkpoints` is
 * the sum of what `afterCheckpoint` says, most of which is waiting for the disk; `main thread` is how much
 * more CPU time it used than without a checkpoint. What rewriting takes is timed at SIZES sizes and integrated over the
 * run: encode all, write a new file, fsync, rename.
 */
import assert from 'node:assert/strict'
import { mkdtemp, open, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execute } from 'pawl'
import { loadCodec } from '../build/values/codec.js'
import { createRecords } from './records.mjs'
import { printTable, saveResults } from './results.mjs'
import { interleave, median } from './rounds.mjs'
import { roundsPerMs, threadTime, watchOthers } from './work.mjs'

const COUNT = 100_000
const EVERY = [10, 100, 1000]
const FORMATS = /** @type {const} */ (['json', 'msgpack'])
const ROUNDS = 3
/** Time of one item in ms. What settles while one flush waits for the disk goes with the next, so faster items make fewer flushes. */
const ITEM_MS = 0.01
const SIZES = 20
const BYTES_GOAL = 2.3
const TIME_GOAL = 50
const MAIN_THREAD_GOAL_MS = 1000

const task = new URL('./tasks/record.mjs', import.meta.url)
const readOthers = watchOthers()
const rounds = Math.round(roundsPerMs() * ITEM_MS)
const items = Array.from({ length: COUNT }, (_, index) => index)
const records = createRecords(COUNT)
const jsonBytes = Buffer.byteLength(JSON.stringify(records))
const directory = await mkdtemp(join(tmpdir(), 'pawl-bench-'))

/** @typedef {{ wall: number, inCheckpoints: number, busy: number, bytes: number, checkpoints: number }} Sample */

/** @param {number} every @param {'json' | 'msgpack' | undefined} format @returns {Promise<Sample>} */
async function record(every, format) {
  const store = await mkdtemp(join(directory, 'run-'))
  let inCheckpoints = 0
  const afterCheckpoint = (/** @type {{ duration: number }} */ { duration }) => {
    inCheckpoints += duration
  }
  const before = threadTime()
  const { stats, results } = await execute(task, items, {
    runId: 'bench',
    shared: rounds,
    chunkSize: every,
    mode: 'threads',
    ...(format ? { checkpoint: { store, format, every }, on: { afterCheckpoint } } : {}),
  })
  const busy = threadTime() - before
  assert.deepEqual(results.at(-1), records.at(-1))
  await rm(store, { recursive: true })
  return { wall: stats.wallTime, inCheckpoints, busy, bytes: stats.bytesWritten, checkpoints: stats.checkpoints }
}

/** All runs, interleaved. `none`: without a checkpoint. */
async function recordAll() {
  /** @type {Record<string, Sample[]>} */
  const samples = {}
  /** @type {Record<string, import('./rounds.mjs').Contender>} */
  const contenders = {}
  for (const every of EVERY) {
    for (const format of [undefined, ...FORMATS]) {
      const name = `${every} ${format ?? 'none'}`
      contenders[name] = async () => {
        const sample = await record(every, format)
        samples[name] = [...(samples[name] ?? []), sample]
        return sample.wall
      }
    }
  }
  await interleave(contenders, { rounds: ROUNDS })
  return samples
}

/** Time to write the first `size` records afresh, in ms, for SIZES sizes. @param {'json' | 'msgpack'} format */
async function timeRewrites(format) {
  const codec = await loadCodec(format)
  const path = join(directory, `rewrite.${format}`)
  /** @type {Record<string, import('./rounds.mjs').Contender>} */
  const contenders = {}
  for (let step = 1; step <= SIZES; step++) {
    const size = (COUNT / SIZES) * step
    contenders[size] = async () => {
      const file = await open(`${path}.tmp`, 'w')
      await file.writeFile(codec.encode(records.slice(0, size)).bytes)
      await file.datasync()
      await file.close()
      await rename(`${path}.tmp`, path)
    }
  }
  const samples = await interleave(contenders, { rounds: ROUNDS, warmup: true })
  return Object.entries(samples).map(([size, times]) => ({ size: Number(size), time: median(times) }))
}

/** What all rewrites of a run take in ms, one each `every` records: the trapezoids under the timed points. @param {{ size: number, time: number }[]} points @param {number} every */
function integrate(points, every) {
  let area = 0
  let last = { size: 0, time: points[0]?.time ?? 0 }
  for (const point of points) {
    area += ((last.time + point.time) / 2) * (point.size - last.size)
    last = point
  }
  return area / every
}

try {
  const samples = await recordAll()
  const rewrites = { json: await timeRewrites('json'), msgpack: await timeRewrites('msgpack') }
  const runs = EVERY.flatMap((every) =>
    FORMATS.map((format) => {
      const own = samples[`${every} ${format}`] ?? []
      const without = samples[`${every} none`] ?? []
      const of = (/** @type {keyof Sample} */ field, from = own) => median(from.map((it) => it[field]))
      const rewriting = integrate(rewrites[format], every)
      return {
        every,
        format,
        checkpoints: of('checkpoints'),
        bytes: of('bytes'),
        bytesToJson: of('bytes') / jsonBytes,
        wall: of('wall'),
        wallWithout: of('wall', without),
        inCheckpoints: of('inCheckpoints'),
        mainThread: median(own.map((it, round) => it.busy - (without[round]?.busy ?? 0))),
        rewriting,
        rewritingToCheckpoints: rewriting / of('inCheckpoints'),
      }
    }),
  )
  printTable(
    `checkpoints of ${COUNT} four-field records, ${(jsonBytes / 1e6).toFixed(1)} MB as JSON (median of ${ROUNDS} rounds, ms)`,
    [
      'every',
      'format',
      'flushes',
      'bytes',
      `bytes / JSON (< ${BYTES_GOAL})`,
      'run',
      'without',
      'in checkpoints',
      `main thread (< ${MAIN_THREAD_GOAL_MS})`,
      'rewriting',
      `rewriting / it (> ${TIME_GOAL})`,
    ],
    runs.map((it) => [
      it.every,
      it.format,
      it.checkpoints,
      it.bytes,
      it.bytesToJson.toFixed(2),
      it.wall.toFixed(0),
      it.wallWithout.toFixed(0),
      it.inCheckpoints.toFixed(0),
      it.mainThread.toFixed(0),
      it.rewriting.toFixed(0),
      it.rewritingToCheckpoints.toFixed(0),
    ]),
  )
  await saveResults('checkpoints', { rounds: ROUNDS, others: readOthers(), records: COUNT, jsonBytes, runs, rewrites })
} finally {
  await rm(directory, { recursive: true })
}
