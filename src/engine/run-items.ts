import { createDrainSignal, ItemContext } from './context.ts'
import {
  announceStop,
  beginPacking,
  endPacking,
  enter,
  enterHere,
  isStopped,
  leave,
  type Slot,
  sharedNow,
  whenStopped,
} from './flight-recorder.ts'
import { type ItemColumns, type LoadedRun, Part, type Port, refuseItem } from './part.ts'

/** Runs the items of a chunk one by one: in a worker, and for inline runs in slices on the main thread. */

/** Resolves when the last part was posted. An item that fails is an outcome; nothing is thrown. */
export async function runItems(chunk: ItemColumns, loaded: LoadedRun, slot: Slot, port: Port): Promise<void> {
  const { items, indices, keys, attempts } = chunk
  const { run, setup } = loaded
  let signal: AbortSignal | undefined
  const signalOf = () => {
    signal ??= createDrainSignal(() => isStopped(slot), whenStopped(slot))
    return signal
  }
  const part = new Part(chunk, loaded, port)
  const send = (to: number, end: boolean) => {
    beginPacking(slot, setup.timed ? sharedNow() : undefined)
    part.send(to, end)
    endPacking(slot)
  }
  const maxStride = chunk.isSingly ? 1 : port.maxStride
  let readAt = chunk.isSingly ? 1 : 0
  let stride = 1
  let place = 0
  for (; place < items.length; place++) {
    if (place === readAt) {
      const elapsed = part.elapsed()
      if (elapsed > port.partMs || chunk.isSingly) {
        send(place, false)
        await port.turn?.()
      }
      stride = elapsed < stride / 2 ? Math.min(stride * 2, maxStride) : 1
      readAt = place + stride
    }
    const mayBegin = port.isRecorderOwn ? enterHere(slot, place) : enter(slot, place, setup.timed ? sharedNow() : undefined)
    if (!mayBegin) break
    const index = typeof indices === 'number' ? indices + place : (indices[place] as number)
    let item = items[place]
    if (port.clone) {
      try {
        item = port.clone(item)
      } catch (cause) {
        part.refuse(place, refuseItem(index, keys?.[place], cause as Error))
        continue
      }
    }
    const context = new ItemContext(setup, index, keys?.[place], (attempts?.[place] ?? 0) + 1, signalOf)
    try {
      const value = run(item, context)
      part.keep(isThenable(value) ? await value : value)
    } catch (error) {
      if (signal?.aborted && gaveUp(error, signal)) break
      part.reject(place, 'error', error)
    }
  }
  leave(slot, items.length)
  const flushing = port.flushOutput?.()
  if (flushing) await flushing
  send(place, true)
  if (signal) announceStop(slot)
}

/** The task stopped because of the drain: an interruption, not a failure. */
function gaveUp(error: unknown, signal: AbortSignal): boolean {
  return error === signal.reason || (error as Error | undefined)?.name === 'AbortError'
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}
