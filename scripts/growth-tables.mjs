// @ts-check
/** What bench/growth.bench.mjs found: a table, a chart and a sentence on the slope for each thing that grows. */
import { bytes, duration, table } from './bench-tables.mjs'
import { lineChart } from './chart.mjs'

/**
 * @typedef {object} Growth times in ms, sizes in bytes
 * @property {{ items: number, wall: number, savedWall: number, resume: number, streamedWall: number, memory: number, savedMemory: number, resumeMemory: number, streamedMemory: number }[]} items
 * @property {{ bytes: number, items: number, wall: number, savedWall: number, busy: number, savedBusy: number, memory: number }[]} sizes
 * @property {{ workers: number, items: number, wall: number, memory: number, busy: number, chunks: number }[]} workers
 * @property {{ every: number | 'never', records: number, wall: number, busy: number, checkpoints: number, bytes: number }[]} every
 * @property {{ segments: number, records: number, read: number, resume: number }[]} segments
 * @property {{ start: number, number: number, record: number, savedRecord: number, message: number, skipped: number, sync: number, diskByte: number }} constants
 * @property {{ cores: number }} machine
 */

const count = (/** @type {number} */ value) => value.toLocaleString('en')
const perItem = (/** @type {number} */ ms, /** @type {number} */ items) => (ms * 1000) / items

/**
 * How a cost grows between the last two points: 1 is linear, 0 not at all.
 *
 * @param {readonly (readonly [number, number])[]} points
 */
function slopeAtEnd(points) {
  const [[x1, y1], [x2, y2]] = /** @type {[[number, number], [number, number]]} */ (/** @type {unknown} */ (points.slice(-2)))
  return Math.log(y2 / y1) / Math.log(x2 / x1)
}

/** `linear`, or what it is instead. @param {number} slope */
function inWords(slope) {
  if (slope < 0.15) return 'hardly grows'
  if (slope < 0.85) return `grows with the power ${slope.toFixed(2)}, so less than linearly`
  return slope < 1.15 ? 'grows linearly' : `grows with the power ${slope.toFixed(2)}, so more than linearly`
}

/** A stream of whatever length is to stay under this, in bytes. */
const STREAM_GOAL = 150e6

/** @param {Growth} growth */
export function describeItems({ items }) {
  const rows = items.map((it) => [
    count(it.items),
    duration(it.wall),
    duration(it.wall / it.items),
    duration(it.savedWall),
    duration(it.resume),
    duration(it.streamedWall),
    bytes(it.memory),
    bytes(it.savedMemory),
    bytes(it.resumeMemory),
    bytes(it.streamedMemory),
  ])
  const slope = (/** @type {'wall' | 'savedWall' | 'resume' | 'streamedWall' | 'memory' | 'streamedMemory'} */ field) =>
    inWords(slopeAtEnd(items.map((it) => /** @type {const} */ ([it.items, it[field]]))))
  const head = [
    'items of 1 µs',
    'run',
    'per item',
    'saved run',
    'resumed, all done',
    'streamed',
    'memory',
    'saved',
    'resumed',
    'streamed',
  ]
  return (
    `Over the last tenfold step wall time ${slope('wall')}, that of a saved run ${slope('savedWall')}, ` +
    `finding all of them done ${slope('resume')}, that of a stream ${slope('streamedWall')}, memory ${slope('memory')}, and that of a stream ${slope('streamedMemory')} (to stay under ${bytes(STREAM_GOAL)}). ` +
    `Short runs are all start-up: that is why the time per item falls at first. Memory is that of the process, with Node, items and results in it; a stream goes from a generator into a loop that keeps nothing, with \`collect: false\`.\n\n${table(head, rows)}`
  )
}

/** @param {Growth} growth */
export function drawItems({ items }) {
  return lineChart({
    title: 'Items of 1 µs: wall time',
    x: { label: 'items' },
    y: { label: 'ms' },
    series: [
      { name: 'run', points: items.map((it) => [it.items, it.wall]) },
      { name: 'saved run', points: items.map((it) => [it.items, it.savedWall]) },
      { name: 'resumed, all done', points: items.map((it) => [it.items, it.resume]) },
    ],
  })
}

/** @param {Growth} growth */
export function drawMemory({ items }) {
  return lineChart({
    title: 'Items of 1 µs: peak memory of the process',
    x: { label: 'items' },
    y: { label: 'MB' },
    series: [
      { name: 'run', points: items.map((it) => [it.items, it.memory / 1e6]) },
      { name: 'saved run', points: items.map((it) => [it.items, it.savedMemory / 1e6]) },
      { name: 'resumed, all done', points: items.map((it) => [it.items, it.resumeMemory / 1e6]) },
    ],
  })
}

/** @param {Growth} growth */
export function describeSizes({ sizes }) {
  const rows = sizes.map((it) => [
    bytes(it.bytes),
    count(it.items),
    duration(it.wall / it.items),
    duration(it.savedWall / it.items),
    duration(it.busy / it.items),
    duration(it.savedBusy / it.items),
    bytes(it.memory),
  ])
  const slope = inWords(slopeAtEnd(sizes.map((it) => [it.bytes, it.wall / it.items])))
  const head = ['result', 'items', 'per item', 'saved, per item', 'on the main thread, per item', 'the same, saved', 'memory']
  return `The cost of a small result is that of an item, that of a large one is copying it: over the last tenfold step it ${slope}. The task only fills a buffer. Start-up is in the figures, so those of few items hold it.\n\n${table(head, rows)}`
}

/** @param {Growth} growth */
export function drawSizes({ sizes }) {
  return lineChart({
    title: 'Size of a result: time per item',
    x: { label: 'bytes' },
    y: { label: 'µs' },
    series: [
      { name: 'run', points: sizes.map((it) => [it.bytes, perItem(it.wall, it.items)]) },
      { name: 'saved run', points: sizes.map((it) => [it.bytes, perItem(it.savedWall, it.items)]) },
      { name: 'main thread', points: sizes.map((it) => [it.bytes, perItem(it.busy, it.items)]) },
    ],
  })
}

/** @param {Growth} growth */
export function describeWorkers({ workers, machine }) {
  const first = workers[0]
  const fastest = workers.toSorted((a, b) => a.wall - b.wall)[0]
  const rows = workers.map((it) => [
    count(it.workers),
    duration(it.wall),
    ((first?.wall ?? 0) / it.wall).toFixed(2),
    bytes(it.memory),
    bytes((it.memory - (first?.memory ?? 0)) / Math.max(1, it.workers - 1)),
    duration(it.busy),
    count(it.chunks),
  ])
  const head = ['workers', 'run', 'speed-up', 'memory', 'per worker more', 'main thread', 'chunks']
  return `${count(first?.items ?? 0)} items of 100 µs on ${machine.cores} cores, fastest with ${fastest?.workers} workers; the default is one per core. Each worker more costs memory and its start-up.\n\n${table(head, rows)}`
}

/** @param {Growth} growth */
export function drawWorkers({ workers }) {
  return lineChart({
    title: 'Workers: wall time and memory',
    x: { label: 'workers' },
    y: { label: 'ms, MB' },
    series: [
      { name: 'wall time, ms', points: workers.map((it) => [it.workers, it.wall]) },
      { name: 'peak memory, MB', points: workers.map((it) => [it.workers, it.memory / 1e6]) },
    ],
  })
}

/** @param {Growth} growth */
export function describeEvery({ every }) {
  const rows = every.map((it) => [
    typeof it.every === 'number' ? count(it.every) : it.every,
    duration(it.wall),
    duration(it.busy),
    count(it.checkpoints),
    bytes(it.bytes),
  ])
  const [least, most] = [Math.min, Math.max].map((pick) =>
    pick(...every.filter((it) => it.every !== 'never').map((it) => it.bytes)),
  )
  const head = ['flush every', 'run', 'main thread', 'flushes', 'written']
  return (
    `${count(every[0]?.records ?? 0)} records of 10 µs, msgpack, fsync, no interval. One flush is under way at a time and takes with it what settled meanwhile, ` +
    `so asking for one after every item makes far fewer, and what is written stays within ${((most ?? 1) / (least ?? 1)).toFixed(2)} times the least.\n\n${table(head, rows)}`
  )
}

/** @param {Growth} growth */
export function drawEvery({ every }) {
  const asked = every.flatMap((it) => (typeof it.every === 'number' ? [{ ...it, every: it.every }] : []))
  return lineChart({
    title: 'Flushes: time and number',
    x: { label: 'flush every so many items' },
    y: { label: 'ms, flushes' },
    series: [
      { name: 'wall time, ms', points: asked.map((it) => [it.every, it.wall]) },
      { name: 'main thread, ms', points: asked.map((it) => [it.every, it.busy]) },
      { name: 'flushes', points: asked.map((it) => [it.every, it.checkpoints]) },
    ],
  })
}

/** @param {Growth} growth */
export function describeSegments({ segments }) {
  const rows = segments.map((it) => [count(it.segments), duration(it.read), duration(it.resume)])
  const slope = (/** @type {'read' | 'resume'} */ field) =>
    inWords(slopeAtEnd(segments.map((it) => /** @type {const} */ ([it.segments, it[field]]))))
  const each = timePerSegment(segments)
  const head = ['segments', 'read all results', 'resume, all done']
  return (
    `${count(segments[0]?.records ?? 0)} records, in so many files. A file more costs ${duration(each)} to open when resuming; over the last tenfold step resuming ${slope('resume')}, reading ${slope('read')}. ` +
    `Runs that are at work merge their files into snapshots, so that thousands are left only when that was prevented, as here.\n\n${table(head, rows)}`
  )
}

/** What one segment more costs a resumed run, in ms. @param {Growth['segments']} segments */
export function timePerSegment(segments) {
  const [first, last] = [segments[0], segments.at(-1)]
  return first && last ? Math.max(0, (last.resume - first.resume) / (last.segments - first.segments)) : 0
}

/** @param {Growth} growth */
export function drawSegments({ segments }) {
  return lineChart({
    title: 'Segments: reading and resuming a finished run',
    x: { label: 'segments' },
    y: { label: 'ms' },
    series: [
      { name: 'read all results', points: segments.map((it) => [it.segments, it.read]) },
      { name: 'resume, all done', points: segments.map((it) => [it.segments, it.resume]) },
    ],
  })
}
