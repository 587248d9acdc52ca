import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nameShard, readShard, shardOf } from '../../src/items/shard.ts'

describe('readShard()', () => {
  test('gives nothing when nothing was asked for', () => {
    expect(readShard(undefined, { JOB_COMPLETION_INDEX: '1', PAWL_SHARD_COUNT: '4' })).toBeUndefined()
  })

  test('reads K/N from 1, whatever a scheduler says', () => {
    expect(readShard('2/4', { JOB_COMPLETION_INDEX: '0', PAWL_SHARD_COUNT: '9' })).toEqual({ index: 1, count: 4 })
  })

  test.each([
    ['Kubernetes, the first pod', { JOB_COMPLETION_INDEX: '0', PAWL_SHARD_COUNT: '4' }, '1/4'],
    ['Kubernetes, the last pod', { JOB_COMPLETION_INDEX: '3', PAWL_SHARD_COUNT: '4' }, '4/4'],
    ['AWS Batch', { AWS_BATCH_JOB_ARRAY_INDEX: '9999', AWS_BATCH_JOB_ARRAY_SIZE: '10000' }, '10000/10000'],
    ['SLURM --array=0-7', slurm(5, 0, 1, 8), '6/8'],
    ['SLURM --array=1-4', slurm(1, 1, 1, 4), '1/4'],
    ['SLURM --array=1-4, the last task', slurm(4, 1, 1, 4), '4/4'],
    ['SLURM --array=10-50:20', slurm(50, 10, 20, 3), '3/3'],
    ['SLURM --array=3', slurm(3, 3, 1, 1), '1/1'],
    ['SLURM that does not tell the step', { ...slurm(2, 0, 1, 4), SLURM_ARRAY_TASK_STEP: undefined }, '3/4'],
    [
      'AWS Batch on Kubernetes',
      { JOB_COMPLETION_INDEX: '0', AWS_BATCH_JOB_ARRAY_INDEX: '3', AWS_BATCH_JOB_ARRAY_SIZE: '4' },
      '4/4',
    ],
  ])("'auto' reads %s", (_, env, expected) => {
    const shard = readShard('auto', env)
    expect(shard && nameShard(shard)).toBe(expected)
  })

  test.each([
    ['no scheduler', {}, /JOB_COMPLETION_INDEX, PAWL_SHARD_COUNT\), got \{\}/],
    [
      'Kubernetes without a count',
      { JOB_COMPLETION_INDEX: '1' },
      /environment PAWL_SHARD_COUNT beside JOB_COMPLETION_INDEX, got \{ JOB_COMPLETION_INDEX: '1' \}\. .*PAWL_SHARD_COUNT is for you to set/,
    ],
    ['an index past the count', { JOB_COMPLETION_INDEX: '4', PAWL_SHARD_COUNT: '4' }, /equal parts/],
    ['a count of none', { JOB_COMPLETION_INDEX: '0', PAWL_SHARD_COUNT: '0' }, /equal parts/],
    ['an index that is no number', { JOB_COMPLETION_INDEX: 'x', PAWL_SHARD_COUNT: '4' }, /equal parts/],
    ['an empty index', { JOB_COMPLETION_INDEX: '', PAWL_SHARD_COUNT: '4' }, /equal parts/],
    [
      'AWS Batch without a size',
      { AWS_BATCH_JOB_ARRAY_INDEX: '1' },
      /environment AWS_BATCH_JOB_ARRAY_SIZE beside AWS_BATCH_JOB_ARRAY_INDEX, got [^.]*$/,
    ],
    ['SLURM --array=1,2,7', slurm(7, 1, 1, 3), /equal parts/],
    ['SLURM between two steps', slurm(15, 10, 20, 3), /equal parts/],
    ['SLURM below its least', slurm(0, 1, 1, 3), /equal parts/],
  ])("'auto' refuses %s", (_, env, message) => {
    expect(() => readShard('auto', env)).toThrow(
      expect.objectContaining({ code: 'ERR_PAWL_INVALID_OPTION', option: 'shard', message: expect.stringMatching(message) }),
    )
  })

  test('gives every task of a SLURM array another part of the same whole', () => {
    fc.assert(
      fc.property(fc.nat(1000), fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 50 }), (min, step, count) => {
        const shards = Array.from({ length: count }, (_, at) => readShard('auto', slurm(min + at * step, min, step, count)))
        expect(shards).toEqual(Array.from({ length: count }, (_, index) => ({ index, count })))
      }),
    )
  })
})

describe('shardOf()', () => {
  test('puts every item into one of the parts, by key or by index', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.option(fc.string(), { nil: undefined }),
        fc.integer({ min: 1, max: 999_999 }),
        (index, key, count) => {
          const shard = shardOf(index, key, count)
          expect(Number.isSafeInteger(shard) && shard >= 0 && shard < count).toBe(true)
        },
      ),
    )
  })

  test('goes by the key alone where there is one, so that an item stays in its part when it moves', () => {
    expect(shardOf(3, 'photo.png', 16)).toBe(shardOf(99, 'photo.png', 16))
  })

  test.each([2, 3, 7, 64])('cuts 100,000 indices into %i parts within a tenth of equal', (count) => {
    const sizes = new Array(count).fill(0)
    for (let index = 0; index < 100_000; index++) sizes[shardOf(index, undefined, count)]++
    const even = 100_000 / count
    expect(Math.max(...sizes)).toBeLessThan(even * 1.1)
    expect(Math.min(...sizes)).toBeGreaterThan(even * 0.9)
  })
})

/** The variables of one task of a SLURM array. */
function slurm(id: number, min: number, step: number, count: number): Record<string, string> {
  return {
    SLURM_ARRAY_TASK_ID: String(id),
    SLURM_ARRAY_TASK_MIN: String(min),
    SLURM_ARRAY_TASK_MAX: String(min + step * (count - 1)),
    SLURM_ARRAY_TASK_STEP: String(step),
    SLURM_ARRAY_TASK_COUNT: String(count),
  }
}
