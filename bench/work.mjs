// @ts-check
import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'

/**
 * Keeps the thread busy with a fixed amount of work, whoever else wants its core meanwhile.
 *
 * @param {number} rounds of a loop; see `roundsPerMs`
 */
export function work(rounds) {
  let state = rounds
  for (let i = 0; i < rounds; i++) state = (Math.imul(state, 1_103_515_245) + 12_345) | 0
  return state
}

/** How many rounds of `work` this machine does in a millisecond when nobody disturbs it. */
export function roundsPerMs() {
  const rounds = 1_000_000
  let least = Number.POSITIVE_INFINITY
  for (let i = 0; i < 20; i++) {
    const began = performance.now()
    work(rounds)
    least = Math.min(least, performance.now() - began)
  }
  return rounds / least
}

/** CPU time this thread has used, in ms: waits and what other threads took do not count. Without Linux, the time its event loop was busy. */
export function threadTime() {
  try {
    return Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[0]) / 1e6
  } catch {
    return performance.eventLoopUtilization().active
  }
}

/** Starts to watch; the function it returns gives the share of all cores that other processes took since, from 0 to 1. */
export function watchOthers() {
  const before = readCores()
  const own = process.cpuUsage()
  return () => {
    const { busy, all } = readCores()
    const { user, system } = process.cpuUsage(own)
    return Math.max(0, (busy - before.busy - (user + system) / 1000) / (all - before.all))
  }
}

/** Time of all cores since the machine was started, in ms. */
function readCores() {
  let busy = 0
  let idle = 0
  for (const { times } of cpus()) {
    busy += times.user + times.nice + times.sys + times.irq
    idle += times.idle
  }
  return { busy, all: busy + idle }
}
