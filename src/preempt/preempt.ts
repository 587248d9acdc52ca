import { setMaxListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { isMainThread } from 'node:worker_threads'
import { type Clock, systemClock } from '../clock.ts'
import type { PreemptOptions } from '../options/options.ts'
import type { Emit } from '../types.ts'
import { createAsk } from './ask.ts'
import { AWS_URL, awsSources } from './aws.ts'
import { AZURE_URL, azureSources } from './azure.ts'
import { type Cloud, detectCloud } from './detect.ts'
import { GCP_URL, gcpSources } from './gcp.ts'
import { hearSignal } from './signals.ts'
import { listen, type Said, type Source } from './source.ts'

/** Watches for notices that the machine or the process is about to go away. */
export interface Watch {
  /** Ends every question at once and takes the signal listeners back. */
  close(): void
}

export interface WatchOptions {
  /**
   * The process was told to end, or the machine is about to go. Called at most once; no question is asked from then on, but until
   * it is closed the watch goes on to hear a signal.
   */
  onNotice(reason: Error): void
  /** The machine may go before long: a time to save, not to stop. Called at most once. */
  onAdvice(reason: Error): void
  readonly emit: Emit
  /** The machine's own by default, with a sleep that does not keep the process alive. */
  readonly clock?: Pick<Clock, 'now' | 'sleep'>
  /** Where sysfs is mounted: `/sys` by default. */
  readonly sysfs?: string
}

interface CloudSpec {
  readonly title: string
  readonly url: string
  sources(clock: Pick<Clock, 'now'>): Source[]
}

const CLOUDS: Record<Cloud, CloudSpec> = {
  aws: { title: 'AWS', url: AWS_URL, sources: awsSources },
  gcp: { title: 'Google Cloud', url: GCP_URL, sources: gcpSources },
  azure: { title: 'Azure', url: AZURE_URL, sources: azureSources },
}

const idleClock: Pick<Clock, 'now' | 'sleep'> = {
  now: systemClock.now,
  sleep: async (ms, signal) => {
    await sleep(ms, undefined, { ref: false, ...(signal ? { signal } : {}) })
  },
}

/**
 * Starts watching for what `option` names. `'auto'`: SIGTERM and SIGINT, and the cloud the machine is found to belong to.
 *
 * A metadata service that fails is asked again; when it goes on failing, one `warning` `PREEMPT_UNREACHABLE` says so. In a
 * worker thread there are no signals, of which `SIGNALS_UNHEARD` tells.
 */
export function watchPreemption(option: 'auto' | PreemptOptions, options: WatchOptions): Watch {
  const { onNotice, onAdvice, emit, clock = idleClock, sysfs } = options
  const controller = new AbortController()
  setMaxListeners(0, controller.signal) // Every question and every pause listens; Node would warn of the eleventh.
  const closed = new AbortController()
  const close = () => {
    controller.abort()
    closed.abort()
  }
  const notice = (reason: Error) => {
    if (controller.signal.aborted) return
    controller.abort()
    onNotice(reason)
  }
  const chosen = option === 'auto' ? chooseAll(detectCloud(sysfs)) : option
  const onSignal = (name: NodeJS.Signals) => notice(new Error(`The process was asked to end by ${name}`))
  // Also behind the notice of a cloud, which sends the first SIGTERM right after it, while the run is still about to save.
  if (chosen.signals && isMainThread) hearSignal(closed.signal, onSignal)
  else if (chosen.signals) emit('warning', { code: 'SIGNALS_UNHEARD', message: UNHEARD })

  const onSaid = ({ kind, reason }: Said) => (kind === 'notice' ? notice(reason) : onAdvice(reason))
  let isWarned = false
  for (const cloud of ['aws', 'gcp', 'azure'] as const) {
    const wanted = chosen[cloud]
    if (!wanted) continue
    const { title, url, sources } = CLOUDS[cloud]
    const baseUrl = (wanted === true ? undefined : wanted.baseUrl) ?? url
    const onSilent = (error: NodeJS.ErrnoException) => {
      if (isWarned) return
      isWarned = true
      const text = `Cannot ask ${title} whether this machine is to be taken away: expected an answer from ${baseUrl}, got ${error.message || error.code}. It is asked again and again; until it answers, the end may come without notice`
      emit('warning', { code: 'PREEMPT_UNREACHABLE', message: text })
    }
    const ask = createAsk(baseUrl, clock, controller.signal)
    for (const source of sources(clock)) void listen(source, ask, clock, controller.signal, { onSaid, onSilent })
  }
  return { close }
}

const UNHEARD =
  "Cannot hear SIGTERM or SIGINT: expected to listen on the main thread, got a worker thread, to which Node gives no signals. Listen on the main thread, tell the worker, and abort the option 'signal' there"

function chooseAll(cloud: Cloud | undefined): PreemptOptions {
  return cloud ? { signals: true, [cloud]: true } : { signals: true }
}
