import type { ResolvedOptions } from './options.ts'

/** Failures of an iterable count against a share only when so many items have settled: of three items one is no third. */
const SHARE_FLOOR = 100

/** Digits that every product of a percentage has right: 0.57 times 10,000 is 5,699.999999999999. */
const PRECISE_DIGITS = 15

/**
 * How many failures `maxFailures` tolerates when `settled` items have settled, of `known` in all; undefined: nobody knows how
 * many there are.
 */
export function countTolerated(maxFailures: ResolvedOptions['maxFailures'], settled: number, known: number | undefined): number {
  if ('count' in maxFailures) return maxFailures.count
  if (known === undefined && settled < SHARE_FLOOR) return Number.POSITIVE_INFINITY
  const product = maxFailures.percentage * (known ?? settled)
  return Math.floor(Number(product.toPrecision(PRECISE_DIGITS)) / 100)
}
