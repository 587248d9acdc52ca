/** Resolves with the answer, or with undefined when the event loop has turned and the answer is not there. */
export type Turn = <V>(answer: Promise<V>) => Promise<V | undefined>

/** One turn of the event loop, from the first answer that is waited for. Promise.race would keep each answer until the turn. */
export function untilEventLoopTurns(): Turn {
  let hasBegun = false
  let wake: (() => void) | undefined
  let isOver = false
  return (answer) => {
    if (!hasBegun) {
      hasBegun = true
      setImmediate(() => {
        isOver = true
        wake?.()
      })
    }
    return new Promise((resolve, reject) => {
      wake = () => resolve(undefined)
      if (isOver) wake()
      answer.then(resolve, reject)
    })
  }
}
