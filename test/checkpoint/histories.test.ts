import fc from 'fast-check'
import { expect, test } from 'vitest'
import { verifyRun } from '../../src/checkpoint/stored/runs.ts'
import { readResults } from '../../src/stored-runs.ts'
import { abandon, FORMS, failing, IDENTITY, type Opened, open, outcomes, readAll, rejection, STORES } from './fixture.ts'

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('record' as const), from: fc.nat(60), count: fc.integer({ min: 1, max: 8 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('fail' as const), index: fc.nat(60) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('begin' as const), index: fc.nat(60) }) },
  { weight: 2, arbitrary: fc.constant({ do: 'flush' as const }) },
)
const session = fc.record({
  steps: fc.array(step, { maxLength: 12 }),
  isKilled: fc.boolean(),
  form: fc.constantFrom(...FORMS),
  keep: fc.constantFrom(0, 2),
})

test.each(Object.entries(STORES))('any history of sessions keeps what it acknowledged, in %s', async (_, create) => {
  await fc.assert(
    fc.asyncProperty(fc.array(session, { maxLength: 24 }), async (sessions) => {
      const store = await create()
      const identity = { ...IDENTITY, items: { kind: 'array' as const, count: 100 } }
      const acknowledged = new Set<number>()
      const failed = new Set<number>()
      for (const { steps, isKilled, form, keep } of sessions) {
        const opened = await open(store, { ...form, keep, identity })
        await check(opened, acknowledged, failed)
        const pending: { settled: number[]; failed: number[] } = { settled: [], failed: [] }
        const flushed = () => {
          for (const index of pending.settled.splice(0)) acknowledged.add(index)
          for (const index of pending.failed.splice(0)) failed.add(index)
        }
        const done = new Set<number>()
        for (const given of steps) {
          if (given.do === 'begin') opened.begin({ indices: Uint32Array.of(given.index) })
          if (given.do === 'record') {
            const fresh = Array.from({ length: given.count }, (__, at) => given.from + at).filter(
              (index) => !done.has(index) && !acknowledged.has(index),
            )
            for (const index of fresh) done.add(index)
            if (fresh.length > 0) opened.record(outcomes(fresh))
            pending.settled.push(...fresh)
          }
          if (given.do === 'fail' && !done.has(given.index) && !acknowledged.has(given.index)) {
            done.add(given.index)
            opened.record(failing(rejection(given.index, new Error(`no ${given.index}`))))
            pending.failed.push(given.index)
          }
          if (given.do === 'flush') {
            await opened.flush()
            flushed()
          }
        }
        if (isKilled) await abandon(store, opened)
        else {
          await opened.close()
          flushed()
        }
      }
      const last = await open(store, { identity })
      await check(last, acknowledged, failed)
      await last.close()
      const order: number[] = []
      if (acknowledged.size + failed.size > 0) for await (const { index } of readResults(store, 'run-1')) order.push(index)
      expect(order).toEqual([...new Set([...acknowledged, ...failed])].sort((a, b) => a - b))
      expect(await verifyRun(store, 'run-1')).toEqual({ ok: true, damaged: [] })
    }),
    { numRuns: 40 },
  )
})

async function check(
  { restored, events }: Opened,
  acknowledged: ReadonlySet<number>,
  failed: ReadonlySet<number>,
): Promise<void> {
  const rejected = [...failed].filter((index) => !acknowledged.has(index))
  expect(events).toEqual([])
  expect(restored).toMatchObject({ fulfilled: acknowledged.size, rejected: rejected.length, damaged: 0, conflicts: 0 })
  const read = await readAll(restored)
  expect(new Set(read.values.keys())).toEqual(acknowledged)
  for (const [index, value] of read.values) expect(value).toEqual({ value: index })
  expect(new Set(read.rejected.map(({ index, reason }) => `${index} ${reason?.message}`))).toEqual(
    new Set(rejected.map((index) => `${index} no ${index}`)),
  )
}
