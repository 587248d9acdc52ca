/**
 * So long may pass from one look to the next before it is asked whether the process ran meanwhile, in ms: four times as long as
 * the timeout watch asks for. Lower, and timers that are late as usual are looked into; higher, and so much of a stop counts.
 */
const USUAL_GAP_MS = 32

/**
 * Gives a function that, called again and again, tells how much of the time since its last call the process may have stood
 * still, in ms: it was stopped (SIGSTOP, Ctrl-Z, a frozen container), or its machine was. `now` is any monotonic time, in ms.
 *
 * Nothing tells a process that it was stopped. But then it had no time on a processor either, which the main thread has where
 * it is kept from looking by code that runs, and a thread whose item loops. What waits for a file or another process in
 * one call passes for a stop: an item has more time then, and none too little.
 */
export function watchStandstill(now: number, cpuTime: () => number = readCpuTime): (now: number) => number {
  let seen = now
  let used = cpuTime()
  return (at) => {
    const [gap, before] = [at - seen, used]
    seen = at
    used = cpuTime()
    return Math.max(0, gap - Math.max(USUAL_GAP_MS, used - before))
  }
}

/** Time that all threads of the process have run, in ms. */
function readCpuTime(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
