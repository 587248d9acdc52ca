// @ts-check
/** A worker that maps chunks by hand, with nothing around the task, and answers how long that took. */
import { parentPort } from 'node:worker_threads'
import fractions from './fractions.mjs'

parentPort?.on('message', (/** @type {number[][]} */ chunks) => {
  const began = performance.now()
  for (const chunk of chunks) chunk.map(fractions)
  parentPort?.postMessage(performance.now() - began)
})
