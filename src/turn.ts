import { clearImmediate, setImmediate } from 'node:timers'

/**
 * Calls `action` with the next turn of the event loop; gives what has it left alone instead. As Node had it when this was loaded:
 * behind fake timers, which a test puts in place of the global ones, nothing that is awaited would come.
 */
export function inATurn(action: () => void): () => void {
  const immediate = setImmediate(action)
  return () => clearImmediate(immediate)
}

/**
 * Lets the event loop turn whole: timers and what has arrived have had their turn when it resolves. By two immediates, since
 * what goes on once a file has been read, such as an import, runs right before the immediates of the same turn.
 */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    inATurn(() => inATurn(resolve))
  })
}

/**
 * Longest time the event loop is kept waiting by pieces of work that are shorter each, in ms. Promise 5 of docs/architecture.md.
 */
export const SLICE_MS = 4

let turnedAt = 0

/** To be awaited between pieces of work: lets the event loop turn when that was SLICE_MS ago or more. */
export async function turnIfDue(): Promise<void> {
  if (performance.now() - turnedAt < SLICE_MS) return
  await turn()
  turnedAt = performance.now()
}
