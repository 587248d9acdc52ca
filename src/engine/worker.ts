import type { MessagePort } from 'node:worker_threads'
import { packError } from '../carried-error.ts'
import { unpackItems } from '../items/file-items.ts'
import { loadCodec } from '../values/codec.ts'
import { slotOf, takeUp } from './flight-recorder.ts'
import { type CallTask, type LoadedRun, loadPacking, type Port } from './loaded-run.ts'
import { loadTaskInWorker } from './program.ts'
import type { ChunkMessage, PartMessage, RunSetup, ServeMessage } from './protocol.ts'
import { runItems } from './run-items.ts'
import { findSpoiled } from './soundness.ts'

/** The worker's side. */

/** As they were when this was loaded: a task may put others in their place. */
const { Promise } = globalThis
const { create, hasOwn } = Object

/**
 * A crash loses no more than this of its neighbours' work, in ms. Lower costs messages, higher costs work done again.
 * Set by bench/parts.bench.mjs.
 */
const PART_MS = 50

/** Late by so many items is no harm here, where nothing waits but the rest of the chunk. */
const MAX_STRIDE = 64

/**
 * Stands for a chunk where there is none: of what was read before the first, and for a task that cannot be loaded outside any.
 */
const NO_CHUNK = -1

/** Said of nothing that ran, and, unless more is said, of no chunk. */
const NOTHING = { id: NO_CHUNK, from: 0, to: 0, end: true, taskTime: 0 } as const

let cells: Int32Array
let port: Port
/** Ends the thread. */
let hangUp: () => void
/** By their number. No Map: a task may put something in place of what that has. */
const runs: { [run: number]: Promise<LoadedRun> | LoadedRun | undefined } = create(null)
/** What the runs of an executor share, once a run of it came. */
let kept: Pick<RunSetup, 'shared'> | undefined
/** Linked by hand, oldest first: a task may have put something in place of what arrays have. */
let oldest: Waiting | undefined
let newest: Waiting | undefined
let isAnswering = false
let lastRead = NO_CHUNK

interface Waiting {
  readonly chunk: ChunkMessage
  next: Waiting | undefined
}

/**
 * Piscina's handler, called once: from now on the thread serves `port`. Chunks queue up here, one runs at a time, also while its
 * items await.
 */
export default function serve(message: ServeMessage): void {
  cells = message.cells
  port = openPort(message.port)
  hangUp = message.port.close.bind(message.port)
  if (message.record) loadCodec(message.record).catch(() => {}) // Told to the first chunk that needs it.
  message.port.on('message', (chunk: ChunkMessage) => {
    const last: Waiting = { chunk, next: undefined }
    lastRead = chunk.id
    if (newest) newest.next = last
    else oldest = last
    newest = last
    if (!isAnswering) answerAll()
  })
  // Nothing is thrown, which a task may hear of and keep to itself: nobody would hear of the chunk again.
  message.port.on('messageerror', ({ message: unread }) => {
    port.post({ ...NOTHING, id: lastRead, end: false, unread } satisfies PartMessage, [])
  })
}

function openPort(far: MessagePort): Port {
  // As they are now: a task may put its own in their place, one that swallows what it is given and never says that it has.
  const post = far.postMessage.bind(far)
  const [output, errors] = [openOutput(process.stdout), openOutput(process.stderr)]
  return {
    post: (part, transfer) => post(part, transfer),
    partMs: PART_MS,
    maxStride: MAX_STRIDE,
    call: callTask,
    findSpoiled,
    flushOutput: () => (canFlush(output) || canFlush(errors) ? flushAll(output, errors) : undefined),
  }
}

/**
 * Calls the task where V8 does not inline it: one that computes with fractions takes 7 % longer as a part of our loop than
 * compiled by itself (bench/inlining.bench.mjs). V8 inlines no call in which it has seen several functions.
 */
const callTask: CallTask = (run, item, context) => run(item, context)

/** So often that V8 takes note of what is called. */
const CALLS = 100
for (let i = 0; i < CALLS; i++) for (const other of [() => 0, () => 1, () => 2]) callTask(other, undefined, undefined as never)

function openOutput(stream: NodeJS.WriteStream): Output {
  return { stream, write: stream.write.bind(stream) }
}

interface Output {
  readonly stream: NodeJS.WriteStream
  readonly write: NodeJS.WriteStream['write']
}

/** One that the task corked leaves only when the task says so. */
function canFlush({ stream }: Output): boolean {
  return stream.writableLength > 0 && !stream.writableEnded && stream.writableCorked === 0
}

/** Awaits and calls no `then`, here and below: a task may have put its own in its place. */
async function flushAll(output: Output, errors: Output): Promise<void> {
  if (canFlush(output)) await flush(output)
  if (canFlush(errors)) await flush(errors)
}

/** A worker's streams hand on one write at a time, and the next when the main thread has taken it. */
function flush({ write }: Output): Promise<void> {
  return new Promise((resolve) => write('', () => resolve()))
}

async function answerAll(): Promise<void> {
  isAnswering = true
  while (oldest) {
    const { chunk, next }: Waiting = oldest
    oldest = next
    if (!next) newest = undefined
    try {
      await answer(chunk)
    } catch (error) {
      return giveUp(chunk.id, error)
    }
  }
  isAnswering = false
}

/** Not thrown, for the task's module may have the thread outlive that, as reporters of errors do, with nobody in it to answer. */
function giveUp(id: number, error: unknown): void {
  try {
    port.post(
      { ...NOTHING, id, spoiled: `an error in place of an answer (${(error as Error).message})` } satisfies PartMessage,
      [],
    )
  } finally {
    hangUp() // What was to be said may have been said before.
  }
}

async function answer(message: ChunkMessage): Promise<void> {
  const slot = slotOf(cells, message.slot)
  takeUp(slot)
  for (let at = 0; at < (message.ended?.length ?? 0); at++) delete runs[message.ended?.[at] as number] // Not by an iterator, which may be a task's own and never end.
  const setup = hasOwn(message, 'setup') && message.setup && completeSetup(message.setup)
  if (setup) runs[message.run] = load(setup)
  let run = runs[message.run]
  if (!run) {
    // Its setup, or what it shares, came with a chunk that could not be read: the main thread sends both again, and waits for
    // nothing.
    port.post({ ...NOTHING, id: message.id } satisfies PartMessage, [])
    return
  }
  if (run instanceof Promise) {
    try {
      run = await run
    } catch (error) {
      postLoadError(message.id, message.run, error)
      return
    }
    runs[message.run] = run
  }
  const chunk = message.packed ? { ...message, items: await unpackItems(message.packed) } : message
  await runItems(chunk, run, slot, port)
}

/** With what the run shares; undefined when that did not come. */
function completeSetup(setup: RunSetup): RunSetup | undefined {
  if (!hasOwn(setup, 'keepsShared')) return setup
  if (hasOwn(setup, 'shared')) kept = { shared: setup.shared }
  return kept && { ...setup, shared: kept.shared }
}

async function load(setup: RunSetup): Promise<LoadedRun> {
  const [run, packing] = await Promise.all([
    loadTaskInWorker(setup.task, {
      refused: (error) => postLoadError(NO_CHUNK, setup.run, error),
      ranAgain: () => port.post({ ...NOTHING, run: setup.run, ranAgain: true } satisfies PartMessage, []),
    }),
    loadPacking(setup),
  ])
  return { setup, run, ...packing }
}

function postLoadError(id: number, run: number, error: unknown): void {
  port.post({ ...NOTHING, id, run, loadError: packError(error) } satisfies PartMessage, [])
}
