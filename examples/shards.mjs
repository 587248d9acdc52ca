/**
 * Shards: one run, several machines.
 *
 * Run it:  node examples/shards.mjs
 *
 * Each machine runs the same program with its own `shard` ('auto' takes it from Kubernetes, AWS Batch or SLURM) and a
 * store they all reach. Which shard an item belongs to follows from its key, so nobody has to hand items out. All shards
 * write into one run: `complete` in a report means this shard, `listRuns` tells of the whole. Here they take turns.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execute, listRuns, readResults } from 'pawl'

const directory = await mkdtemp(join(tmpdir(), 'pawl-'))
const numbers = Array.from({ length: 1000 }, (_, i) => i)

for (const shard of /** @type {const} */ (['1/3', '2/3', '3/3'])) {
  const { status, stats } = await execute((number) => number ** 2, numbers, { runId: 'squares', checkpoint: directory, shard })
  const [run] = await listRuns(directory)
  console.log(`shard ${shard} ${status}: ${stats.items} items; the run is ${run?.status}`)
}

let count = 0
let sum = 0
for await (const outcome of readResults(directory, 'squares')) {
  if (outcome.status !== 'fulfilled') throw outcome.reason
  if (outcome.index !== count++) throw new Error('results come in the order of the items')
  sum += /** @type {number} */ (outcome.value)
}
console.log(`${count} results, sum ${sum}`)

await rm(directory, { recursive: true })

// Output:
// shard 1/3 complete: 330 items; the run is partial
// shard 2/3 complete: 338 items; the run is partial
// shard 3/3 complete: 332 items; the run is complete
// 1000 results, sum 332833500
