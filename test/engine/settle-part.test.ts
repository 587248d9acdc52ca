import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { createJob, type JobRun } from '../../src/engine/job.ts'
import { createPiece, cutPiece } from '../../src/engine/piece.ts'
import type { PartMessage } from '../../src/engine/protocol.ts'
import { settlePart } from '../../src/engine/settle-part.ts'
import type { RunContext } from '../../src/stages/stage.ts'
import { msgpackCodec } from '../../src/values/msgpack.ts'

/** A piece of the items 10 to 15, and what its job settles. */
function createSubject(record?: 'msgpack') {
  const tally = { attempts: 0, crashes: 0, timeouts: 0, chunks: 0, taskTime: 0 }
  const readRecord = (bytes: Uint8Array) => ({ count: msgpackCodec.countIn(bytes) })
  const run = { setup: { record }, tally, readRecord } as unknown as JobRun
  const chunk = { items: ['a', 'b', 'c', 'd', 'e', 'f'], indices: Uint32Array.from([10, 11, 12, 13, 14, 15]) }
  const { job, done } = createJob(chunk, run, { clock: systemClock } as RunContext)
  return { piece: createPiece(job, chunk), tally, done }
}

const error = { name: 'Error', message: 'no', stack: undefined }
const failed = (...places: number[]) => places.map((place) => ({ place, kind: 'error' as const, error }))
const WHOLE = { id: 1, from: 0, to: 6, end: true, taskTime: 1 }

describe('settlePart()', () => {
  test('settles what adds up, part by part', async () => {
    const { piece, tally, done } = createSubject()
    expect(settlePart(piece, { ...WHOLE, to: 2, end: false, values: [undefined, 'B'] }, 0)).toBeUndefined()
    expect(settlePart(piece, { ...WHOLE, from: 2, values: ['D', 'F'], rejected: failed(2, 4) }, 0)).toBeUndefined()
    const { fulfilled, rejected } = await done
    expect(fulfilled.map(({ indices, values }) => [[...indices], values])).toEqual([
      [
        [10, 11],
        [undefined, 'B'],
      ],
      [
        [13, 15],
        ['D', 'F'],
      ],
    ])
    expect(rejected.map(({ index }) => index)).toEqual([12, 14])
    expect(tally).toMatchObject({ attempts: 6, taskTime: 2 })
  })

  test('settles numbers of another realm, as a thread answers to a test runner that has all of this in a vm', async () => {
    const { piece, done } = createSubject()
    const numbers = runInNewContext('Float64Array.of(1, 2, 3, 4, 5, 6)')
    expect(settlePart(piece, { ...WHOLE, values: numbers }, 0)).toBeUndefined()
    expect((await done).fulfilled).toMatchObject([{ values: numbers }])
  })

  const values = ['A', 'B', 'C', 'D', 'E', 'F']
  test.each<[string, Partial<PartMessage>]>([
    ['a value too few', { values: values.slice(1) }],
    ['a value too many', { values: [...values, 'G'] }],
    ['no values', {}],
    ['values that are none', { values: 'ABCDEF' }],
    ['a place without a value', { values: Object.assign(new Array(6), ['A', undefined, 'C']) }],
    ['a value for what failed', { values, rejected: failed(3) }],
    ['a failure behind its places', { to: 3, values: values.slice(0, 2), rejected: failed(3) }],
    ['failures out of their order', { values: values.slice(2), rejected: failed(4, 3) }],
    ['one item that failed twice', { values: values.slice(2), rejected: failed(3, 3) }],
    ['a failure that is none', { values: values.slice(1), rejected: [undefined] as never }],
    [
      'a failure without an error',
      { values: values.slice(1), rejected: [{ place: 3, kind: 'error', error: undefined as never }] },
    ],
    ['places behind the piece', { to: 7, values: [...values, 'G'] }],
    ['places that were not next', { from: 1, values: values.slice(1) }],
    ['places backwards', { to: -1, values: [] }],
    ['no places', { to: Number.NaN, values }],
    ['no time', { values, taskTime: Number.NaN }],
    ['a record that nobody asked for', { record: msgpackCodec.encode(values).bytes }],
    ['word that the thread is spoiled', { values, spoiled: 'word that it is' }],
  ])('believes nothing of a part with %s', async (_, part) => {
    const { piece, tally, done } = createSubject()
    expect(settlePart(piece, { ...WHOLE, ...part }, 0)).toEqual(expect.any(String))
    expect([piece.settled, tally.attempts, tally.taskTime]).toEqual([0, 0, 0])
    expect(settlePart(piece, { ...WHOLE, values }, 0)).toBeUndefined()
    expect((await done).fulfilled).toMatchObject([{ values }])
  })

  test.each<[string, Partial<PartMessage>]>([
    ['values that are not packed', { values }],
    ['a record of too few', { record: msgpackCodec.encode(values.slice(1)).bytes }],
    ['a record that is none', { record: 'nssssss' as never }],
    ['a record of no bytes', { record: new Uint8Array() }],
    ['a record where all failed', { record: msgpackCodec.encode(['A']).bytes, rejected: failed(0, 1, 2, 3, 4, 5) }],
  ])('believes nothing of a part that is to be recorded with %s', async (_, part) => {
    const { piece, done } = createSubject('msgpack')
    expect(settlePart(piece, { ...WHOLE, ...part }, 0)).toEqual(expect.any(String))
    const record = msgpackCodec.encode(values).bytes
    expect(settlePart(piece, { ...WHOLE, record }, 0)).toBeUndefined()
    expect((await done).fulfilled).toMatchObject([{ record }])
  })

  test('believes nothing of places that were taken from the worker', () => {
    const { piece } = createSubject()
    cutPiece(piece, 4, 6)
    piece.end = 4
    expect(settlePart(piece, { ...WHOLE, values }, 0)).toEqual(expect.any(String))
    expect(settlePart(piece, { ...WHOLE, to: 4, values: values.slice(0, 4) }, 0)).toBeUndefined()
  })
})
