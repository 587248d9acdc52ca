import { packError } from '../carried-error.ts'
import type { Codec } from '../checkpoint/values/codec.ts'
import { SerializationError } from '../errors.ts'
import { unwrapMoved } from '../move.ts'
import type { TaskFunction } from '../types.ts'
import { createDrainSignal, ItemContext } from './context.ts'
import { announceStop, enter, isStopped, leave, type Slot, sharedNow, whenStopped } from './flight-recorder.ts'
import type { ChunkMessage, PartMessage, RejectedPlace, RunSetup } from './protocol.ts'

/** Runs the items of a chunk one by one: in a worker, and for inline runs in slices on the main thread. */

/** How often the time is read while items are short: every so many items at most. */
const MAX_STRIDE = 64

/** A run whose task is at hand. */
export interface LoadedRun {
  readonly setup: Omit<RunSetup, 'run'>
  readonly run: TaskFunction<unknown, unknown>
  readonly codec: Codec | undefined
  readonly json: Codec | undefined
}

/** Where the outcomes go, and how the thread they are computed on wants to be treated. */
export interface Port {
  /** Throws when a value cannot be cloned; nothing was posted then. */
  post(part: PartMessage, transfer: ArrayBuffer[]): void
  /** A chunk that runs longer than this answers in parts, in ms. */
  readonly partMs: number
  /** Called after each part but the last. */
  readonly turn?: () => Promise<void>
  /** What the task gets to see of an item. */
  readonly clone?: (item: unknown) => unknown
}

/** Resolves when the last part was posted. An item that fails is an outcome; nothing is thrown. */
export async function runItems(
  message: Pick<ChunkMessage, 'id' | 'items' | 'indices' | 'keys' | 'attempts'>,
  loaded: LoadedRun,
  slot: Slot,
  port: Port,
): Promise<void> {
  const { items, indices, keys, attempts } = message
  const { run, setup } = loaded
  let signal: AbortSignal | undefined
  const signalOf = () => {
    signal ??= createDrainSignal(() => isStopped(slot), whenStopped(slot))
    return signal
  }
  const part = new Part(message.id, loaded, port)
  let readAt = 0
  let stride = 1
  let place = 0
  for (; enter(slot, place, setup.timed && place < items.length ? sharedNow() : undefined) && place < items.length; place++) {
    if (place === readAt) {
      const elapsed = part.elapsed()
      if (elapsed > port.partMs) {
        part.send(place, false)
        await port.turn?.()
      }
      stride = elapsed < stride / 2 ? Math.min(stride * 2, MAX_STRIDE) : 1
      readAt = place + stride
    }
    const index = indices[place] as number
    const context = new ItemContext(setup, index, keys?.[place], (attempts?.[place] ?? 0) + 1, signalOf)
    try {
      const value = run(port.clone ? port.clone(items[place]) : items[place], context)
      part.keep(isThenable(value) ? await value : value)
    } catch (error) {
      if (signal?.aborted && gaveUp(error, signal)) break
      part.reject(place, 'error', error)
    }
  }
  leave(slot, items.length)
  part.send(place, true)
  if (signal) announceStop(slot)
}

/** The task stopped because of the drain: an interruption, not a failure. */
function gaveUp(error: unknown, signal: AbortSignal): boolean {
  return error === signal.reason || (error as Error | undefined)?.name === 'AbortError'
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}

/** Outcomes of one chunk that were not posted yet. */
class Part {
  readonly #id: number
  readonly #run: LoadedRun
  readonly #port: Port
  #from = 0
  #values: unknown[] = []
  #rejected: RejectedPlace[] = []
  #areNumbers = true
  #transfer = new Set<ArrayBuffer>()
  #began = performance.now()

  constructor(id: number, run: LoadedRun, port: Port) {
    this.#id = id
    this.#run = run
    this.#port = port
  }

  /** Milliseconds since the last part was posted. */
  elapsed(): number {
    return performance.now() - this.#began
  }

  keep(value: unknown): void {
    if (typeof value === 'number') {
      this.#values.push(value)
      return
    }
    this.#areNumbers = false
    this.#values.push(unwrapMoved(value, this.#transfer))
  }

  reject(place: number, kind: RejectedPlace['kind'], error: unknown): void {
    this.#rejected.push({ place, kind, error: packError(error) })
  }

  /** Posts the places from the last part's end up to `to`. */
  send(to: number, end: boolean): void {
    const taskTime = this.elapsed()
    const { codec, json } = this.#run
    if (json && !this.#areNumbers) this.#refuse(json.encode(this.#values.map((it) => (it === undefined ? null : it))).refused)
    const encoded = codec && this.#values.length > 0 ? codec.encode(this.#values) : undefined
    if (encoded) this.#refuse(encoded.refused)
    const message = (): PartMessage => ({
      id: this.#id,
      from: this.#from,
      to,
      end,
      values: codec ? undefined : this.#column(),
      record: encoded?.bytes,
      rejected: this.#rejected,
      taskTime,
      loadError: undefined,
    })
    if (encoded) this.#transfer = new Set([encoded.bytes.buffer as ArrayBuffer])
    try {
      this.#port.post(message(), [...this.#transfer])
    } catch {
      this.#refuse(findUnclonable(this.#values))
      this.#port.post(message(), [])
    }
    this.#from = to
    this.#values = []
    this.#rejected = []
    this.#areNumbers = true
    this.#transfer = new Set()
    this.#began = performance.now()
  }

  /** Numbers as one block of memory; anything else by structured clone. */
  #column(): ArrayLike<unknown> {
    if (!this.#areNumbers || this.#values.length === 0) return this.#values
    const numbers = new Float64Array(this.#values as number[])
    this.#transfer.add(numbers.buffer)
    return numbers
  }

  /** Turns values into failures of their items. `at` counts among the values, which are the places that were not rejected. */
  #refuse(refused: readonly { readonly at: number; readonly error: Error }[]): void {
    if (refused.length === 0) return
    const rejectedPlaces = new Set(this.#rejected.map((it) => it.place))
    const places: number[] = []
    for (let place = this.#from; places.length < this.#values.length; place++) if (!rejectedPlaces.has(place)) places.push(place)
    for (const { at, error } of refused) {
      this.#rejected.push({ place: places[at] as number, kind: 'serialization', error: packError(error) })
    }
    const isRefused = new Set(refused.map((it) => it.at))
    this.#values = this.#values.filter((_, at) => !isRefused.has(at))
    this.#rejected.sort((a, b) => a.place - b.place)
  }
}

/** Cloned one by one, the values that structured clone refuses. */
function findUnclonable(values: readonly unknown[]): { at: number; error: Error }[] {
  return values.flatMap((value, at) => {
    try {
      structuredClone(value)
      return []
    } catch (cause) {
      const message = `Cannot carry the result to the main thread: expected a value that structured clone takes, got ${(cause as Error).message}`
      return [{ at, error: new SerializationError(message, '', { cause }) }]
    }
  })
}
