import { describe, expect, test } from 'vitest'
import { planDrain } from '../../src/cli/signals.ts'

describe('planDrain', () => {
  test.each([
    // limit, drain timeout, begins at, takes
    [60_000, undefined, 49_000, 10_000],
    [20_000, undefined, 14_000, 5000],
    [60_000, 5000, 54_000, 5000],
    [60_000, 30_000, 29_000, 30_000],
    [60_000, 60_000, 29_000, 30_000],
    [15_000, 120_000, 6750, 7500],
    [60_000, 0, 59_000, 0],
    [0, undefined, 0, 0],
  ])('a limit of %d with a drain timeout of %s begins at %d and takes %d', (limit, timeout, stopAt, drainTimeout) => {
    expect(planDrain(limit, timeout)).toEqual({ stopAt, drainTimeout })
  })
})
