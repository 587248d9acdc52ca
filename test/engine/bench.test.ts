import { expect, test } from 'vitest'
import { ALONE_MS, type Bench, leastBusy, steal } from '../../src/engine/bench.ts'
import { createRecorder, prepare, slotOf } from '../../src/engine/flight-recorder.ts'
import { createPiece, type Job } from '../../src/engine/job.ts'

const bench = (isProven: boolean, load = 0) =>
  ({
    ...{ isProven, ran: new Set(isProven ? [1] : []), knows: new Set(isProven ? [1] : []) },
    ...{ pieces: Array.from({ length: load }, () => ({})), doom: undefined },
  }) as Bench

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
  const piece = Object.assign(createPiece(job, chunk, isAlone), { slot: 0, since: 0 })
  prepare(slotOf(cells, 0), length)
  return { isProven, ran: new Set(isProven ? [1] : []), doom: undefined, seat: { cells }, pieces: [piece] } as unknown as Bench
}

/** One that was sent something of the run, and has begun nothing. */
function late() {
  const sent = bench(false)
  sent.knows.add(1)
  return sent
}

test.each([1, 6])('steal() takes all %i items from a thread that is not up, for one that is', (length) => {
  const late = waiting({ length })
  expect(steal([waiting({ isProven: true, length: 40 }), late], bench(true), 0)?.chunk.indices).toHaveLength(length)
  expect(late.pieces[0]?.end).toBe(0)
})

test.each([
  ['for one that is not up either', waiting({}), bench(false), ALONE_MS],
  ['that is about to run on a thread that is up', waiting({ isProven: true }), bench(true), ALONE_MS],
  ['that is a suspect and may have its own thread soon', waiting({ isAlone: true }), bench(true), ALONE_MS - 1],
  ['that is a suspect, for one that has not come up itself', waiting({ isAlone: true }), late(), ALONE_MS],
  ['that is a suspect, whose thread is up', waiting({ isAlone: true, isProven: true }), bench(true), ALONE_MS],
])('steal() leaves an only item %s', (_, one, thief, now) => {
  expect(steal([one], thief, now)).toBeUndefined()
})

test.each([
  ['is up', bench(true)],
  ['has not heard of its task yet', bench(false)],
])('steal() takes a suspect, as such, from a thread that did not come up in time, for one that %s', (_, thief) => {
  expect(steal([waiting({ isAlone: true })], thief, ALONE_MS)).toMatchObject({ isAlone: true, chunk: { items: { length: 1 } } })
})
