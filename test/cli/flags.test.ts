import { describe, expect, test } from 'vitest'
import { FLAGS, toCheckpoint, toOptions } from '../../src/cli/flags.ts'

describe('FLAGS', () => {
  test.each([
    ['workers', '4', 4],
    ['chunkSize', 'auto', 'auto'],
    ['retries', '3', 3],
    ['timeout', '30s', 30_000],
    ['maxFailures', '5%', '5%'],
    ['maxFailures', '7', 7],
    ['config', '{"a":[1]}', { a: [1] }],
    ['shard', '2/4', '2/4'],
    ['seed', '-1.5', -1.5],
    ['preempt', 'auto', 'auto'],
    ['timeLimit', '55m', 3_300_000],
  ] as const)('--%s takes %s', (name, text, value) => {
    expect(FLAGS[name].parse(text)).toEqual(value)
  })

  test.each([
    ['workers', '0', "Cannot use option '--workers': expected an integer from 1 to 1024, got '0'"],
    ['workers', 'many', "Cannot use option '--workers': expected an integer from 1 to 1024, got 'many'"],
    ['retries', '1.5', "Cannot use option '--retries': expected an integer >= 0, got '1.5'"],
    ['timeout', 'soon', "Cannot use option '--timeout': expected a duration such as 100ms, 30s, 5m, 2h or 7d"],
    ['timeout', '30d', ", at least 1 ms and at most 24.8 days (2147483647 ms), got '30d'"],
    ['drainTimeout', '30d', "(a bare number is milliseconds), at most 24.8 days (2147483647 ms), got '30d'"],
    ['maxFailures', '101%', "Cannot use option '--max-failures'"],
    ['format', 'xml', "Cannot use option '--format': expected 'msgpack' or 'json', got 'xml'"],
    ['config', '{a}', "Cannot use option '--config': expected JSON, got '{a}'"],
    ['shard', '5/4', "Cannot use option '--shard'"],
    ['preempt', 'aws', "Cannot use option '--preempt': expected 'auto', got 'aws'"],
    ['key', '', "Cannot use option '--key'"],
  ] as const)('--%s refuses %s by its name', (name, text, message) => {
    expect(() => FLAGS[name].parse(text)).toThrow(message)
  })

  test('check() refuses what a manifest may hold but a flag may not', () => {
    expect(() => FLAGS.workers.check('4')).toThrow('--workers')
    expect(() => FLAGS.timeLimit.check({})).toThrow('--time-limit')
    expect(() => FLAGS.compress.check('gzip')).toThrow('--compress')
  })
})

describe('toOptions() and toCheckpoint()', () => {
  test('give the names execute() knows', () => {
    expect(toOptions({ retries: 2, workers: 3, maxFailures: '5%' })).toMatchObject({ retry: 2, workers: 3, maxFailures: '5%' })
    expect(
      toCheckpoint('runs', { checkpointEvery: 10, checkpointInterval: 50, compress: true, keep: 1, format: 'json' }),
    ).toEqual({
      store: 'runs',
      format: 'json',
      every: 10,
      interval: 50,
      compress: 'gzip',
      keep: 1,
    })
  })
})
