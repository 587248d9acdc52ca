import type { PreemptOptions } from '../options.ts'

/** Watches for notices that the machine or the process is about to go away. */
export interface Watch {
  close(): void
}

/** Calls `onNotice` with the reason, at most once, when the process is told to end. */
export function watchPreemption(option: 'auto' | PreemptOptions, onNotice: (reason: Error) => void): Watch {
  const wantsSignals = option === 'auto' || option.signals === true
  const signals: NodeJS.Signals[] = wantsSignals ? ['SIGTERM', 'SIGINT'] : []
  const listeners = signals.map((signal) => {
    const listener = () => onNotice(new Error(`The process was asked to end by ${signal}`))
    process.once(signal, listener)
    return () => process.removeListener(signal, listener)
  })
  return {
    close: () => {
      for (const remove of listeners) remove()
    },
  }
}
