import { expect, test } from 'vitest'
import { type Bench, leastBusy } from '../../src/engine/bench.ts'

const bench = (isProven: boolean, load = 0) =>
  ({ isProven, pieces: Array.from({ length: load }, () => ({})), doom: undefined }) as Bench

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
