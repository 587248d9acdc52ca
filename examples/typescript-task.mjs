/**
 * TypeScript task: a task in a `.ts` file, run as it is.
 *
 * Run it:  node examples/typescript-task.mjs      (Node 22.18 or later)
 *
 * Node takes no `.ts` below `node_modules`. Where this lies there, copy it and `tasks/longest-chain.ts` out first, into a project
 * whose `package.json` says `"type": "module"`.
 *
 * Node itself strips the types, on the main thread and in the workers. An older Node refuses the file: compile it first.
 */
import { execute } from 'pawl'
import longestChain from './tasks/longest-chain.ts'

const { results } = await execute(longestChain, [10, 1000, 100_000])

for (const { start, steps } of results) console.log(`${start} takes ${steps} steps`)

// Output:
// 9 takes 19 steps
// 871 takes 178 steps
// 77031 takes 350 steps
