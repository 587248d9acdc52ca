import { inATurn } from '../turn.ts'

/** What is to be pulled of an async iterator. */
export interface Pulling<T> {
  /** Asked before each item. */
  isWanted(): boolean
  /** False: what was accepted does not wait for an item that takes its time. */
  mayWait(): boolean
  /** What it throws, the pull rejects with. */
  accept(result: IteratorResult<T>): void
}

/**
 * Pulls an async iterator, one item at a time, until no more is wanted: then the promise resolves with true. It resolves with
 * false when the event loop has turned and the next item, which nothing was to wait for, is not there. That one is accepted
 * when it comes, and no other is asked for before the next call.
 */
export function createPull<T>(iterator: AsyncIterator<T>, { isWanted, mayWait, accept }: Pulling<T>): () => Promise<boolean> {
  let isAsking = false
  let failure: { readonly error: unknown } | undefined
  let stopTurning: (() => void) | undefined
  let wake = () => {}

  const limitWait = () => {
    if (!mayWait()) stopTurning ??= inATurn(wake)
  }

  const ask = async () => {
    isAsking = true
    try {
      while (isWanted()) {
        limitWait()
        accept(await iterator.next())
      }
    } catch (error) {
      failure = { error }
    }
    isAsking = false
    wake()
  }

  return async () => {
    if (!failure) {
      await new Promise<void>((resolve) => {
        wake = resolve
        if (isAsking) limitWait()
        else ask()
      })
    }
    stopTurning?.()
    stopTurning = undefined
    if (failure) throw failure.error
    return !isAsking
  }
}
