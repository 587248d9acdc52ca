/**
 * Checkpoint and resume: stopped half way, gone on with by running the same program again.
 *
 * Run it:  node examples/resume.mjs
 *
 * `session()` is the whole program; it is called three times here, as if it were started three times. The first is told
 * to stop after 50 outcomes. The second goes on: what is recorded is restored and not run again. The third finds all of
 * it done. The run has no name to remember: it is known by its task and its items.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execute } from 'pawl'
import { stretch } from './tasks/stretch.mjs'

const directory = await mkdtemp(join(tmpdir(), 'pawl-'))
const words = Array.from({ length: 200 }, (_, i) => `word-${i}`)

async function session(/** @type {{ stopAfter?: number }} */ { stopAfter }) {
  const stop = new AbortController()
  let settled = 0
  const outcome = () => ++settled === stopAfter && stop.abort(new Error('somebody pulled the plug'))
  return execute(stretch, words, { checkpoint: directory, signal: stop.signal, on: { outcome } })
}

const first = await session({ stopAfter: 50 }).catch((error) => error)
const finished = first.report.stats.succeeded
console.log(`${first.code}: ${first.cause.message}`)

const second = await session({})
const { restored, dispatched, items } = second.stats
console.log(`${second.status}: what had finished was restored: ${restored === finished && restored >= 50}`)
console.log(`only the rest was dispatched: ${restored + dispatched === items}`)

const third = await session({})
console.log(`${third.status}: ${third.stats.restored} restored, ${third.stats.dispatched} dispatched`)
console.log(`the same results: ${third.results.every((digest, i) => digest === second.results[i])}`)

await rm(directory, { recursive: true })

// Output:
// ERR_PAWL_ABORTED: somebody pulled the plug
// complete: what had finished was restored: true
// only the rest was dispatched: true
// complete: 200 restored, 0 dispatched
// the same results: true
