// @ts-check
/** Loaded before a program, prints as the last line on stderr what it took: times in ms, memory in bytes. */
import { isMainThread } from 'node:worker_threads'
import { threadTime } from '../work.mjs'

if (isMainThread) {
  process.once('exit', () => {
    const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage()
    const cpu = (userCPUTime + systemCPUTime) / 1000
    const usage = { wall: performance.now(), busy: threadTime(), cpu, memory: maxRSS * 1024 }
    process.stderr.write(`${JSON.stringify(usage)}\n`)
  })
}
