/**
 * Retry and failures: what may be tried again, what may not, and what is left in the end.
 *
 * Run it:  node examples/failures.mjs
 *
 * Two of the seven orders need a second or third try. One is broken for good, and the task says so, so it is not tried
 * again. A failure is data: its item, its reason and how often it was tried. Above `maxFailures` (0 unless given) the run
 * rejects, and all that did finish is in the error's `report`.
 */
import { execute } from 'pawl'
import { priceOrder } from './tasks/price-order.mjs'

const orders = [
  { id: 'A1', pieces: 3, each: 250 },
  { id: 'B2', pieces: 1, each: 1999, flakyFor: 1 },
  { id: 'C3', pieces: 12, each: 20 },
  { id: 'D4', pieces: -5, each: 100 },
  { id: 'E5', pieces: 2, each: 75, flakyFor: 2 },
  { id: 'F6', pieces: 40, each: 3 },
  { id: 'G7', pieces: 1, each: 1 },
]
const options = { retry: { retries: 3, minTimeout: 10 } }

const report = await execute(priceOrder, orders, { ...options, maxFailures: 1 })
console.log(report.status, report.results)
for (const { item, attempts, kind, reason } of report.failures) {
  console.log(`${item.id} failed after ${attempts} try (${kind}): ${reason.message}`)
}
console.log(`${report.stats.retries} retries`)

const error = await execute(priceOrder, orders, options).catch((error) => error)
console.log(`${error.code}, what did finish is in hand: ${error.report.stats.succeeded > 0}`)

// Output:
// complete [ 750, 1999, 240, <1 empty item>, 150, 120, 1 ]
// D4 failed after 1 try (error): expected a number of pieces, got -5
// 3 retries
// ERR_PAWL_RUN_FAILED, what did finish is in hand: true
