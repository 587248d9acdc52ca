import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatDuration, formatEstimate, parseDuration } from '../../src/cli/duration.ts'

describe('parseDuration()', () => {
  test.each([
    ['100ms', 100],
    ['30s', 30_000],
    ['1.5s', 1500],
    ['5m', 300_000],
    ['2h', 7_200_000],
    ['30d', 2_592_000_000],
    ['250', 250],
    ['0', 0],
  ])('reads %s as %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms)
  })

  test.each(['', 'soon', '-5s', '5 s', '5S', '1e3', 's', '5mm', '١s', '1h30m'])('refuses %j', (text) => {
    expect(parseDuration(text)).toBeUndefined()
  })

  test('gives a finite number >= 0 or undefined for any text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[\d.]{1,6}(ms|s|m|h|d)?$/)), (text) => {
        const ms = parseDuration(text)
        expect(ms === undefined || (Number.isFinite(ms) && ms >= 0)).toBe(true)
      }),
    )
  })
})

describe('formatDuration()', () => {
  test.each([
    [0, '0ms'],
    [850.4, '850ms'],
    [12_340, '12.3s'],
    [59_999, '1m 00s'],
    [245_000, '4m 05s'],
    [7_380_000, '2h 03m'],
    [273_600_000, '3d 4h'],
  ])('writes %d ms as %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text)
  })
})

describe('formatEstimate()', () => {
  test.each([
    [3, 'about 1s'],
    [15_200, 'about 15s'],
    [59_999, 'about 60s'],
    [245_000, 'about 4m'],
    [7_380_000, 'about 2h 03m'],
  ])('writes %d ms as %s', (ms, text) => {
    expect(formatEstimate(ms)).toBe(text)
  })
})
