// @ts-check
/** A worker written by hand: answers a list of items with the list of results and the time they took. */
import { parentPort } from 'node:worker_threads'
import * as tasks from '../tasks.mjs'

const task = /** @type {Record<string, Function>} */ (tasks)[process.env.PEERS_TASK ?? '']

parentPort?.on('message', (/** @type {any[]} */ items) => {
  const began = performance.now()
  const results = items.map((item) => task?.(item))
  parentPort?.postMessage({ results, time: performance.now() - began })
})
