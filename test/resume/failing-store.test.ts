import { execute, fileStore, readResults, type Store } from 'pawl'
import { expect, test } from 'vitest'
import { noted } from '../fixtures/tasks/noted.mjs'
import { errorOf, newPlace, range } from './place.ts'

const ITEMS = range(8)

/** A run on record, and its store, of which reading a segment fails while `state.dead` says so. */
async function newRun() {
  const { runs } = newPlace()
  await execute(noted, ITEMS, { runId: 'run', checkpoint: runs })
  const inner = fileStore(runs)
  const state = { dead: (_read: number) => false, reads: 0 }
  const store: Store = {
    ...inner,
    get: async (key, range) => {
      if (!key.includes('/seg/')) return inner.get(key, range)
      if (state.dead(++state.reads)) throw Object.assign(new Error('reduce your request rate'), { code: 'SlowDown' })
      return inner.get(key, range)
    },
  }
  return { store, state }
}

test('a store that fails once while values are restored is asked again, whichever read it was', async () => {
  for (let k = 1; ; k++) {
    const { store, state } = await newRun()
    state.dead = (read) => read === k
    const { results, stats } = await execute(noted, ITEMS, { runId: 'run', checkpoint: store })
    expect([results.length, stats.restored, stats.dispatched]).toEqual([8, 8, 0])
    if (state.reads < k) break
  }
})

test('a store that goes on failing while values are restored ends the run with an error of pawl, a report, and all on record', async () => {
  const { store, state } = await newRun()
  const { restored } = (await execute(noted, ITEMS, { runId: 'run', checkpoint: store })).stats
  expect(restored).toBe(8)
  const last = state.reads
  Object.assign(state, { reads: 0, dead: (read: number) => read >= last })
  const error = await errorOf(execute(noted, ITEMS, { runId: 'run', checkpoint: store }))
  expect(error).toMatchObject({
    code: 'ERR_PAWL_CHECKPOINT_WRITE',
    cause: { code: 'SlowDown' },
    report: { runId: 'run', status: 'partial', stats: { dispatched: 0 } },
  })
  expect(error.message).toMatch(
    /^Cannot open the checkpoint of run 'run': expected the store to answer, got reduce your request rate\. Nothing was run: see to the store, then run again$/,
  )
  state.dead = () => false
  const values: unknown[] = []
  for await (const outcome of readResults(store, 'run')) values.push(outcome.status)
  expect(values).toEqual(ITEMS.map(() => 'fulfilled'))
  expect((await execute(noted, ITEMS, { runId: 'run', checkpoint: store })).stats).toMatchObject({ restored: 8, dispatched: 0 })
})
