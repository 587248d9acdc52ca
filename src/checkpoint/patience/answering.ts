import type { Clock } from '../../clock.ts'
import { CheckpointWriteError } from '../../errors.ts'
import type { Store } from '../../store/store.ts'
import { type Ask, eachCall } from './each-call.ts'
import type { Haste } from './haste.ts'
import { HASTY_PATIENCE, SilentStoreError } from './patient-writes.ts'

/**
 * How long any call may take, in ms, also behind the deadline; and all others together once one took too long: a claim may yet be
 * given back.
 */
const LEAST_PATIENCE = 1000

/**
 * Waits are cut into so many: of a process that was stopped meanwhile only one of them is over as it goes on, and answers may be
 * there.
 */
const WAITS = 5

interface AnsweringOptions {
  readonly runId: string
  readonly clock: Clock
  readonly haste: Haste
}

/**
 * The store of a run, of which each call comes to an end once the run is told to end: rejects then with a CheckpointWriteError
 * unless it answers within 5 s, or half of what is left until the deadline, but at least 1 s. Whatever takes its time before
 * that is only slow. What a call was to do may still be done behind it; but what was deleted since is deleted again then.
 */
export function answering(store: Store, options: AnsweringOptions): Store {
  return eachCall(store, createAsk(options), inOrder(store))
}

/**
 * What is put behind its deletion, since nobody waited for the put any more, is not to stay: a claim would be in the way of all.
 */
function inOrder(store: Store): Pick<Store, 'put' | 'delete'> {
  const puts = new Map<string, { isDeleted: boolean }>()
  return {
    put: async (key, bytes, how) => {
      const put = { isDeleted: false }
      puts.set(key, put)
      try {
        await store.put(key, bytes, how)
        if (put.isDeleted) await store.delete(key)
      } finally {
        if (puts.get(key) === put) puts.delete(key)
      }
    },
    delete: async (key) => {
      const put = puts.get(key)
      if (put) put.isDeleted = true
      await store.delete(key)
    },
  }
}

/** A call that has not been answered. */
interface Question {
  reject(error: Error): void
  /** Ends the wait for its time to be over; there is one once the run is told to end. */
  over: AbortController | undefined
}

function createAsk({ runId, clock, haste: { signal, deadline } }: AnsweringOptions): Ask {
  const open = new Set<Question>()
  let silence: { readonly error: Error; readonly end: number } | undefined

  const close = (question: Question) => {
    open.delete(question)
    question.over?.abort()
  }
  const giveUp = (patience: number) => {
    silence ??= { error: silent(runId, patience), end: clock.now() + LEAST_PATIENCE }
    for (const question of open) {
      close(question)
      question.reject(silence.error)
    }
  }
  const limit = async (question: Question) => {
    const now = clock.now()
    const patience = silence
      ? Math.max(0, silence.end - now)
      : Math.max(LEAST_PATIENCE, Math.min(HASTY_PATIENCE, (deadline - now) / 2))
    question.over = new AbortController()
    for (let waits = 0; waits < WAITS; waits++) await clock.sleep(patience / WAITS, question.over.signal)
    giveUp(patience)
  }
  const limitUnlessAnswered = (question: Question) => void limit(question).catch(() => {})
  const limitAll = () => {
    for (const question of open) limitUnlessAnswered(question)
  }
  signal.addEventListener('abort', limitAll, { once: true })

  return (call) =>
    new Promise((resolve, reject) => {
      const question: Question = { reject, over: undefined }
      open.add(question)
      if (signal.aborted) limitUnlessAnswered(question)
      const answer = async () => call()
      answer()
        .then(resolve, reject)
        .finally(() => close(question))
    })
}

function silent(runId: string, patience: number): CheckpointWriteError {
  const seconds = (patience / 1000).toFixed(1)
  const cause = new SilentStoreError(`no answer within ${seconds} s, as the run was told to end`)
  const message = `Cannot go on with the checkpoint of run '${runId}': expected the store to answer, got ${cause.message}. What was saved before is safe: see to the store, then run again`
  return new CheckpointWriteError(message, { cause })
}
