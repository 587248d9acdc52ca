// @ts-check
import { Bench } from 'tinybench'

/**
 * One thing to be measured: a run of it, or a function that gives the milliseconds of it when not all it does counts.
 *
 * @typedef {() => Promise<number | void>} Contender
 */

/**
 * Runs every contender once a round, so that a slow moment of the machine hits all alike. Resolves with the samples of
 * each, in ms, round by round.
 *
 * @param {Record<string, Contender>} contenders
 * @param {{ rounds: number, warmup?: boolean, drop?: (name: string, sample: number, best: number) => boolean }} options
 * `warmup`: run one more round first that does not count, default false. `drop`: asked after the first counted round,
 * true for a contender that need not be measured again.
 * @returns {Promise<Record<string, number[]>>}
 */
export async function interleave(contenders, { rounds, warmup = false, drop = () => false }) {
  /** @type {Record<string, number[]>} */
  const samples = Object.fromEntries(Object.keys(contenders).map((name) => [name, []]))
  let going = Object.entries(contenders)
  for (let round = warmup ? -1 : 0; round < rounds; round++) {
    for (const [name, sample] of await runOnce(going)) if (round >= 0) samples[name]?.push(sample)
    if (round !== 0) continue
    const firsts = Object.values(samples).map(([first]) => first ?? 0)
    const best = Math.min(...firsts)
    going = going.filter(([name]) => !drop(name, /** @type {number} */ (samples[name]?.[0]), best))
  }
  return samples
}

/**
 * @param {[string, Contender][]} contenders
 * @returns {Promise<[string, number][]>}
 */
async function runOnce(contenders) {
  const bench = new Bench({ iterations: 1, time: 0, warmup: false, throws: true, retainSamples: true })
  for (const [name, run] of contenders) {
    bench.add(
      name,
      async () => {
        const duration = await run()
        if (typeof duration === 'number') return { overriddenDuration: duration }
      },
      { async: true },
    )
  }
  await bench.run()
  return bench.tasks.map(({ name, result }) => {
    if (result.state !== 'completed') throw new Error(`Cannot measure ${name}: expected a completed run, got ${result.state}`)
    return [name, /** @type {number} */ (result.latency.samples?.[0])]
  })
}

/** @param {readonly number[]} samples at least one */
export function median(samples) {
  const sorted = samples.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = /** @type {number} */ (sorted[middle])
  return sorted.length % 2 === 1 ? upper : (upper + /** @type {number} */ (sorted[middle - 1])) / 2
}

/**
 * Median of the quotients of two contenders' samples of the same round.
 *
 * @param {readonly number[]} samples
 * @param {readonly number[]} base
 */
export function ratio(samples, base) {
  const shared = Math.min(samples.length, base.length)
  return median(
    Array.from({ length: shared }, (_, round) => /** @type {number} */ (samples[round]) / /** @type {number} */ (base[round])),
  )
}
