import { expect, test } from 'vitest'
import { watchStandstill } from '../../src/engine/standstill.ts'

/** What a watch tells after each `[gap, time on a processor]`, in ms. */
function tell(...looks: readonly (readonly [number, number])[]): number[] {
  let [now, used] = [1000, 77]
  const stoodStill = watchStandstill(now, () => used)
  return looks.map(([gap, ran]) => {
    now += gap
    used += ran
    return stoodStill(now)
  })
}

test('watchStandstill() tells how long the process was stopped, as nobody had a processor meanwhile', () => {
  expect(tell([8, 3], [5000, 0], [8, 3], [60_000, 100])).toEqual([0, 4968, 0, 59_900])
})

test('watchStandstill() takes for no stop what keeps the main thread busy, nor timers that are as late as usual', () => {
  expect(tell([5000, 5000], [5000, 20_000], [32, 0], [8, 0])).toEqual([0, 0, 0, 0])
})

test('watchStandstill() asks what the process ran since the last look, not since its beginning', () => {
  expect(tell([5000, 5000], [5000, 0])).toEqual([0, 4968])
})
