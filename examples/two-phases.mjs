/**
 * Two phases: one pool for both, the second maps the results of the first, each resumes by itself.
 *
 * Run it:  node examples/two-phases.mjs
 *
 * `program()` is called twice, as if it were started twice. The first time it is stopped in its second phase. The second
 * time the first phase is answered from the checkpoint; its results are the same, so the second phase is recognised as
 * the run that was begun, and goes on. Nobody has to remember how far it came.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createExecutor } from 'pawl'
import { stretch } from './tasks/stretch.mjs'

const directory = await mkdtemp(join(tmpdir(), 'pawl-'))
const words = Array.from({ length: 60 }, (_, i) => `word-${i}`)

async function program(/** @type {AbortSignal | undefined} */ signal, /** @type {() => void} */ onOutcome) {
  const executor = createExecutor({ checkpoint: directory })
  try {
    const first = await executor.execute(stretch, words)
    console.log(`first phase: ${first.stats.restored} restored, ${first.stats.dispatched} dispatched`)
    return await executor.execute(stretch, first.results, { signal, on: { outcome: onOutcome } })
  } finally {
    await executor.close()
  }
}

const stop = new AbortController()
let settled = 0
const stopped = await program(stop.signal, () => ++settled === 20 && stop.abort()).catch((error) => error)
console.log(`second phase: ${stopped.code}`)

const { stats, status } = await program(undefined, () => {})
console.log(`second phase: ${status}, at least 20 restored: ${stats.restored >= 20}`)
console.log(`only the rest was dispatched: ${stats.restored + stats.dispatched === stats.items}`)

await rm(directory, { recursive: true })

// Output:
// first phase: 0 restored, 60 dispatched
// second phase: ERR_PAWL_ABORTED
// first phase: 60 restored, 0 dispatched
// second phase: complete, at least 20 restored: true
// only the rest was dispatched: true
