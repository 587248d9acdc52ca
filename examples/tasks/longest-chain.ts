import { defineTask } from 'pawl'

interface Chain {
  readonly start: number
  readonly steps: number
}

/** The number up to `limit` that takes most steps down to 1: halved when it is even, else tripled plus one. */
export default defineTask(import.meta.url, (limit: number): Chain => {
  let longest: Chain = { start: 1, steps: 0 }
  for (let start = 1; start <= limit; start++) {
    let steps = 0
    for (let number = start; number !== 1; steps++) number = number % 2 === 0 ? number / 2 : 3 * number + 1
    if (steps > longest.steps) longest = { start, steps }
  }
  return longest
})
