// @ts-check
/**
 * Started in a process of its own by start-up.bench.mjs with the name of what to measure and an argument. Prints one
 * number: milliseconds, or bytes.
 */
import { availableParallelism } from 'node:os'

const workers = availableParallelism()
const pawlTask = new URL('./spin.mjs', import.meta.url)
const piscinaTask = new URL('./spin-chunk.mjs', import.meta.url).href

/** @type {Record<string, (argument: string) => Promise<number>>} */
const measurements = {
  import: async (name) => {
    const began = performance.now()
    await import(name)
    return performance.now() - began
  },

  'pawl first result': async () => {
    const { execute } = await import('pawl')
    const began = performance.now()
    let first = Number.NaN
    const outcome = () => {
      first = Number.isNaN(first) ? performance.now() - began : first
    }
    await execute(pawlTask, [1, 2, 3, 4], { mode: 'threads', workers, shared: 1, on: { outcome } })
    return first
  },

  'pawl all': async () => {
    const began = performance.now()
    const { execute } = await import('pawl')
    await execute(pawlTask, [1, 2, 3, 4], { workers, shared: 1 })
    return performance.now() - began
  },

  'piscina first result': async () => {
    const { Piscina } = await import('piscina')
    const began = performance.now()
    const pool = new Piscina({ filename: piscinaTask, minThreads: workers, maxThreads: workers, workerData: 1 })
    const runs = [1, 2, 3, 4].map((item) => pool.run(item))
    await Promise.race(runs)
    const first = performance.now() - began
    await Promise.all(runs)
    await pool.destroy()
    return first
  },

  'piscina all': async () => {
    const began = performance.now()
    const { Piscina } = await import('piscina')
    const pool = new Piscina({ filename: piscinaTask, minThreads: workers, maxThreads: workers, workerData: 1 })
    await Promise.all([1, 2, 3, 4].map((item) => pool.run(item)))
    await pool.destroy()
    return performance.now() - began
  },

  memory: async (count) => {
    const { execute } = await import('pawl')
    const items = Array.from({ length: Number(count) }, () => IDLE_MS)
    const running = execute(new URL('./idle.mjs', import.meta.url), items, {
      workers: items.length,
      mode: 'threads',
      chunkSize: 1,
    })
    await new Promise((resolve) => setTimeout(resolve, IDLE_MS * 0.75))
    const { rss } = process.memoryUsage()
    await running
    return rss
  },
}

/** Long enough for all threads to be up three quarters through it. */
const IDLE_MS = 1500

const [name = '', argument = ''] = process.argv.slice(2)
const measure = measurements[name]
if (!measure) throw new Error(`Cannot measure: expected one of ${Object.keys(measurements).join(', ')}, got ${name}`)
console.log(await measure(argument))
