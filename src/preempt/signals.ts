import { createHearing } from '../hearing.ts'
import { turn } from '../turn.ts'

const NAMES = ['SIGTERM', 'SIGINT'] as const

const HEARINGS = { SIGTERM: createHearing(listenFor('SIGTERM')), SIGINT: createHearing(listenFor('SIGINT')) }

function listenFor(name: NodeJS.Signals) {
  return (tell: () => void) => {
    process.on(name, tell)
    return () => void process.removeListener(name, tell)
  }
}

/**
 * Resolves when a signal that is heard now has had its echo, if any: whoever signals a group of processes may have the signal
 * handed on to them besides, as `timeout` does. Nobody is to hear of the first one before that: what is sent in answer is meant
 * as a second one.
 */
export const echoed = turn

/**
 * Tells of the first SIGTERM or SIGINT until `over` aborts. The next has its default effect, which is to end the process, unless
 * it is the same again before `echoed`.
 */
export function hearSignal(over: AbortSignal, onSignal: (name: NodeJS.Signals) => void): void {
  let isHeard = false
  const hear = (name: NodeJS.Signals) => {
    if (isHeard) return
    isHeard = true
    for (const it of listeners) if (it.name !== name) it.remove()
    void echoed().then(() => {
      removeAll()
      onSignal(name)
    })
  }
  const listeners = NAMES.map((name) => ({ name, remove: HEARINGS[name](() => hear(name)) }))
  const removeAll = () => {
    for (const { remove } of listeners) remove()
  }
  over.addEventListener('abort', removeAll, { once: true })
}
