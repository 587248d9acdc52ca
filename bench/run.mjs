// @ts-check
/**
 * Runs every bench of this folder, one after the other, each in a process of its own. Results are in bench/results/.
 * What stands beside the peers is in bench/peers/.
 *
 * Run it:  npm run bench      (about 25 minutes on two cores)
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describeMachine } from './results.mjs'

const { cpu, cores, memory, platform, node } = describeMachine()
console.log(`${cpu}, ${cores} cores, ${memory} GiB, ${platform}, Node ${node}`)
const began = performance.now()
const names = (await readdir(import.meta.dirname)).filter((name) => name.endsWith('.bench.mjs')).sort()
for (const name of names) {
  const start = performance.now()
  const child = spawn(process.execPath, [join(import.meta.dirname, name)], { stdio: 'inherit' })
  const [code, signal] = await once(child, 'exit')
  if (code !== 0) {
    console.error(`${name} ended with ${signal ?? `exit code ${code}`}`)
    process.exitCode = 1
  }
  console.log(`${name}: ${((performance.now() - start) / 1000).toFixed(0)} s`)
}
console.log(`all benches: ${((performance.now() - began) / 60_000).toFixed(1)} minutes`)
