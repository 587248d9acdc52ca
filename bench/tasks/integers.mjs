// @ts-check
/** Work that depends on the item as an integer: one remainder, sum or shift after the other. */

/** @param {number} n */
export function isPrime(n) {
  if (n < 2) return false
  for (let divisor = 2; divisor * divisor <= n; divisor++) if (n % divisor === 0) return false
  return true
}

/** How many steps n takes to 1. @param {number} n */
export function collatz(n) {
  let steps = 0
  for (let at = n; at !== 1; steps++) at = at % 2 === 0 ? at / 2 : 3 * at + 1
  return steps
}

/** @param {number} n */
export function sumTo(n) {
  let sum = 0
  for (let i = 0; i < n; i++) sum = (sum + (i ^ n)) | 0
  return sum
}
