import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { escapeJson, formatBytes, printable, table } from '../../src/cli/terminal.ts'

const STEERING = /\p{Cc}|[\u2028\u2029\u202a-\u202e\u2066-\u2069]/u

describe('printable()', () => {
  test('escapes what would steer a terminal and leaves the rest', () => {
    expect(printable('a\x1b[31m\u009b2J\n\u202eé\u{1f600}')).toBe('a\\x1b[31m\\x9b2J\\n\\u202eé\u{1f600}')
  })

  test('leaves no steering character in any text', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => !STEERING.test(printable(text))))
  })
})

describe('escapeJson()', () => {
  test('is the same JSON without steering characters', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const json = escapeJson(JSON.stringify({ text }))
        expect(STEERING.test(json)).toBe(false)
        expect(JSON.parse(json)).toEqual({ text })
      }),
    )
  })
})

describe('table()', () => {
  test('has no colours and escapes its cells', async () => {
    const drawn = await table(['run'], [['a\x1b[2J']])
    expect(drawn).toContain('a\\x1b[2J')
    expect(drawn).not.toContain('\x1b')
  })
})

describe('formatBytes()', () => {
  test.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.0 kB'],
    [1_234_567, '1.2 MB'],
    [5e15, '5000.0 TB'],
  ])('writes %d as %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text)
  })
})
