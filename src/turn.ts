/**
 * Lets the event loop turn whole: timers and what has arrived have had their turn when it resolves. By two immediates, since
 * what goes on once a file has been read, such as an import, runs right before the immediates of the same turn.
 */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(() => setImmediate(resolve))
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
