import { expect, test } from 'vitest'
import { type Bench, leastBusy, steal } from '../../src/engine/bench.ts'
import { createRecorder, prepare, slotOf } from '../../src/engine/flight-recorder.ts'
import { createPiece, type Job } from '../../src/engine/job.ts'

const bench = (isProven: boolean, load = 0) =>
  ({ isProven, ran: new Set(isProven ? [1] : []), pieces: Array.from({ length: load }, () => ({})), doom: undefined }) as Bench

test.each([0, 1])('leastBusy() gives a suspect the worker that has run nothing yet, also as number %i', (at) => {
  const fresh = bench(false)
  const benches = [bench(true), bench(true)]
  benches.splice(at, 0, fresh)
  expect(leastBusy(benches, true)).toBe(fresh)
})

test('leastBusy() gives a suspect no worker that is busy, fresh or not', () => {
  const idle = bench(true)
  expect(leastBusy([bench(false, 1), idle], true)).toBe(idle)
  expect(leastBusy([bench(false, 1)], true)).toBeUndefined()
})

const job = { context: { draining: new AbortController().signal }, run: { number: 1, itemTime: () => 0.1 } } as unknown as Job

/** A bench that was sent one piece and has begun nothing of it. */
function waiting({ isProven = false, isAlone = false, length = 1 }) {
  const cells = createRecorder(1)
  const chunk = { items: Array.from({ length }), indices: Uint32Array.from({ length }, (_, at) => at) }
  const piece = Object.assign(createPiece(job, chunk, isAlone), { slot: 0 })
  prepare(slotOf(cells, 0), length)
  return { isProven, ran: new Set(isProven ? [1] : []), doom: undefined, seat: { cells }, pieces: [piece] } as unknown as Bench
}

test.each([1, 6])('steal() takes all %i items from a thread that is not up, for one that is', (length) => {
  const late = waiting({ length })
  expect(steal([waiting({ isProven: true, length: 40 }), late], bench(true))?.chunk.indices).toHaveLength(length)
  expect(late.pieces[0]?.end).toBe(0)
})

test.each([
  ['for one that is not up either', waiting({}), bench(false)],
  ['where it is a suspect', waiting({ isAlone: true }), bench(true)],
  ['that is about to run on a thread that is up', waiting({ isProven: true }), bench(true)],
])('steal() leaves an only item %s', (_, late, thief) => {
  expect(steal([late], thief)).toBeUndefined()
})
