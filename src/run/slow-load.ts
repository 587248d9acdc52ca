import type { Emit } from '../types.ts'

/** So long a task loads before that is worth a word, in ms. Its import may wait for what never comes. */
const SLOW_LOAD_MS = 10_000

/**
 * Warns once that the task loads for long, be it in the thread that took the place of a lost one. `loadingFor`: how long it has
 * been loading, in ms; 0 when it is up. Gives what ends the watch.
 */
export function watchLoading(loadingFor: () => number, emit: Emit): () => void {
  let timer: NodeJS.Timeout | undefined
  const lookIn = (ms: number) => {
    timer = setTimeout(() => {
      const left = SLOW_LOAD_MS - loadingFor()
      if (left > 0) lookIn(left)
      else emit('warning', { code: 'TASK_LOADING', message: SLOW_LOAD })
    }, ms).unref()
  }
  lookIn(SLOW_LOAD_MS)
  return () => clearTimeout(timer)
}

const SLOW_LOAD =
  'Still loading the task: expected its module to be imported within seconds, got no item that began. See what it waits for at its top level'
