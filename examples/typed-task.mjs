/**
 * Typed task: a task in a module of its own, typed from end to end.
 *
 * Run it:  node examples/typed-task.mjs
 *
 * `defineTask` remembers its module, so workers can import it with everything it needs, and its types: an item that is no
 * page is an error in the editor, and so is `results[0].wordz`. This is the form to prefer.
 */
import { execute } from 'pawl'
import { describePage } from './tasks/describe-page.mjs'

const pages = [
  { title: 'Ratchet', text: 'A ratchet turns one way only. A pawl is the catch that holds it.' },
  { title: 'Capstan', text: 'A capstan has pawls at its foot. They click as it turns.' },
]

const { results, stats } = await execute(describePage, pages)

for (const { title, words, longest, digest } of results) {
  console.log(`${title}: ${words} words, the longest is '${longest}', SHA-256 ${digest.slice(0, 8)}…`)
}
console.log(`${stats.succeeded} succeeded, ${stats.failed} failed`)

// Output:
// Ratchet: 14 words, the longest is 'ratchet', SHA-256 03fd2b1a…
// Capstan: 12 words, the longest is 'capstan', SHA-256 841b7759…
// 2 succeeded, 0 failed
