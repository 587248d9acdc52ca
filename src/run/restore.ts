import type { RecordedRejection, Restored } from '../checkpoint/session/session.ts'
import { pickBatch } from '../items/chunk.ts'
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
  /** What is on record of the items of a keyed iterable that have not turned up yet. */
  const held = new Map<string, FulfilledBatch<R> | RecordedRejection>()
  selected.onSettled((index, key, item) => {
    if (!options.isKeyedIterable) return collector.attachItem(index, item)
    const outcome = held.get(key as string)
    held.delete(key as string) // Its value may be large.
    if (outcome && 'kind' in outcome) collector.restoreFailure(reviveFailure(outcome, index, item))
    else if (outcome) collector.restore({ ...outcome, indices: Uint32Array.of(index) })
    collector.judge()
  })
  const how = {
    get values() {
      return collector.needsRestored || options.keepFailures
    },
  }
  for await (const { fulfilled, rejected } of restored.read(how)) {
    for (const batch of fulfilled as readonly FulfilledBatch<R>[]) {
      if (options.isKeyedIterable) batch.keys?.forEach((key, i) => held.set(key, pickBatch(batch, [i])))
      else collector.restore(moveBatch(batch, selected))
    }
    for (const failure of options.keepFailures ? rejected : []) {
      if (options.isKeyedIterable) held.set(failure.key as string, failure)
      else restoreFailure(failure, collector, selected)
    }
    await options.backlog?.() // No more is read than whoever takes outcomes can hold.
  }
  collector.judge()
}

/** In the place its item has now; nothing where it has none. */
function restoreFailure<T, R>(failure: RecordedRejection, collector: Collector<T, R>, { placeOf, itemOf }: Selected<T>): void {
  const index = placeOf(failure.index, failure.key)
  if (index !== undefined) collector.restoreFailure(reviveFailure(failure, index, (itemOf(index) ?? failure.item) as T))
}

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
