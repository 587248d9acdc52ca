import { nameItem, SerializationError } from '../errors.ts'
import { attemptsBefore } from '../items/chunk.ts'
import { isFileItems, packFileItems } from '../items/file-items.ts'
import { areNumbers, packNumbers } from '../items/numbers.ts'
import type { Chunk } from '../types.ts'
import { cutPiece, type Piece, refusePlace } from './piece.ts'
import { type ChunkMessage, NUMBERS_TOGETHER, type RunSetup } from './protocol.ts'
import { refuseItem } from './uncarried.ts'

/** What a worker is sent of a piece; with the `setup` of its run when it does not have it yet. */
export function toMessage(
  { id, slot, chunk, job, isSingly }: Piece,
  setup: RunSetup | undefined,
  ended: readonly number[],
): ChunkMessage {
  const attempts = attemptsBefore(chunk)
  return {
    id,
    run: job.run.number,
    slot,
    ...(isFileItems(chunk.items) ? { items: [], packed: packFileItems(chunk.items) } : { items: numbersTogether(chunk.items) }),
    indices: indicesTogether(chunk.indices),
    ...(setup ? { setup } : undefined),
    ...(ended.length > 0 ? { ended } : undefined),
    ...(chunk.keys ? { keys: chunk.keys } : undefined),
    ...(attempts ? { attempts } : undefined),
    ...(isSingly ? { isSingly } : undefined),
  }
}

/** A long column of numbers as one block of memory, which is copied as such. */
function numbersTogether(items: ArrayLike<unknown>): ArrayLike<unknown> {
  if (Buffer.isBuffer(items)) return new Uint8Array(items) // Its slices are views, and a view would take its whole buffer along.
  if (items.length < NUMBERS_TOGETHER) return areNumbers(items) ? Array.from(items) : items
  return (Array.isArray(items) && packNumbers(items, ArrayBuffer)) || items
}

/** Indices that follow one another say all by their first. Others are copied, for a view would take its whole buffer along. */
function indicesTogether(indices: Uint32Array): Uint32Array | number {
  const first = indices[0] as number
  return indices[indices.length - 1] === first + indices.length - 1 ? first : indices.slice()
}

/**
 * Fails the items of a piece that cannot be cloned, and gives what is left of it as pieces. Undefined when the fault is
 * not with the items, but with what the run shares. `error` is what the piece itself was refused with: an item whose
 * getter throws only now and then is found by halves.
 */
export function settleUnclonable(piece: Piece, error: Error, today: number): Piece[] | undefined {
  const { chunk, job } = piece
  const { length } = chunk.items
  const bad = unclonable(chunk.items)
  if (bad.size === 0) {
    if (unclonable([job.run.setup.shared]).size > 0) return undefined
    if (length > 1) return [cutPiece(piece, 0, length >> 1), cutPiece(piece, length >> 1, length)]
    bad.set(0, error)
  }
  const rejections = [...bad].map(([place, cause]) => {
    const reason = refuseItem(chunk.indices[place] as number, chunk.keys?.[place], cause)
    return refusePlace(chunk, place, reason, today)
  })
  job.settle(undefined, rejections)
  const goOn: Piece[] = []
  for (let from = 0, place = 0; place <= length; place++) {
    if (place < length && !bad.has(place)) continue
    if (place > from) goOn.push(cutPiece(piece, from, place))
    from = place + 1
  }
  return goOn
}

/**
 * Of a piece that its worker could not read, for `why`: halves of it, by which the item is found. One that was by itself fails,
 * and nothing is left.
 */
export function settleUnread(piece: Piece, why: string, today: number): Piece[] {
  const { chunk, job, end } = piece
  const { length } = chunk.items
  if (end === 0) return []
  if (length === 1) {
    job.settle(undefined, [refusePlace(chunk, 0, unreadItem(chunk.indices[0] as number, chunk.keys?.[0], why), today)])
    return []
  }
  const middle = Math.min(length >> 1, end)
  return [cutPiece(piece, 0, middle), ...(middle < end ? [cutPiece(piece, middle, end)] : [])]
}

function unreadItem(index: number, key: string | undefined, why: string): SerializationError {
  const message = `Cannot carry item ${nameItem(index, key)} to a worker: expected a value that the worker can read, got ${why}. The item, or what 'shared' holds, may be nested too deep for 'resourceLimits.stackSizeMb'`
  return new SerializationError(message, '', { index })
}

/** The places of what structured clone refuses. */
function unclonable(items: Chunk['items']): Map<number, Error> {
  const bad = new Map<number, Error>()
  for (let place = 0; place < items.length; place++) {
    try {
      structuredClone(items[place])
    } catch (error) {
      bad.set(place, error as Error)
    }
  }
  return bad
}
