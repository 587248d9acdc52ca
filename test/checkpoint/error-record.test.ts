import { describe, expect, test } from 'vitest'
import { recordError } from '../../src/checkpoint/format/error-record.ts'
import type { Codec } from '../../src/values/contract.ts'
import { jsonCodec } from '../../src/values/json.ts'

/** The record of an error with these fields, and how often the codec was asked for it. */
function record(fields: object) {
  let asked = 0
  const codec: Codec = {
    ...jsonCodec,
    encode: (...args) => {
      asked++
      return jsonCodec.encode(...args)
    },
  }
  const recorded = recordError(Object.assign(new Error('lost'), fields), codec, () => {}) as { fields?: object }
  return { fields: recorded.fields, asked }
}

const many = (count: number, value: unknown) =>
  Object.fromEntries(Array.from({ length: count }, (_, at) => [`k${at}`, typeof value === 'function' ? value() : value]))

describe('recordError()', () => {
  test('keeps of fields with many parts that JSON cannot hold the others', () => {
    const { fields, asked } = record({ a: { ...many(4000, Number.NaN), n: 1 }, b: { ...many(4000, undefined), n: 2 }, c: 3 })
    expect(fields).toEqual({ a: { n: 1 }, b: { n: 2 }, c: 3 })
    expect(asked).toBeLessThan(10)
  })

  test('asks for a thousand parts at most, however many fields they are in, and keeps what can be held whole', () => {
    const large = Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`f${at}`, { ...many(500, () => new Set()), n: 1 }]))
    const { fields, asked } = record({ ...large, whole: Array.from({ length: 50_000 }, (_, at) => at) })
    expect(fields).toEqual({ f0: { n: 1 }, f1: { n: 1 }, whole: expect.any(Array) })
    expect(asked).toBeLessThan(1100)
  })

  test('asks once for what is in many places', () => {
    const parts = [new Map([[1, 1]]), Object.assign([1], { extra: 1 }), new Uint8Array(8)]
    const { fields, asked } = record({ rows: Array.from({ length: 900 }, (_, n) => ({ n, part: parts[n % 3] })) })
    expect(fields).toEqual({ rows: Array.from({ length: 900 }, (_, n) => ({ n })) })
    expect(asked).toBeLessThan(10)
  })

  test('counts what errors in it have', () => {
    const inner = Array.from({ length: 100 }, () => Object.assign(new Error('part'), { rows: many(500, () => new Set()) }))
    expect(record({ errors: inner }).asked).toBeLessThan(1300)
  })
})
