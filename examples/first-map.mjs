/**
 * First map: one function, many items, all cores.
 *
 * Run it:  node examples/first-map.mjs
 *
 * The function is sent to the workers as source, so it must not use anything from outside itself; typed-task.mjs shows
 * the form for functions that do. `results[i]` belongs to item `i`. Chunks and threads are chosen while the run goes on.
 */
import { execute } from 'pawl'

const limits = Array.from({ length: 40 }, (_, i) => (i + 1) * 5000)

const { status, results } = await execute((limit) => {
  let primes = 0
  for (let candidate = 2; candidate <= limit; candidate++) {
    let divisor = 2
    while (divisor * divisor <= candidate && candidate % divisor !== 0) divisor++
    if (divisor * divisor > candidate) primes++
  }
  return primes
}, limits)

console.log(status, results.length)
console.log(`primes up to ${limits[0]}: ${results[0]}`)
console.log(`primes up to ${limits[39]}: ${results[39]}`)

// Output:
// complete 40
// primes up to 5000: 669
// primes up to 200000: 17984
