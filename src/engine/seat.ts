import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { MessageChannel, receiveMessageOnPort, type Worker } from 'node:worker_threads'
import type { Piscina } from 'piscina'
import { isError } from '../errors.ts'
import { dropUndefined } from '../options/check-options.ts'
import type { WorkerLimits } from '../options/options.ts'
import { turn } from '../turn.ts'
import type { Format } from '../values/contract.ts'
import { createRecorder } from './flight-recorder.ts'
import type { ChunkMessage, PartMessage, ServeMessage } from './protocol.ts'
import { bundledError, noThreadsAllowedError } from './run-errors.ts'

/** Chunks one worker holds at once: the one it runs, and the next, so that it never waits for the main thread. */
export const DEPTH = 2

/**
 * So long a thread that is told to end may take for that, in ms: most take a few. One that waits in a call of the system, for a
 * child process (`execSync`) or a disk that does not answer, hears of nothing before that returns; then it ends. It is given up
 * and another has its place. Lower, and the memory of a large one is still taken as the next one starts.
 */
const GIVE_UP_MS = 1000

export interface SeatOptions {
  readonly resourceLimits: WorkerLimits | undefined
  /**
   * The codec that values will be packed with, as far as is known when the thread starts: it loads it before a chunk is there.
   */
  readonly record: Format | undefined
}

/** What a seat tells the pool. */
export interface SeatEvents {
  /** Some places of a chunk have settled. */
  part(message: PartMessage): void
  /**
   * The thread is gone, or, without an exit code, was told to end and does not come to it: nothing more will come of what it was
   * sent. `error` is why, when the thread could tell.
   */
  lost(error: Error | undefined, exitCode: number | undefined): void
  /** The next of what the thread sent cannot be read. */
  unreadable(error: Error): void
  /** A chunk could not be cloned and was not sent. */
  unsent(id: number, error: Error): void
}

/**
 * One worker thread. A seat is a Piscina of exactly one thread, because setup, blame and the taking back of tails are
 * facts about one thread. Piscina starts the thread, loads our file in it, hands it one end of a channel, and ends it;
 * chunks and answers go through the channel, which costs a third of what a run of Piscina per chunk does
 * (bench/chunk-size.bench.mjs, chunks of one item).
 */
export interface Seat {
  readonly cells: Int32Array
  readonly threadId: number
  /** Resolves when the thread is up, or lost before. */
  readonly up: Promise<void>
  /** Keeps the process alive until `rest`. False when the message could not be cloned: then `unsent` follows. */
  send(message: ChunkMessage): boolean
  /** All that was sent has been answered. */
  rest(): void
  /** Ends the thread now, whatever it does; `lost` follows. */
  kill(): void
  /** Ends the thread without `lost`; resolves when nothing is left of it, also of one that is lost, or it was given up. */
  close(): Promise<void>
  /** Resolves when the thread has ended, also one that was given up. */
  readonly gone: Promise<void>
}

/** What Piscina loads in each thread; undefined where nothing says where this file is, as in a bundle of CommonJS. */
const WORKER_FILE = URL.canParse('./worker-entry.cjs', import.meta.url)
  ? fileURLToPath(new URL('./worker-entry.cjs', import.meta.url))
  : undefined

/**
 * @throws TaskLoadError where no thread can be started: what threads load does not lie beside this file, as in a bundle, of which
 * Piscina would say nothing of use, or Node was told to allow none.
 */
export function refuseNoThreads(): void {
  if (process.permission?.has('worker') === false) throw noThreadsAllowedError()
  const files = WORKER_FILE === undefined ? [undefined] : [WORKER_FILE, join(WORKER_FILE, '../worker.js')] // webpack takes the first along.
  for (const file of files) if (file === undefined || !existsSync(file)) throw bundledError(file)
}

export function openSeat(PiscinaClass: typeof Piscina, { resourceLimits, record }: SeatOptions, events: SeatEvents): Seat {
  const cells = createRecorder(DEPTH) // A slot for each chunk the worker may hold.
  const pool = new PiscinaClass({
    filename: WORKER_FILE as string,
    minThreads: 1,
    maxThreads: 1,
    idleTimeout: Number.POSITIVE_INFINITY,
    recordTiming: false,
    atomics: 'disabled', // It would sleep until Piscina sends something, and hear nothing of what comes through our channel.
    ...(resourceLimits ? { resourceLimits: dropUndefined(resourceLimits) } : {}),
  })
  pool.options.minThreads = 0 // It would replace a thread that ends by itself, and the replacement would have to be ended; or, without room for one, throw.
  const thread = pool.threads[0] as Worker
  const { threadId } = thread
  const { port1: port, port2: far } = new MessageChannel()
  let error: Error | undefined
  let isClosed = false
  let isLost = false
  let ending: Promise<void> | undefined
  const end = () => {
    ending ??= new Promise((resolve) => {
      const givenUp = setTimeout(() => {
        note(new Error('the worker was told to end, and did not come to it'))
        lose(undefined)
        resolve()
      }, GIVE_UP_MS)
      const over = () => {
        clearTimeout(givenUp)
        resolve()
      }
      pool.destroy().then(over, over)
    })
    return ending
  }

  const note = (reason: unknown) => {
    error ??= isError(reason) ? reason : new Error('A worker ended', { cause: reason })
  }

  takeOutput(thread)
  pool.on('error', () => {}) // Known from the thread itself; without a listener it would end the process.
  const serve = async () => {
    await turn() // Starting the thread took a few ms (bench/peers, 'small-cold': its delay), and it will not hear of this for 20.
    if (!ending) await pool.run({ port: far, cells, record } satisfies ServeMessage, { transferList: [far] })
  }
  const up = serve().catch((reason) => {
    if (ending) return // Nor is it news that the thread is gone.
    note(reason) // Its own files could not be read: it would stay, and hear of nothing.
    end()
  })
  port.on('message', (message: PartMessage) => events.part(message))
  port.on('messageerror', (reason) => events.unreadable(reason))
  port.once('close', () => end()) // A task may close all handles of its thread, which then hears of nothing any more.
  port.unref()
  const takeLast = () => {
    try {
      return receiveMessageOnPort(port)
    } catch (reason) {
      events.unreadable(reason as Error)
      return undefined // What follows is lost with the thread.
    }
  }
  const lose = (code: number | undefined) => {
    if (isLost) return
    isLost = true
    // What the thread said before it ended counts: who is to blame for the end depends on how far it came.
    for (let last = takeLast(); last; last = takeLast()) events.part(last.message)
    port.close()
    if (!isClosed) events.lost(error, code)
  }
  thread.on('error', note)
  const gone = new Promise<void>((resolve) => {
    thread.once('exit', (code) => {
      end()
      lose(code)
      resolve()
    })
  })

  return {
    cells,
    threadId,
    up,
    send: (message) => {
      port.ref()
      try {
        port.postMessage(message)
        return true
      } catch (reason) {
        // A getter may throw anything, not only a DataCloneError.
        const why = isError(reason) ? reason : new Error('its items could not be cloned', { cause: reason })
        Promise.resolve().then(() => events.unsent(message.id, why)) // No `queueMicrotask`, which fake timers keep as well.
        return false
      }
    },
    rest: () => port.unref(),
    kill: () => void end(),
    close: () => {
      isClosed = true
      return end()
    },
    gone,
  }
}

/** What threads print, and Node writes to the streams of the process. */
const outputs = new WeakSet<Readable>()

/**
 * Has what a thread prints be taken to its end, also where nobody reads what the process prints any more, as behind `| head`: Node
 * takes nothing more then, and the thread would wait for that before it answers.
 */
function takeOutput({ stdout, stderr }: Worker): void {
  for (const [output, printed] of [[stdout, process.stdout] as const, [stderr, process.stderr] as const]) {
    outputs.add(output)
    if (!printed.listeners('unpipe').includes(goOn)) printed.on('unpipe', goOn)
  }
}

function goOn(output: Readable): void {
  if (outputs.has(output)) output.resume()
}
