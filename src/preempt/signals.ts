import type { Clock } from '../clock.ts'

/**
 * How long a signal counts as the one of its name before, in milliseconds. Whoever signals a group of processes often has the
 * signal handed on to them besides: `timeout` does, npm, the trap of a shell script. Shorter, and a busy machine hands it on too
 * late; longer, and whoever means a second one has to wait.
 */
export const ECHO_MS = 250

const NAMES = ['SIGTERM', 'SIGINT'] as const

/**
 * Tells of the first SIGTERM or SIGINT until `over` aborts. The next has its default effect, which is to end the process, unless
 * it is the same again within ECHO_MS.
 */
export function hearSignal(over: AbortSignal, clock: Pick<Clock, 'sleep'>, onSignal: (name: NodeJS.Signals) => void): void {
  let isHeard = false
  const hear = (name: NodeJS.Signals) => {
    if (isHeard) return
    isHeard = true
    for (const it of listeners) if (it.name !== name) it.remove()
    void clock.sleep(ECHO_MS, over).then(removeAll, removeAll)
    onSignal(name)
  }
  const listeners = NAMES.map((name) => {
    const listener = () => hear(name)
    process.on(name, listener)
    return { name, remove: () => process.removeListener(name, listener) }
  })
  const removeAll = () => listeners.forEach(({ remove }) => void remove())
  over.addEventListener('abort', removeAll, { once: true })
}
