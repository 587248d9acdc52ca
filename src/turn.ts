import timers from 'node:timers'

/**
 * As they were when this was loaded. A test may put others in their place, of which none goes off until it is told to: but what
 * threads answer arrives in turns of the event loop, whatever time the test says it is.
 */
export const { clearImmediate, setImmediate } = timers

/**
 * Lets the event loop turn whole: timers and what has arrived have had their turn when it resolves. By two immediates, since
 * what goes on once a file has been read, such as an import, runs right before the immediates of the same turn.
 */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(() => setImmediate(resolve))
  })
}
