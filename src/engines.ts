import { systemClock } from './clock.ts'
import type { Engine } from './engine/engine.ts'
import { createInline } from './engine/inline.ts'
import { loadPiscina } from './engine/load-piscina.ts'
import { createPool, type Pool } from './engine/pool.ts'
import { refuseNoThreads } from './engine/seat.ts'
import { countWorkers } from './machine.ts'
import type { ResolvedOptions } from './options/options.ts'
import { turn } from './turn.ts'

/** The engines a run, or the runs of an executor, may use. */
export interface Engines {
  /** Worker threads. Piscina is loaded and a first thread started when it is asked for. */
  pool(): Promise<Engine>
  /**
   * Starts a first thread, so that it comes up while the run is still being made ready. Resolves when it is on its way; never
   * rejects.
   */
  warm(): Promise<void>
  /** An item has begun on a thread of the pool. */
  readonly isUp: boolean
  /** Time that tasks took in runs which had its threads and have ended, in ms. */
  readonly worked: number
  /**
   * Lets the event loop turn, as long as no thread is up: what a run loads and makes until then takes milliseconds the first
   * time, and there is nothing to wait for it yet (bench/peers, 'small-cold': its delay).
   */
  breathe(): Promise<void>
  readonly inline: Engine
  /** Most worker threads. */
  readonly maxWorkers: number
  close(): Promise<void>
}

export function openEngines({
  workers,
  resourceLimits,
  checkpoint,
}: Pick<ResolvedOptions, 'workers' | 'resourceLimits' | 'checkpoint'>): Engines {
  let opening: Promise<Engine> | undefined
  let opened: Pool | undefined
  const isUp = () => opened?.hasBegun ?? false
  const breathe = async () => {
    if (!isUp()) await turn()
  }
  const open = async () => {
    refuseNoThreads()
    opened = createPool(await loadPiscina(), { resourceLimits, record: checkpoint?.format }, systemClock)
    return opened
  }
  return {
    get isUp() {
      return isUp()
    },
    get worked() {
      return opened?.worked ?? 0
    },
    breathe,
    pool: () => (opening ??= open()),
    warm: () => {
      opening ??= open()
      return opening.then(
        (pool) => {
          pool.grow(1)
          return breathe()
        },
        () => {}, // Told to whoever asks for the pool.
      )
    },
    inline: createInline(systemClock),
    maxWorkers: workers ?? countWorkers(resourceLimits?.maxOldGenerationSizeMb),
    close: async () => (await opening?.catch(() => undefined))?.close(), // What kept it from being opened is told to whoever asked for it.
  }
}
