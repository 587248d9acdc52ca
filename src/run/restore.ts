import type { RecordedRejection, Restored } from '../checkpoint/session/session.ts'
import { pickBatch } from '../chunk.ts'
import type { Failure, FulfilledBatch } from '../types.ts'
import type { Collector } from './collector.ts'
import type { RunOrigin } from './journey.ts'
import { toFailure } from './outcomes.ts'
import type { Selected } from './select.ts'

/**
 * Answers from the checkpoint what has settled there, before anything is dispatched. Failures are left out when they
 * are to be tried again. Items of a keyed iterable have no place before they are pulled: they are answered then.
 */
export async function restoreOutcomes<T, R>(
  restored: Restored,
  collector: Collector<T, R>,
  selected: Selected<T>,
  options: {
    readonly keepFailures: boolean
    readonly isKeyedIterable: boolean
    readonly backlog?: RunOrigin['backlog'] | undefined
  },
): Promise<void> {
  const held = new Map<string, (index: number, item: T) => void>()
  selected.onSettled((index, key, item) => {
    if (!options.isKeyedIterable) return collector.attachItem(index, item)
    held.get(key as string)?.(index, item)
    collector.judge()
  })
  const how = {
    get values() {
      return collector.needsRestored || options.keepFailures
    },
  }
  for await (const { fulfilled, rejected } of restored.read(how)) {
    for (const batch of fulfilled as readonly FulfilledBatch<R>[]) {
      if (options.isKeyedIterable) hold(held, batch, collector)
      else collector.restore(moveBatch(batch, selected), [])
    }
    for (const failure of options.keepFailures ? rejected : []) {
      const restore = (index: number, item: T) => collector.restore(NOTHING, [reviveFailure(failure, index, item)])
      const index = selected.placeOf(failure.index, failure.key)
      if (options.isKeyedIterable) held.set(failure.key as string, restore)
      else if (index !== undefined) restore(index, (selected.itemOf(index) ?? failure.item) as T)
    }
    await options.backlog?.() // No more is read than whoever takes outcomes can hold.
  }
  collector.judge()
}

/** Keeps each outcome of a batch until its item turns up. */
function hold<T, R>(
  held: Map<string, (index: number, item: T) => void>,
  { keys, attempts, values }: FulfilledBatch<R>,
  collector: Collector<T, R>,
): void {
  keys?.forEach((key, i) => {
    const column = { keys: [key], attempts: Uint32Array.of(attempts?.[i] ?? 1), ...(values ? { values: [values[i] as R] } : {}) }
    held.set(key, (index) => collector.restore({ indices: Uint32Array.of(index), ...column }, []))
  })
}

const NOTHING: FulfilledBatch<never> = { indices: new Uint32Array(0), values: [] }

function reviveFailure<T>(failure: RecordedRejection, index: number, item: T): Failure<T> {
  const reason = failure.reason ?? new Error('Cannot tell why the item failed: expected its reason on record, got none')
  return toFailure({ ...failure, index, item, reason }, true, failure.session)
}

/** The batch with the indices its items have now, less those that have none. */
function moveBatch<R>(batch: FulfilledBatch<R>, { placeOf }: Pick<Selected<never>, 'placeOf'>): FulfilledBatch<R> {
  const { indices, keys } = batch
  let isMoved = false
  const places: number[] = []
  const moved: number[] = []
  for (let i = 0; i < indices.length; i++) {
    const place = placeOf(indices[i] as number, keys?.[i])
    isMoved ||= place !== indices[i]
    if (place === undefined) continue
    places.push(place)
    moved.push(i)
  }
  return isMoved ? { ...pickBatch(batch, moved), indices: Uint32Array.from(places) } : batch
}
