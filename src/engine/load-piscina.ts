import { createRequire } from 'node:module'
import { join } from 'node:path'
import { MessageChannel } from 'node:worker_threads'
import type * as Module from 'piscina'
import { turn } from '../turn.ts'

/** Files of Piscina that take a fourth of its time to load each, with what they load. */
const PARTS = ['task_queue/array_queue.js', 'task_queue/index.js', 'worker_pool/index.js']

/**
 * Piscina's class. The event loop turns between some of its files: all at once would hold the main thread for 8 ms. They are
 * loaded as the CommonJS they are: imported, each would be read for the names it exports besides. Set by bench/peers,
 * 'small-cold' (its delay, and its wall time).
 */
export async function loadPiscina(): Promise<typeof Module.Piscina> {
  await turn()
  const require = createRequire(import.meta.url)
  const main = require.resolve('piscina')
  await turn()
  for (const part of PARTS) {
    try {
      require(join(main, '..', part))
    } catch {} // Another version may name its files otherwise; then they come with the rest.
    await turn()
  }
  const { Piscina } = require(main) as typeof Module
  await turn()
  openFirstChannel()
  await turn() // Before the first thread is started, which takes a few ms itself.
  return Piscina
}

/** What Node loads and makes for the first channel of a process takes 2 ms, and a thread is started with two channels. */
function openFirstChannel(): void {
  const { port1 } = new MessageChannel()
  port1.on('message', () => {})
  port1.close()
}
