// @ts-check
/** What larger machines, and many of them, would cost the main thread and the store: computed from measured constants. */
import { bytes, duration, table } from './bench-tables.mjs'
import { lineChart } from './chart.mjs'
import { timePerSegment } from './growth-tables.mjs'

/** @typedef {import('./growth-tables.mjs').Growth} Growth */
/** @typedef {{ costs: { microsPerItem: number, format: string, bytesPerItem: number }[], readings: { format: string, read: number, resume: number }[] }} Saving */
/** @typedef {{ bytesPerWorker: number }} StartUp */

const CORES = [16, 64, 192]
const ITEM_MS = [0.01, 0.1, 1, 10]
const MACHINES = 1000
const MACHINE_CORES = 64
const MACHINE_ITEM_MS = 1
const FLUSH_MS = 1000
/** Size of the results for which the limit of the main thread is told: the one whose cost per byte is measured best. */
const LARGE = 1e5

/** Constants in ms, ms per byte and bytes. @param {Growth} growth @param {Saving} saving @param {StartUp} startUp */
function listConstants(growth, saving, startUp) {
  const { number, record, savedRecord, message, skipped, sync, diskByte, start } = growth.constants
  const measured = growth.workers[1] ?? growth.workers[0]
  const large = growth.sizes.find((it) => it.bytes === LARGE)
  const readings = saving.readings.find((it) => it.format === 'msgpack')
  return {
    number,
    record,
    savedRecord,
    message,
    skipped,
    sync,
    diskByte,
    /** How long a chunk takes: of items of 0.1 ms. */
    chunk: measured ? (measured.items * 0.1) / measured.chunks : 10,
    /** A byte of a large result, on the main thread. */
    byte: large ? Math.max(0, large.busy - start) / (large.items * large.bytes) : 0,
    recordBytes: saving.costs.find((it) => it.format === 'msgpack' && it.microsPerItem === 100)?.bytesPerItem ?? 0,
    restoreRecord: 1000 / (readings?.resume ?? Number.NaN),
    readRecord: 1000 / (readings?.read ?? Number.NaN),
    segment: timePerSegment(growth.segments),
    workerBytes: startUp.bytesPerWorker,
  }
}

/** @typedef {ReturnType<typeof listConstants>} Constants */

/** Share of the main thread that one worker takes, with items of `itemTime` ms. @param {Constants} it @param {number} itemTime @param {number} perItem ms of main thread */
function shareOf(it, itemTime, perItem) {
  return it.message / Math.max(it.chunk, itemTime) + perItem / itemTime
}

const percent = (/** @type {number} */ share) =>
  share >= 1 ? `**${(share * 100).toFixed(0)} %**` : `${Number((share * 100).toPrecision(2))} %`
const count = (/** @type {number} */ value) => Math.floor(value).toLocaleString('en')

/** @param {Growth} growth @param {Saving} saving @param {StartUp} startUp */
export function describePastThisMachine(growth, saving, startUp) {
  const it = listConstants(growth, saving, startUp)
  return [describeConstants(it), describeCores(it), describeStore(it), describeMachines(it), describeLimits(it)].join('\n\n')
}

/** @param {Constants} it */
function describeConstants(it) {
  const rows = [
    ['main thread, per chunk (there and back)', duration(it.message), 'growth, chunks of one'],
    ['main thread, per number', duration(it.number), 'growth, chunks of 1000'],
    ['main thread, per four-field record', duration(it.record), 'the same'],
    ['the same, saved as msgpack', duration(it.savedRecord), 'the same'],
    ['main thread, per MB of large results', duration(it.byte * 1e6), `growth, results of ${bytes(LARGE)}`],
    ['a chunk takes', duration(it.chunk), 'growth, items of 100 µs'],
    ['a record in the store', bytes(it.recordBytes), 'saving'],
    ['a small durable write', duration(it.sync), 'growth'],
    ['disk, per MB', duration(it.diskByte * 1e6), 'growth'],
    ['restoring a finished record', duration(it.restoreRecord), 'saving'],
    ['reading a record back', duration(it.readRecord), 'saving'],
    ['a segment more to open', duration(it.segment), 'growth, segments'],
    ['an item of another shard', duration(it.skipped), 'growth'],
    ['an idle worker', bytes(it.workerBytes), 'start-up'],
  ]
  return `Nothing here was run on more cores than this machine has: it is computed from what was measured, as CPU time of the main thread where it can be.\n\n${table(['constant', 'measured', 'by'], rows, 1)}`
}

/** @param {Constants} it */
function describeCores(it) {
  const rows = ITEM_MS.flatMap((itemTime) =>
    /** @type {const} */ ([
      ['numbers', it.number],
      ['records', it.record],
      ['records, saved', it.savedRecord],
    ]).map(([what, perItem]) => {
      const share = shareOf(it, itemTime, perItem)
      return [duration(itemTime), what, ...CORES.map((cores) => percent(cores * share)), count(1 / share)]
    }),
  )
  const head = ['an item takes', 'results', ...CORES.map((cores) => `${cores} cores`), 'workers one main thread feeds']
  return `How much of the main thread so many workers take. In bold, more than there is: the workers then wait for it, and more of them gain nothing.\n\n![share of the main thread](charts/past-this-machine.svg)\n\n${table(head, rows, 2)}`
}

/** @param {Constants} it */
function describeStore(it) {
  const rows = ITEM_MS.map((itemTime) => {
    const rates = CORES.map((cores) => (cores / itemTime) * 1000 * it.recordBytes)
    const limit = 1000 / it.diskByte
    return [duration(itemTime), ...rates.map((rate) => `${bytes(rate)}/s (${percent(rate / limit)})`)]
  })
  return `What they write, records saved as msgpack, and the share of this disk (${bytes(1000 / it.diskByte)}/s) it takes. A flush starts each second, after 1,000 items or 4 MiB, one at a time, and takes with it what settled meanwhile, so durable writes (${duration(it.sync)} each here) do not add up with the cores:\n\n${table(['an item takes', ...CORES.map((cores) => `${cores} cores`)], rows)}`
}

/** @param {Constants} it */
function describeMachines(it) {
  const workers = MACHINES * MACHINE_CORES
  const itemsPerSecond = (workers / MACHINE_ITEM_MS) * 1000
  const hour = itemsPerSecond * 3600
  const mine = hour / MACHINES
  const rows = [
    ['items', `${count(itemsPerSecond)} a second, ${(hour / 1e9).toFixed(0)} thousand million an hour`],
    ['main thread of each', percent(MACHINE_CORES * shareOf(it, MACHINE_ITEM_MS, it.savedRecord))],
    ['written by each', `${bytes((itemsPerSecond / MACHINES) * it.recordBytes)}/s`],
    [
      'the store takes',
      `${bytes(itemsPerSecond * it.recordBytes)}/s into ${count(MACHINES)} files that grow; where objects cannot grow, into ${count((MACHINES * 1000) / FLUSH_MS)} new ones a second or more`,
    ],
    ['going through the items of the others', `${duration(hour * it.skipped)} on each machine for an hour's items`],
    ['restoring an hour of one shard', duration(mine * it.restoreRecord)],
    ['opening the segments of all others, one each', duration(MACHINES * it.segment)],
    ['reading all results in one process', duration(hour * it.readRecord)],
  ]
  return `A thousand machines of ${MACHINE_CORES} cores, a shard each, items of ${duration(MACHINE_ITEM_MS)}, records saved as msgpack. No machine speaks to another; what they share is the store and the list of items:\n\n${table(['', 'computed'], rows)}`
}

/** @param {Constants} it */
function describeLimits(it) {
  const share = shareOf(it, 0.1, it.record)
  const largest = it.byte > 0 ? 1000 / it.byte : Number.POSITIVE_INFINITY
  const full = 1 / shareOf(it, 0.01, it.savedRecord)
  return [
    '### Where it stops, and what to do then',
    '',
    `- **The main thread, by items.** With items of 10 µs and saved records one main thread feeds ${count(full)} workers, with items of 100 µs and records ${count(1 / share)}. Make the items larger (give a task a hundred of yours at once), or run several processes on the machine, each a shard (\`--shard 1/4\` … \`4/4\`): each has a main thread of its own, and they write into one run.`,
    `- **The main thread, by bytes.** Copying large results takes all of it at ${bytes(largest)} a second, whatever the number of workers. Return less, give away buffers with \`move\`, or let the task write its result to where it belongs and return the name.`,
    `- **Memory.** A worker weighs ${bytes(it.workerBytes)}: ${CORES.map((cores) => `${bytes(cores * it.workerBytes)} for ${cores}`).join(', ')}, before what the task needs. Results are kept in memory unless \`collect: false\`; read them from the store.`,
    `- **The store.** What is written is the results, once, and at most once more when segments are merged. When the disk is slower than the workers, the run waits for it. Shard over machines with disks of their own, or return less.`,
    `- **The list of items.** Every shard goes through all of it (${duration(it.skipped)} an item here). From some thousand million items on, give each machine a list of its own and a \`runId\` of its own instead of a shard.`,
    `- **One reader.** Results are read back by one process at ${count(1000 / it.readRecord)} records a second. Read the shards' results where they are made, or let the tasks write where the reader wants them.`,
  ].join('\n')
}

/** @param {Growth} growth @param {Saving} saving @param {StartUp} startUp */
export function drawPastThisMachine(growth, saving, startUp) {
  const it = listConstants(growth, saving, startUp)
  const workers = [1, 2, 4, 8, 16, 32, 64, 128, 256]
  return lineChart({
    title: 'Share of the main thread, records saved as msgpack (computed; 100 % is all there is)',
    x: { label: 'workers' },
    y: { label: '%' },
    series: ITEM_MS.map((itemTime) => ({
      name: `items of ${duration(itemTime)}`,
      points: workers.map((count) => /** @type {const} */ ([count, count * shareOf(it, itemTime, it.savedRecord) * 100])),
    })),
  })
}
