// @ts-check
/**
 * Carriers: what a column of numbers costs to post and to receive as a plain array and as a Float64Array, by its length.
 *
 * Run it:  npm run build && node bench/carriers.bench.mjs
 *
 * Settles NUMBERS_TOGETHER in src/engine/protocol.ts. Both ends are on this thread, so only cloning counts and no waking.
 */
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads'
import { printTable, saveResults } from './results.mjs'
import { interleave, median, ratio } from './rounds.mjs'

const ROUNDS = 9
const MESSAGES = 10_000
const LENGTHS = [1, 4, 8, 16, 32, 64, 256]

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
port1.close()
printTable(
  'a column of numbers, there and read, µs a message',
  ['numbers', 'plain array', 'Float64Array', 'typed / plain'],
  rows.map((it) => [it.length, it.plain.toFixed(2), it.typed.toFixed(2), it.ratio.toFixed(2)]),
)
await saveResults('carriers', { rounds: ROUNDS, messages: MESSAGES, rows })
