import { fileURLToPath } from 'node:url'
import type { Worker } from 'node:worker_threads'
import type { Piscina } from 'piscina'
import type { WorkerLimits } from '../options.ts'
import { createRecorder } from './flight-recorder.ts'
import type { ChunkMessage, PartMessage } from './protocol.ts'

/** Chunks one worker holds at once: the one it runs, and the next, so that it never waits for the main thread. */
export const DEPTH = 2

/** Slots of a recorder: one for each chunk the worker may hold. */
const SLOTS = DEPTH

/** What a seat tells the pool. */
export interface SeatEvents {
  /** Some places of a chunk have settled. */
  part(message: PartMessage): void
  /** The thread is gone, and nothing more will come of what it was sent. `error` is why, when the thread could tell. */
  lost(error: Error | undefined, exitCode: number): void
  /** A chunk could not be cloned and was not sent. */
  unsent(id: number, error: Error): void
}

/**
 * One worker thread. A seat is a Piscina of exactly one thread: Piscina starts the thread, hands it chunks without a
 * turn of the event loop where it can, and ends it; which chunk goes to which thread is decided here, because setup,
 * blame and the taking back of tails are facts about one thread.
 */
export interface Seat {
  readonly cells: Int32Array
  readonly threadId: number
  send(message: ChunkMessage): void
  /** Ends the thread now, whatever it does; `lost` follows. */
  kill(): void
  /** Ends the thread without `lost`; resolves when nothing is left of it, also of one that is lost. */
  close(): Promise<void>
}

const WORKER_FILE = fileURLToPath(new URL('./worker-entry.cjs', import.meta.url))

export function openSeat(PiscinaClass: typeof Piscina, resourceLimits: WorkerLimits | undefined, events: SeatEvents): Seat {
  const cells = createRecorder(SLOTS)
  const pool = new PiscinaClass({
    filename: WORKER_FILE,
    minThreads: 1,
    maxThreads: 1,
    concurrentTasksPerWorker: DEPTH + 1,
    idleTimeout: Number.POSITIVE_INFINITY,
    recordTiming: false,
    workerData: { cells },
    ...(resourceLimits ? { resourceLimits: withoutUndefined(resourceLimits) } : {}),
  })
  const thread = pool.threads[0] as Worker
  const { threadId } = thread
  let error: Error | undefined
  let isClosed = false
  let ending: Promise<void> | undefined
  /** Piscina replaces a thread that ends by itself; the replacement is ended, too. */
  const end = () => {
    ending ??= pool.destroy().catch(() => {})
    return ending
  }

  pool.on('message', (message: PartMessage) => events.part(message))
  pool.on('error', () => {}) // Known from the thread itself; without a listener it would end the process.
  thread.on('error', (reason) => {
    error ??= reason instanceof Error ? reason : new Error('A worker ended', { cause: reason })
  })
  // A thread's messages are all delivered before its exit event, so what was settled is known here.
  thread.once('exit', (code) => {
    end()
    if (!isClosed) events.lost(error, code)
  })

  return {
    cells,
    threadId,
    send: (message) => {
      pool.run(message).catch((reason: unknown) => {
        if (pool.threads[0] === thread)
          events.unsent(
            message.id,
            reason instanceof Error ? reason : new Error('its items could not be cloned', { cause: reason }),
          ) // A getter may throw anything, not only a DataCloneError.
      })
    },
    kill: () => void end(),
    close: () => {
      isClosed = true
      return end()
    },
  }
}

function withoutUndefined(limits: WorkerLimits): { [K in keyof WorkerLimits]?: number } {
  return Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined))
}
