// @ts-check
import { Worker } from 'node:worker_threads'
import { collect } from '../pieces.mjs'

/** Time a chunk should take, growth from one to the next, and chunks that a worker has at once while items are short. */
const TARGET_MS = 10
const MAX_GROWTH = 4
const QUEUED = 2
const SHORT_ITEM_MS = 1
/** Items of a generator between two looks at who is idle. */
const LOOK_EVERY = 64

/** @type {import('../contend.mjs').Open} */
export function open(variant, workers) {
  return {
    map: (items) => (variant === 'static' ? mapStatic(items, workers) : mapDynamic(items, workers)),
    close: async () => {},
  }
}

const start = (/** @type {number} */ count) =>
  Array.from({ length: count }, () => new Worker(new URL('../workers/raw.mjs', import.meta.url)))

/** One equal part for each worker. @param {any[] | AsyncIterable<any>} source @param {number} count */
async function mapStatic(source, count) {
  const workers = start(count)
  const items = await collect(source)
  const size = Math.ceil(items.length / count)
  const parts = workers.map((worker, at) => {
    worker.postMessage(items.slice(at * size, (at + 1) * size))
    return new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
  })
  const results = (await Promise.all(parts)).flatMap((part) => part.results)
  for (const worker of workers) worker.terminate()
  return results
}

/**
 * What an experienced hand writes when costs vary: chunks that take TARGET_MS as far as the last one tells, smaller
 * towards the end, one more waiting at each worker while items are short.
 *
 * @param {any[] | AsyncIterable<any>} source @param {number} count
 */
async function mapDynamic(source, count) {
  /** @type {any[]} */
  const items = Array.isArray(source) ? source : []
  /** @type {any[][]} */
  const parts = []
  let next = 0
  let sent = 0
  let isRead = Array.isArray(source)
  let size = 1
  let itemTime = Number.POSITIVE_INFINITY
  const { promise, resolve, reject } = defer()
  const seats = start(count).map((worker) => ({ worker, waiting: /** @type {number[]} */ ([]) }))

  /** @param {typeof seats[number]} seat */
  const fill = ({ worker, waiting }) => {
    while (next < items.length && waiting.length < (itemTime < SHORT_ITEM_MS ? QUEUED : 1)) {
      const chunk = items.slice(next, next + Math.max(1, Math.min(size, Math.ceil((items.length - next) / (count * 2)))))
      next += chunk.length
      waiting.push(sent++)
      worker.postMessage(chunk)
    }
  }
  for (const seat of seats) {
    seat.worker.on('error', reject)
    seat.worker.on('message', ({ results, time }) => {
      parts[/** @type {number} */ (seat.waiting.shift())] = results
      itemTime = Math.max(time, 0.001) / results.length
      size = Math.ceil(Math.min(TARGET_MS / itemTime, results.length * MAX_GROWTH))
      fill(seat)
      if (isRead && seats.every(({ waiting }) => waiting.length === 0)) resolve()
    })
    fill(seat)
  }
  if (!Array.isArray(source)) {
    for await (const item of source) if (items.push(item) % LOOK_EVERY === 0) for (const seat of seats) fill(seat)
    for (const seat of seats) fill(seat)
  }
  isRead = true
  await promise
  for (const { worker } of seats) worker.terminate()
  return parts.flat()
}

/** `Promise.withResolvers` for Node 20. */
function defer() {
  /** @type {() => void} */
  let resolve = () => {}
  /** @type {(error: Error) => void} */
  let reject = () => {}
  const promise = new Promise((done, fail) => {
    resolve = () => done(undefined)
    reject = fail
  })
  return { promise, resolve, reject }
}
