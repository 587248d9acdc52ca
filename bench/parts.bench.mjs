// @ts-check
/**
 * Parts: what `partMs` in src/engine/worker.ts costs, and what it saves when a worker is lost.
 *
 * Run it:  npm run build && node bench/parts.bench.mjs
 *
 * A chunk that runs longer than `partMs` answers in parts. One part more is one message more: its cost is measured on
 * both sides in CPU time, by answering a chunk of numbers that take no time in as many parts as can be and then in one.
 * A lost worker takes at most `partMs` of its neighbours' work along, half of it on average: a worker that falls at the
 * end of a long chunk shows how many items really run twice.
 */
import { Worker } from 'node:worker_threads'
import { execute } from 'pawl'
import { printTable, saveResults } from './results.mjs'
import { median } from './rounds.mjs'
import { threadTime, watchOthers } from './work.mjs'

const ITEMS = 300_000
const ROUNDS = 9
const CHOICES = [1, 5, 10, 20, 50, 100, 200]
const FALLS = 500

const readOthers = watchOthers()
const worker = new Worker(new URL('./tasks/answer-in-parts.mjs', import.meta.url))

/** @param {number} partMs @returns {Promise<{ parts: number, worker: number, main: number }>} */
function answer(partMs) {
  const before = threadTime()
  let parts = 0
  return new Promise((resolve) => {
    const onMessage = (/** @type {{ time?: number }} */ { time }) => {
      if (time === undefined) {
        parts++
        return
      }
      worker.off('message', onMessage)
      resolve({ parts, worker: time, main: threadTime() - before })
    }
    worker.on('message', onMessage)
    worker.postMessage({ count: ITEMS, partMs })
  })
}

/** Time per part on either side, in ms. */
async function measureMessage() {
  await answer(0)
  await answer(Number.POSITIVE_INFINITY)
  const ours = []
  const theirs = []
  for (let round = 0; round < ROUNDS; round++) {
    const many = await answer(0)
    const one = await answer(Number.POSITIVE_INFINITY)
    theirs.push((many.worker - one.worker) / (many.parts - one.parts))
    ours.push((many.main - one.main) / (many.parts - one.parts))
  }
  return { worker: Math.max(0, median(theirs)), main: Math.max(0, median(ours)) }
}

/** Items run twice when the last of FALLS items of 1 ms, all in one chunk, takes its worker down. */
async function measureLoss() {
  const items = Array.from({ length: FALLS }, (_, i) => i)
  const losses = []
  for (let round = 0; round < 3; round++) {
    const starts = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
    await execute(new URL('./tasks/fall.mjs', import.meta.url), items, {
      workers: 1,
      mode: 'threads',
      chunkSize: FALLS,
      shared: { at: FALLS - 1, starts },
    })
    losses.push(Number(starts[0]) - FALLS)
  }
  return median(losses)
}

const message = await measureMessage()
await worker.terminate()
const runTwice = await measureLoss()
const choices = CHOICES.map((partMs) => ({
  partMs,
  workerShare: message.worker / partMs,
  mainShare: message.main / partMs,
  lostOnAverage: partMs / 2,
}))
const percent = (/** @type {number} */ share) => `${(share * 100).toFixed(3)} %`
printTable(
  `parts: one message more takes the worker ${(message.worker * 1000).toFixed(1)} µs and the main thread ${(message.main * 1000).toFixed(1)} µs (median of ${ROUNDS} rounds)`,
  ['partMs', "of a worker's time", 'of the main thread, per worker', 'work lost with a worker, ms'],
  choices.map((it) => [it.partMs, percent(it.workerShare), percent(it.mainShare), it.lostOnAverage]),
)
console.log(`of ${FALLS} items of 1 ms in one chunk, ${runTwice} ran twice when the last one took its worker down`)
await saveResults('parts', { rounds: ROUNDS, others: readOthers(), messageTime: message, choices, runTwice, items: FALLS })
