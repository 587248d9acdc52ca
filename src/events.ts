import { type Channel, channel } from 'node:diagnostics_channel'
import { types } from 'node:util'
import { textOf } from './errors.ts'
import type { Listeners } from './options/options.ts'
import type { Emit, Events } from './types.ts'

/** Tells listeners and diagnostics channels (`pawl:<event>`) what happens. */
export interface Emitter {
  readonly emit: Emit
  /** False when nobody would notice, so that nothing need be made for it. */
  wants(event: keyof Events): boolean
}

/**
 * Calls the `on` listeners of a run. One that throws, or whose promise rejects, is reported once as a warning. A
 * warning nobody listens to goes to `process.emitWarning`, so that it is not lost.
 */
export function createEmitter(listeners: Listeners): Emitter {
  const broken = new Set<string>()
  const channels = new Map<string, Channel>()
  /** To look a channel up costs more than to see that nobody subscribes. */
  const channelOf = (event: keyof Events): Channel => {
    const known = channels.get(event) ?? channel(`pawl:${event}`)
    channels.set(event, known)
    return known
  }

  const report = (event: string, error: unknown) => {
    if (broken.has(event)) return
    broken.add(event)
    const message = `A listener for '${event}' threw ${textOf(error)}. The run goes on`
    if (event === 'warning') process.emitWarning(message, { type: 'PawlWarning', code: 'LISTENER_FAILED' })
    else emit('warning', { code: 'LISTENER_FAILED', message })
  }

  const emit: Emit = (event, payload) => {
    const published = channelOf(event)
    if (published.hasSubscribers) published.publish(payload)
    const listener = listeners[event] as ((payload: unknown) => unknown) | undefined
    if (!listener) {
      if (event === 'warning' && !published.hasSubscribers) warnProcess(payload as Events['warning'])
      return
    }
    try {
      const returned = listener(payload)
      if (types.isPromise(returned)) returned.catch((error) => report(event, error))
    } catch (error) {
      report(event, error)
    }
  }

  return { emit, wants: (event) => listeners[event] !== undefined || channelOf(event).hasSubscribers }
}

function warnProcess({ code, message }: Events['warning']): void {
  process.emitWarning(message, { type: 'PawlWarning', code })
}
