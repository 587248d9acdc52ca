// @ts-check
/**
 * Growth: how wall time, memory and resuming grow with items, size of results, workers, checkpoint interval and segments,
 * and what the constants are that docs/performance.md computes larger machines from.
 *
 * Run it:  npm run build && node bench/growth.bench.mjs [--short]     (eight minutes; short: one, writes nothing)
 *
 * Every sample is a process of its own. Figures are medians.
 */
import { cp, mkdtemp, open, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { execute, fileStore, memoryStore } from 'pawl'
import { oneRun } from './one-run.mjs'
import { printTable, saveResults } from './results.mjs'
import { median } from './rounds.mjs'
import { roundsPerMs } from './work.mjs'

const isShort = process.argv.includes('--short')
/** Powers of ten from 100. A point of ten million items takes half a minute. */
const MOST_ITEMS = isShort ? 1e5 : 1e7
const SIZES = [8, 100, 1e3, 1e4, 1e5, 1e6, 1e7]
const SIZES_BYTES = isShort ? 2e7 : 2e8
const PER_CORE = [1, 2, 3, 4]
const EVERY = [1, 10, 100, 1000, 10_000, 100_000]
const SEGMENTS = isShort ? [1, 10, 100] : [1, 10, 100, 1000, 10_000]
const RECORDS = isShort ? 10_000 : 100_000
const ROUNDS = isShort ? 1 : 3

const pace = roundsPerMs()
const micro = Math.round(pace / 1000)
const directory = await mkdtemp(join(tmpdir(), 'pawl-bench-'))
const newStore = () => mkdtemp(join(directory, 'run-'))

/** @typedef {import('./tasks/one-run.mjs').Sample} Sample */
/** @typedef {import('./tasks/one-run.mjs').Spec} Spec */

/** @param {() => Promise<Sample>} run @param {number} [rounds] @returns {Promise<Sample>} the median of each field */
async function repeat(run, rounds = ROUNDS) {
  /** @type {Sample[]} */
  const samples = []
  for (let round = 0; round < rounds; round++) samples.push(await run())
  const fields = /** @type {(keyof Sample)[]} */ (Object.keys(samples[0] ?? {}))
  const of = (/** @type {keyof Sample} */ field) => samples.map((it) => Number(it[field]))
  return /** @type {any} */ (Object.fromEntries(fields.map((field) => [field, median(of(field))])))
}

/** @param {Spec} spec @param {Partial<import('pawl').CheckpointOptions>} [checkpoint] */
async function save(spec, checkpoint = {}) {
  const store = await newStore()
  return oneRun({ ...spec, options: { ...spec.options, checkpoint: { ...checkpoint, store } }, remove: store })
}

/** Items of 1 µs: a run, the same with a checkpoint, the same again when all is done, and from a generator into a loop. */
async function measureItems() {
  const rows = []
  for (let items = 100; items <= MOST_ITEMS; items *= 10) {
    const rounds = items >= 1e7 ? 1 : ROUNDS
    const spec = { task: /** @type {const} */ ('number'), count: items, rounds: micro }
    const plain = await repeat(() => oneRun(spec), rounds)
    const saved = await repeat(() => save(spec), rounds)
    const store = await newStore()
    const options = { checkpoint: { store } }
    await oneRun({ ...spec, options })
    const resumed = await repeat(() => oneRun({ ...spec, options: { ...options, resume: 'require' } }), rounds)
    await rm(store, { recursive: true })
    const streamed = await repeat(() => oneRun({ ...spec, isStreamed: true }), rounds)
    const times = { wall: plain.wall, savedWall: saved.wall, resume: resumed.wall, streamedWall: streamed.wall }
    const memory = {
      memory: plain.memory,
      savedMemory: saved.memory,
      resumeMemory: resumed.memory,
      streamedMemory: streamed.memory,
    }
    rows.push({ items, ...times, ...memory })
  }
  return rows
}

/** Binary results, SIZES_BYTES of them in all where that is few enough items. */
async function measureSizes() {
  const rows = []
  for (const bytes of SIZES) {
    const count = Math.max(10, Math.min(50_000, Math.floor(SIZES_BYTES / bytes)))
    const spec = { task: /** @type {const} */ ('binary'), count, bytes, options: { mode: /** @type {const} */ ('threads') } }
    const plain = await repeat(() => oneRun(spec))
    const saved = await repeat(() => save(spec))
    const main = { busy: plain.busy, savedBusy: saved.busy }
    rows.push({ bytes, items: count, wall: plain.wall, savedWall: saved.wall, ...main, memory: plain.memory })
  }
  return rows
}

/** Items of 100 µs on one worker, and on 1 to 4 per core. */
async function measureWorkers() {
  const cores = availableParallelism()
  const count = isShort ? 2000 : 20_000
  const rows = []
  for (const workers of new Set([1, ...PER_CORE.map((each) => each * cores)])) {
    const options = { workers, mode: /** @type {const} */ ('threads') }
    const { wall, memory, busy, chunks } = await repeat(() => oneRun({ task: 'number', count, rounds: 100 * micro, options }))
    rows.push({ workers, items: count, wall, memory, busy, chunks })
  }
  return rows
}

/** Records of 10 µs with a flush after so many of them. */
async function measureEvery() {
  const spec = { task: /** @type {const} */ ('record'), count: RECORDS, rounds: 10 * micro }
  const plain = await repeat(() => oneRun({ ...spec, options: { mode: 'threads' } }))
  const rows = []
  for (const every of EVERY) {
    const { wall, busy, checkpoints, bytesWritten } = await repeat(() => save(spec, { every, interval: 3_600_000 }))
    rows.push({ every, records: RECORDS, wall, busy, checkpoints, bytes: bytesWritten })
  }
  return [...rows, { every: 'never', records: RECORDS, wall: plain.wall, busy: plain.busy, checkpoints: 0, bytes: 0 }]
}

/** Reading RECORDS finished records from about so many segments, and a run that finds them all done. */
async function measureSegments() {
  const rows = []
  for (const segments of SEGMENTS) {
    const { store, runId, written } = await writeSegments(segments)
    const options = { runId, resume: /** @type {const} */ ('require') }
    const spec = { task: /** @type {const} */ ('record'), count: RECORDS }
    const read = await repeat(() => oneRun({ ...spec, read: { store, runId } }))
    const resumed = await repeat(async () => {
      const copy = await newStore()
      await cp(store, copy, { recursive: true })
      return oneRun({ ...spec, options: { ...options, checkpoint: copy }, remove: copy })
    })
    await rm(store, { recursive: true })
    rows.push({ segments: written, records: RECORDS, read: read.wall, resume: resumed.wall })
  }
  return rows
}

/** A finished run of RECORDS records in about `segments` segments: on a store whose objects cannot grow each flush is one. @param {number} segments */
async function writeSegments(segments) {
  const { append: _, ...memory } = memoryStore()
  const unmerged = {
    ...memory,
    put: async (/** @type {Parameters<typeof memory.put>} */ ...[key, bytes, options]) => {
      if (key.includes('/snap/')) throw new Error('no snapshots here')
      return memory.put(key, bytes, options)
    },
  }
  const runId = 'bench'
  const every = Math.ceil(RECORDS / segments)
  await execute(
    { module: new URL('./tasks/grow.mjs', import.meta.url), export: 'record' },
    Array.from({ length: RECORDS }, (_, index) => index),
    {
      runId,
      mode: 'threads',
      chunkSize: Math.min(every, 10_000),
      shared: { rounds: 0, bytes: 8, began: new BigInt64Array(new SharedArrayBuffer(8)) },
      checkpoint: { store: unmerged, every, interval: 3_600_000 },
    },
  )
  const store = await newStore()
  const files = fileStore(store)
  const objects = await unmerged.list('')
  for (const { key } of objects) await files.put(key, (await unmerged.get(key)) ?? new Uint8Array(), { durable: false })
  return { store, runId, written: objects.filter(({ key }) => key.includes('/seg/')).length }
}

/** What the main thread does per item, per chunk, and per item of another shard, and what the disk takes. Times in ms. */
async function measureConstants() {
  const count = isShort ? 20_000 : 200_000
  const threads = { mode: /** @type {const} */ ('threads') }
  const { busy: start } = await repeat(() => oneRun({ task: 'number', count: 2, options: threads }))
  const busy = async (/** @type {Spec['task']} */ task, /** @type {number} */ chunkSize, isSaved = false) => {
    const items = chunkSize === 1 ? count / 10 : count * 5
    const spec = { task, count: items, options: { ...threads, chunkSize } }
    const { busy } = await repeat(() => (isSaved ? save(spec) : oneRun(spec)))
    return (busy - start) / items
  }
  const number = await busy('number', 1000)
  const record = await busy('record', 1000)
  const savedRecord = await busy('record', 1000, true)
  const message = (await busy('number', 1)) - number
  const shard = { ...threads, shard: /** @type {const} */ ('1/1000') }
  const skip = (await repeat(() => oneRun({ task: 'number', count: count * 5, options: shard }))).wall
  const skipNone = (await repeat(() => oneRun({ task: 'number', count: 1000, options: shard }))).wall
  const skipped = Math.max(0, skip - skipNone) / (count * 5)
  return { start, number, record, savedRecord, message, skipped, ...(await measureDisk()) }
}

/** A small durable write, and the time of a byte in large ones. */
async function measureDisk() {
  const file = await open(join(directory, 'disk'), 'w')
  const small = []
  for (let i = 0; i < 200; i++) {
    const began = performance.now()
    await file.write(Buffer.alloc(4096, i))
    await file.datasync()
    small.push(performance.now() - began)
  }
  const large = Buffer.alloc(2 ** 26, 1)
  const times = []
  for (let i = 0; i < 3; i++) {
    const began = performance.now()
    await file.write(large)
    await file.datasync()
    times.push((performance.now() - began) / large.length)
  }
  await file.close()
  return { sync: median(small), diskByte: median(times) }
}

try {
  const results = {
    items: await measureItems(),
    sizes: await measureSizes(),
    workers: await measureWorkers(),
    every: await measureEvery(),
    segments: await measureSegments(),
    constants: await measureConstants(),
  }
  for (const [name, rows] of Object.entries(results)) {
    const list = Array.isArray(rows) ? rows : [rows]
    const head = Object.keys(list[0] ?? {})
    const cell = (/** @type {unknown} */ it) => (typeof it === 'number' ? Number(it.toPrecision(4)) : String(it))
    printTable(
      `growth: ${name} (ms, bytes)`,
      head,
      list.map((row) => Object.values(row).map(cell)),
    )
  }
  if (!isShort) await saveResults('growth', { rounds: ROUNDS, ...results })
} finally {
  await rm(directory, { recursive: true })
}
