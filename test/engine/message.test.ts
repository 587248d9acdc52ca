import { expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { createJob, type JobRun } from '../../src/engine/job.ts'
import { toMessage } from '../../src/engine/message.ts'
import { createPiece } from '../../src/engine/piece.ts'
import { NUMBERS_TOGETHER } from '../../src/engine/protocol.ts'
import type { RunContext } from '../../src/stages/stage.ts'
import type { Chunk } from '../../src/types.ts'

const messageOf = (chunk: Chunk) => {
  const run = { number: 1, setup: {} } as unknown as JobRun
  return toMessage(createPiece(createJob(chunk, run, { clock: systemClock } as RunContext).job, chunk), undefined, [])
}

test('toMessage() sends many numbers as one block, and of a buffer only what is asked for', () => {
  const indices = Uint32Array.of(0, 1, 2)
  const many = Array.from({ length: NUMBERS_TOGETHER }, (_, at) => [-0, Number.NaN][at] ?? at)
  expect(messageOf({ items: many, indices: Uint32Array.from(many.keys()) }).items).toEqual(Float64Array.from(many))
  const whole = Array.from({ length: NUMBERS_TOGETHER }, (_, at) => at - 5)
  expect(messageOf({ items: whole, indices: Uint32Array.from(whole.keys()) }).items).toEqual(Int32Array.from(whole))
  expect(messageOf({ items: Int32Array.of(1, 2, 3), indices }).items).toEqual([1, 2, 3])
  expect(messageOf({ items: [1, -0, Number.NaN], indices }).items).toEqual([1, -0, Number.NaN])
  expect(messageOf({ items: [1, 'two', 3], indices }).items).toEqual([1, 'two', 3])
  const shared = new Float64Array(new SharedArrayBuffer(1000 * Float64Array.BYTES_PER_ELEMENT))
  const view = messageOf({ items: shared.subarray(1, 501), indices: Uint32Array.from(many.keys()) }).items as Float64Array
  expect([view.length, view.buffer]).toEqual([500, shared.buffer])
  expect(messageOf({ items: shared.subarray(1, 4), indices }).items).toEqual([0, 0, 0])
  const bytes = messageOf({ items: Buffer.alloc(100_000).subarray(7, 10), indices }).items as Uint8Array
  expect([bytes.length, bytes.buffer.byteLength]).toEqual([3, 3])
})

test('toMessage() says indices in a row by their first, and copies others', () => {
  expect(messageOf({ items: ['a', 'b'], indices: Uint32Array.of(5, 6) }).indices).toBe(5)
  const gaps = messageOf({ items: ['a', 'b'], indices: new Uint32Array(1000).subarray(1, 3).fill(2, 1) }).indices as Uint32Array
  expect([[...gaps], gaps.buffer.byteLength]).toEqual([[0, 2], 8])
})
