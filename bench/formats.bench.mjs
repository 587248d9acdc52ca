// @ts-check
/**
 * Formats: JSON and msgpack, each with gzip: time to save, time to load, bytes; and reading back which items are done.
 *
 * Run it:  npm run build && node bench/formats.bench.mjs
 *
 * The codecs are those of the checkpoints, fed with chunks of CHUNK records as a flush is; `JSON.stringify of all` is the
 * whole array in one go, without any check of what it holds. The disk is not part of the first table.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { execute, fileStore, inspectRun } from 'pawl'
import { loadIndex } from '../build/checkpoint/record/load.js'
import { loadCodec } from '../build/values/codec.js'
import { createRecords } from './records.mjs'
import { printTable, saveResults } from './results.mjs'
import { interleave, median, ratio } from './rounds.mjs'
import { watchOthers } from './work.mjs'

const COUNTS = [100, 1000, 10_000, 100_000]
const CHUNK = 100
const ROUNDS = 9
/** Small counts are saved and loaded often enough to make up so many records, or the clock would be most of it. */
const RECORDS_PER_SAMPLE = 10_000
const FINISHED = 1_000_000

/** @typedef {{ save: (records: object[]) => Uint8Array[], load: (saved: Uint8Array[]) => unknown[] }} Format */

/** @param {'json' | 'msgpack'} name @returns {Promise<Format>} */
async function inChunks(name) {
  const codec = await loadCodec(name)
  return {
    save: (records) => {
      const saved = []
      for (let from = 0; from < records.length; from += CHUNK) saved.push(codec.encode(records.slice(from, from + CHUNK)).bytes)
      return saved
    },
    load: (saved) => saved.flatMap((bytes) => codec.decode(bytes)),
  }
}

/** @param {Format} format @returns {Format} */
function withGzip({ save, load }) {
  return {
    save: (records) => save(records).map((bytes) => gzipSync(bytes)),
    load: (saved) => load(saved.map((bytes) => gunzipSync(bytes))),
  }
}

const readOthers = watchOthers()
const json = await inChunks('json')
const msgpack = await inChunks('msgpack')
/** @type {Record<string, Format>} */
const formats = {
  json,
  msgpack,
  'json + gzip': withGzip(json),
  'msgpack + gzip': withGzip(msgpack),
  'JSON.stringify of all': {
    save: (records) => [Buffer.from(JSON.stringify(records))],
    load: ([bytes]) => JSON.parse(String(bytes)),
  },
}

/** @param {number} count */
async function measure(count) {
  const records = createRecords(count)
  const repeats = Math.max(1, RECORDS_PER_SAMPLE / count)
  /** @type {Record<string, import('./rounds.mjs').Contender>} */
  const contenders = {}
  /** @type {Record<string, number>} */
  const bytes = {}
  for (const [name, { save, load }] of Object.entries(formats)) {
    let saved = save(records)
    bytes[name] = saved.reduce((sum, it) => sum + it.length, 0)
    assert.deepEqual(load(saved), records)
    contenders[`save ${name}`] = async () => timed(repeats, () => void (saved = save(records)))
    contenders[`load ${name}`] = async () => timed(repeats, () => void load(saved))
  }
  const samples = await interleave(contenders, { rounds: ROUNDS, warmup: true })
  return Object.keys(formats).map((format) => {
    const [save = [], load = []] = [samples[`save ${format}`], samples[`load ${format}`]]
    return {
      records: count,
      format,
      save: median(save),
      load: median(load),
      bytes: Number(bytes[format]),
      saveToJson: ratio(save, samples['save json'] ?? []),
      loadToJson: ratio(load, samples['load json'] ?? []),
      bytesToJson: Number(bytes[format]) / Number(bytes.json),
    }
  })
}

/** @param {number} repeats @param {() => void} run */
function timed(repeats, run) {
  const began = performance.now()
  for (let i = 0; i < repeats; i++) run()
  return (performance.now() - began) / repeats
}

/** Time to find out which of FINISHED items are done, without reading what came of them. */
async function measureIndices() {
  const directory = await mkdtemp(join(tmpdir(), 'pawl-bench-'))
  try {
    const store = fileStore(directory)
    const items = Array.from({ length: FINISHED }, (_, i) => i)
    /** @type {Record<string, import('./rounds.mjs').Contender>} */
    const contenders = {}
    for (const format of /** @type {const} */ (['json', 'msgpack'])) {
      const checkpoint = { store, format, durability: /** @type {const} */ ('none') }
      await execute(new URL('./tasks/record.mjs', import.meta.url), items, {
        runId: format,
        checkpoint,
        collect: false,
        on: { warning: () => {} },
      })
      const [manifest] = await store.list(`${format}/run/`)
      const fingerprint = /** @type {string} */ (manifest?.key.split('/').at(-1)?.replace('.json', ''))
      const { done } = await inspectRun(store, format)
      assert.equal(done, FINISHED)
      contenders[format] = async () => {
        const index = await loadIndex(store, format, fingerprint, { isKeyed: false, isChecked: false })
        assert.equal(index.fulfilled.size, FINISHED)
      }
    }
    const samples = await interleave(contenders, { rounds: 5, warmup: true })
    return Object.entries(samples).map(([format, times]) => ({ format, items: FINISHED, load: median(times), goal: 500 }))
  } finally {
    await rm(directory, { recursive: true })
  }
}

const values = []
for (const count of COUNTS) values.push(...(await measure(count)))
printTable(
  `formats: four-field records in chunks of ${CHUNK} (median of ${ROUNDS} rounds)`,
  ['records', 'format', 'save ms', 'load ms', 'bytes', 'save / json', 'load / json', 'bytes / json'],
  values.map((it) => [
    it.records,
    it.format,
    it.save.toFixed(2),
    it.load.toFixed(2),
    it.bytes,
    it.saveToJson.toFixed(2),
    it.loadToJson.toFixed(2),
    it.bytesToJson.toFixed(2),
  ]),
)
const indices = await measureIndices()
printTable(
  `reading which of ${FINISHED} items are done, ms (goal: under 500)`,
  ['format', 'load ms'],
  indices.map((it) => [it.format, it.load.toFixed(0)]),
)
await saveResults('formats', { rounds: ROUNDS, others: readOthers(), chunk: CHUNK, values, indices })
