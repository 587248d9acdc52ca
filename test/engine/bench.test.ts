import { expect, test } from 'vitest'
import { leastBusy, steal, takeBack } from '../../src/engine/balance.ts'
import type { Bench } from '../../src/engine/bench.ts'
import { claim, createRecorder, enter, prepare, slotOf } from '../../src/engine/flight-recorder.ts'
import type { Job } from '../../src/engine/job.ts'
import { HUNG_MS, isHung, isVain, LATE_MS, LOOK_MS, look, VAIN_MS } from '../../src/engine/late.ts'
import { createPiece, type Piece } from '../../src/engine/piece.ts'

const bench = (isProven: boolean, load = 0) =>
  ({
    ...{ isProven, ran: new Set(isProven ? [1] : []), knows: new Set(isProven ? [1] : []) },
    ...{ pieces: Array.from({ length: load }, () => ({})), doom: undefined },
  }) as Bench

test.each([0, 1])('leastBusy() gives a suspect the worker that has run nothing yet, also as number %i', (at) => {
  const fresh = bench(false)
  const benches = [bench(true), bench(true)]
  benches.splice(at, 0, fresh)
  expect(leastBusy(benches, true, 0)).toBe(fresh)
})

test('leastBusy() gives a suspect no worker that is busy, fresh or not', () => {
  const idle = bench(true)
  expect(leastBusy([bench(false, 1), idle], true, 0)).toBe(idle)
  expect(leastBusy([bench(false, 1)], true, 0)).toBeUndefined()
})

/** Of a run that was over at `endedAt`, if it was. */
function jobOf(number: number, endedAt?: number): Job {
  const run = { number, endedAt, itemTime: () => 0.1 }
  return { context: { draining: new AbortController().signal }, run } as unknown as Job
}

const JOB = jobOf(1)

/** A bench that was sent one piece of run 1, at 0 ms, and has begun nothing of it. */
function waiting({ isProven = false, isAlone = false, length = 1, job = JOB }) {
  const cells = createRecorder(2)
  const known = { isProven, ran: new Set(isProven ? [1] : []), knows: new Set([1]) }
  const one = { ...known, doom: undefined, seat: { cells }, pieces: [] } as unknown as Bench
  Object.assign(send(one, { isAlone, length, job }), { since: 0 })
  return one
}

/** Sends a piece behind what a bench has. */
function send({ seat, pieces }: Bench, { isAlone = false, length = 1, job = JOB }): Piece {
  const slot = pieces.length
  const chunk = { items: Array.from({ length }), indices: Uint32Array.from({ length }, (_, at) => at) }
  prepare(slotOf(seat.cells, slot), length)
  const piece = Object.assign(createPiece(job, chunk, isAlone), { slot })
  pieces.push(piece)
  return piece
}

/** One that was sent something of the run, and has begun nothing. */
function informed() {
  const sent = bench(false)
  sent.knows.add(1)
  return sent
}

test('leastBusy() passes over a worker that is late, but not one that runs something for long', () => {
  const late = waiting({})
  const full = bench(true, 2)
  expect(leastBusy([late, full], false, LATE_MS - 1)).toBe(late)
  expect(leastBusy([late, full], false, LATE_MS)).toBeUndefined()
  enter(slotOf(late.seat.cells, 0), 0, undefined)
  expect(leastBusy([late, full], false, LATE_MS)).toBe(late)
})

test.each([1, 6])('steal() takes all %i items from a thread that is not up, for one that is', (length) => {
  const late = waiting({ length })
  expect(steal([waiting({ isProven: true, length: 40 }), late], bench(true))?.chunk.indices).toHaveLength(length)
  expect(late.pieces[0]?.end).toBe(0)
})

test.each([
  ['for one that is not up either', waiting({}), bench(false)],
  ['that is about to run on a thread that is up', waiting({ isProven: true }), bench(true)],
  ['that is a suspect', waiting({ isAlone: true }), bench(true)],
])('steal() leaves an only item %s', (_, one, thief) => {
  expect(steal([one], thief)).toBeUndefined()
})

test.each([1, 6])('takeBack() takes all %i items from a late thread where another has their task, busy or not', (length) => {
  const late = waiting({ length })
  send(late, { length })
  const benches = [late, bench(true, 2)]
  expect(takeBack(benches, LATE_MS - 1)).toEqual([])
  expect(takeBack(benches, LATE_MS).map(({ chunk }) => chunk.items.length)).toEqual([length, length])
  expect(late.pieces.map(({ end }) => end)).toEqual([0, 0])
  expect(takeBack(benches, LATE_MS)).toEqual([])
})

test('takeBack() leaves what a thread that is late begins at that moment', () => {
  const late = waiting({ length: 2 })
  claim(slotOf(late.seat.cells, 0), 1)
  expect(takeBack([late, bench(true)], LATE_MS)).toEqual([])
  expect(late.pieces[0]?.end).toBe(2)
})

test.each([
  ['where no other thread has its task', waiting({}), [bench(false), informed()]],
  ['where the other that has its task is ended', waiting({}), [Object.assign(bench(true), { doom: 'idle' as const })]],
  ['that is a suspect, where no other thread may be sooner', waiting({ isAlone: true }), [informed(), waiting({})]],
  ['that is about to run on a thread that is up', waiting({ isProven: true }), [bench(true)]],
])('takeBack() leaves a piece %s', (_, one, others) => {
  expect(takeBack([one, ...others], LATE_MS)).toEqual([])
})

test.each([
  ['has its task', bench(true)],
  ['has not heard of its task yet', bench(false)],
])('takeBack() takes a suspect, as such, from a thread that is late, where another %s', (_, other) => {
  const taken = takeBack([waiting({ isAlone: true }), other], LATE_MS)
  expect(taken).toMatchObject([{ isAlone: true, chunk: { items: { length: 1 } } }])
})

test('takeBack() takes what waits behind the task of another run also where nobody has its own', () => {
  const late = waiting({})
  send(late, { job: jobOf(2) })
  expect(takeBack([late, informed()], LATE_MS).map(({ job }) => job.run.number)).toEqual([2])
})

test('isVain() is a thread that loads the task of a run that was over long ago', () => {
  expect(isVain(waiting({}), 10 * VAIN_MS)).toBe(false)
  const late = waiting({ job: jobOf(1, 5) })
  expect(isVain(late, 4 + VAIN_MS)).toBe(false)
  expect(isVain(late, 5 + VAIN_MS)).toBe(true)
  Object.assign(late.pieces[0] as object, { since: 7 })
  expect(isVain(late, 6 + VAIN_MS)).toBe(false)
  enter(slotOf(late.seat.cells, 0), 0, undefined)
  expect(isVain(late, 10 * VAIN_MS)).toBe(false)
})

/** Looks at a bench for so long. */
function lookFor(one: Bench, ms: number): void {
  for (let passed = 0; passed <= ms; passed += LOOK_MS) look(one)
}

test('isHung() is a thread that begins nothing more where the task is up, after as many looks as make up its time', () => {
  const still = waiting({ isProven: true })
  lookFor(still, HUNG_MS - LOOK_MS)
  expect(isHung(still)).toBe(false)
  look(still)
  expect(isHung(still)).toBe(true)
  enter(slotOf(still.seat.cells, 0), 0, undefined)
  expect(isHung(still)).toBe(false)
  look(still)
  ;(still.pieces[0] as Piece).settled = 1
  expect(isHung(still)).toBe(false)
  lookFor(still, HUNG_MS)
  expect(isHung(still)).toBe(true)
})

test.each([
  [50, LATE_MS],
  [5000, 5000],
  [60_000, HUNG_MS],
])('isHung() takes a `timeout` of %i ms for %i', (timeout, ms) => {
  const job = { ...JOB, run: { ...JOB.run, timeout } } as Job
  const still = waiting({ isProven: true, job })
  lookFor(still, ms - LOOK_MS)
  expect(isHung(still)).toBe(false)
  look(still)
  expect(isHung(still)).toBe(true)
})

test('isHung() is no thread in which the task has yet to come up', () => {
  const loading = waiting({})
  lookFor(loading, 10 * HUNG_MS)
  expect(isHung(loading)).toBe(false)
})

test('takeBack() takes once what a thread does not begin that ran others of the run', () => {
  const still = waiting({ isProven: true, length: 6 })
  const other = bench(true)
  expect(takeBack([still, other], LATE_MS)).toEqual([])
  lookFor(still, LATE_MS)
  expect(leastBusy([still], false, LATE_MS)).toBeUndefined()
  const [taken] = takeBack([still, other], LATE_MS) as [Piece]
  expect(taken.chunk.items).toHaveLength(6)
  const next = waiting({ isProven: true })
  next.pieces.splice(0, 1, Object.assign(taken, { slot: 0, since: 0 }))
  prepare(slotOf(next.seat.cells, 0), 6)
  lookFor(next, LATE_MS)
  expect(takeBack([next, other], LATE_MS)).toEqual([])
})
