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
