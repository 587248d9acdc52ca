// @ts-check
/**
 * Carriers: what a column of numbers costs to post and to receive as a plain array and as a Float64Array, by its length; and
 * what bytes cost of which a copy was made, when the copy is copied again and when it is given away, by their number; and how
 * much longer a loop over typed arrays takes in a thread once a buffer was given away there.
 *
 * Run it:  npm run build && node bench/carriers.bench.mjs
 *
 * Settles NUMBERS_TOGETHER in src/engine/protocol.ts and MIN_GIVEN in src/move.ts. Both ends are on this thread, so only cloning
 * counts and no waking.
 */
import { once } from 'node:events'
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads'
import { printTable, saveResults } from './results.mjs'
import { interleave, median, ratio } from './rounds.mjs'

const ROUNDS = 9
const MESSAGES = 10_000
const LENGTHS = [1, 4, 8, 16, 32, 64, 256]
const SIZES = [256, 1024, 4096, 16_384, 65_536, 262_144]
/** Results that are posted together. */
const PART_RESULTS = 20

const { port1, port2 } = new MessageChannel()

/** @param {() => ArrayLike<number>} column */
const post = (column) => async () => {
  for (let id = 0; id < MESSAGES; id++) port1.postMessage({ id, run: 1, slot: 0, items: column(), indices: id })
  while (receiveMessageOnPort(port2));
}

const rows = []
for (const length of LENGTHS) {
  const numbers = Array.from({ length }, (_, at) => at / 3)
  const samples = await interleave(
    { plain: post(() => numbers), typed: post(() => new Float64Array(numbers)) },
    { rounds: ROUNDS, warmup: true },
  )
  const [plain = [], typed = []] = [samples.plain, samples.typed]
  const micros = (/** @type {number[]} */ times) => (median(times) * 1000) / MESSAGES
  rows.push({ length, plain: micros(plain), typed: micros(typed), ratio: ratio(typed, plain) })
}

/** Results of a part, each a copy of its own. @param {number} size @param {boolean} areGiven */
const postBytes = (size, areGiven) => async () => {
  const bytes = new Uint8Array(size).fill(1)
  for (let id = 0; id < MESSAGES / PART_RESULTS; id++) {
    const copies = Array.from({ length: PART_RESULTS }, () => bytes.slice())
    port1.postMessage({ id, values: copies }, areGiven ? copies.map(({ buffer }) => buffer) : [])
    receiveMessageOnPort(port2)
  }
}

const byteRows = []
for (const size of SIZES) {
  const samples = await interleave(
    { copied: postBytes(size, false), given: postBytes(size, true) },
    { rounds: ROUNDS, warmup: true },
  )
  const [copied = [], given = []] = [samples.copied, samples.given]
  const micros = (/** @type {number[]} */ times) => (median(times) * 1000) / MESSAGES
  byteRows.push({ size, copied: micros(copied), given: micros(given), ratio: ratio(given, copied) })
}
port1.close()

const LOOPS = 2000
/** What a thread does that masks bytes, one buffer after the other; `before` runs first. Tells how long that took, in ms. */
const masking = (/** @type {string} */ before) => `
  ${before}
  const bytes = new Uint8Array(100_000).fill(3)
  const mask = (to, from) => { for (let at = 0; at < from.length; at++) to[at] = from[at] ^ 5 }
  const began = performance.now()
  for (let loop = 0; loop < ${LOOPS}; loop++) mask(new Uint8Array(bytes.length), bytes)
  require('node:worker_threads').parentPort.postMessage(performance.now() - began)`

/** The code in a thread of its own: V8 never forgets that a buffer was given away there. @param {string} code */
const inThread = (code) => async () => {
  const worker = new Worker(code, { eval: true })
  const [took] = await once(worker, 'message')
  await worker.terminate()
  return took
}

const { intact = [], lost = [] } = await interleave(
  {
    intact: inThread(masking('')),
    lost: inThread(masking('const gone = new ArrayBuffer(8); structuredClone(gone, { transfer: [gone] })')),
  },
  { rounds: ROUNDS },
)
const loop = { intact: (median(intact) * 1000) / LOOPS, lost: (median(lost) * 1000) / LOOPS, ratio: ratio(lost, intact) }

printTable(
  'a column of numbers, there and read, µs a message',
  ['numbers', 'plain array', 'Float64Array', 'typed / plain'],
  rows.map((it) => [it.length, it.plain.toFixed(2), it.typed.toFixed(2), it.ratio.toFixed(2)]),
)
printTable(
  'bytes of which there is a copy, there and read, µs a result',
  ['bytes', 'copied again', 'given away', 'given / copied'],
  byteRows.map((it) => [it.size, it.copied.toFixed(2), it.given.toFixed(2), it.ratio.toFixed(2)]),
)
printTable(
  'a loop over 100 KB in a thread, µs',
  ['nothing was given away', 'a buffer was', 'was / was not'],
  [[loop.intact.toFixed(1), loop.lost.toFixed(1), loop.ratio.toFixed(2)]],
)
await saveResults('carriers', { rounds: ROUNDS, messages: MESSAGES, rows, byteRows, loop })
