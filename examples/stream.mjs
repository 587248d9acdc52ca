/**
 * Stream: more items and results than one wants to hold.
 *
 * Run it:  node examples/stream.mjs
 *
 * The generator is pulled no faster than its items are worked on, outcomes come as they settle, in any order, and with
 * `collect: false` none is kept. Leaving the loop early would end the run.
 */
import { stream } from 'pawl'

function* numbers() {
  for (let number = 1; number <= 200_000; number++) yield number
}

const countSteps = (/** @type {number} */ start) => {
  let steps = 0
  for (let number = start; number !== 1; steps++) number = number % 2 === 0 ? number / 2 : 3 * number + 1
  return steps
}

const outcomes = stream(countSteps, numbers(), { collect: false })

let settled = 0
let longest = { start: 0, steps: -1 }
for await (const outcome of outcomes) {
  settled++
  if (outcome.status === 'rejected') throw outcome.reason
  const start = outcome.index + 1
  const isLonger = outcome.value > longest.steps || (outcome.value === longest.steps && start < longest.start)
  if (isLonger) longest = { start, steps: outcome.value }
}
const { status, results } = await outcomes.report

console.log(`${status}: ${settled} outcomes, ${results.length} kept`)
console.log(`${longest.start} takes ${longest.steps} steps down to 1, more than any other`)

// Output:
// complete: 200000 outcomes, 0 kept
// 156159 takes 382 steps down to 1, more than any other
