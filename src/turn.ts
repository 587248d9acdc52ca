/**
 * Lets the event loop turn whole: timers and what has arrived have had their turn when it resolves. By two immediates, since
 * what goes on once a file has been read, such as an import, runs right before the immediates of the same turn.
 */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(() => setImmediate(resolve))
  })
}
