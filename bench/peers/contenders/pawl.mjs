// @ts-check
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createExecutor } from '../../../dist/index.js'

/**
 * On an executor, since no contender is timed while it ends its threads, which `execute` by itself waits for.
 *
 * @type {import('../contend.mjs').Open}
 */
export function open(variant) {
  const task = { module: new URL('../tasks.mjs', import.meta.url), export: process.env.PEERS_TASK ?? '' }
  const executor = createExecutor()
  const directory = variant ? mkdtemp(join(tmpdir(), 'pawl-bench-')) : undefined
  const format = /** @type {'msgpack' | 'json'} */ (variant)
  return {
    map: async (items) => {
      const checkpoint = directory && { store: await directory, format }
      return (await executor.execute(task, items, { checkpoint })).results
    },
    close: async () => {
      await executor.close()
      if (directory) await rm(await directory, { recursive: true })
    },
  }
}
