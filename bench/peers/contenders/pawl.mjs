// @ts-check
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createExecutor, execute } from '../../../dist/index.js'

/** @type {import('../contend.mjs').Open} */
export function open(variant, _workers, { again }) {
  const task = { module: new URL('../tasks.mjs', import.meta.url), export: process.env.PEERS_TASK ?? '' }
  if (variant) return openSaving(task, /** @type {'msgpack' | 'json'} */ (variant))
  if (!again) return { map: async (items) => (await execute(task, items)).results, close: async () => {} }
  const executor = createExecutor()
  return { map: async (items) => (await executor.execute(task, items)).results, close: () => executor.close() }
}

/** @param {import('../../../dist/index.js').TaskRef<any, any>} task @param {'msgpack' | 'json'} format @returns {ReturnType<import('../contend.mjs').Open>} */
function openSaving(task, format) {
  const directory = mkdtemp(join(tmpdir(), 'pawl-bench-'))
  return {
    map: async (items) => (await execute(task, items, { checkpoint: { store: await directory, format } })).results,
    close: async () => rm(await directory, { recursive: true }),
  }
}
