import type { Clock } from '../../clock.ts'
import type { Store } from '../../store/store.ts'
import { eachCall } from './each-call.ts'

/** The wish of somebody outside that the run should end, who may not wait for it. */
export interface Haste {
  /** Aborts when the run is told to end. */
  readonly signal: AbortSignal
  /** When it was told, in monotonic time, in ms; undefined: it was not. */
  readonly toldAt: number | undefined
  /** When the process has to have ended, in monotonic time, in ms; infinite: nobody said. */
  readonly deadline: number
}

/** Notes when `signal` aborts. Of one that has aborted before, that counts as now. */
export function createHaste(signal: AbortSignal, clock: Clock, deadline = Number.POSITIVE_INFINITY): Haste {
  let toldAt = signal.aborted ? clock.now() : undefined
  const note = () => {
    toldAt = clock.now()
  }
  signal.addEventListener('abort', note, { once: true })
  return {
    signal,
    deadline,
    get toldAt() {
      return toldAt
    },
  }
}

/**
 * `store` for work that no record depends on: asked nothing more once the run is told to end, each further call rejects. What is
 * under way then is left behind the call at hand, as a crash would leave it, and the next session does it.
 */
export function atLeisure(store: Store, { signal }: Haste): Store {
  return eachCall(store, async (call) => {
    signal.throwIfAborted()
    return call()
  })
}
