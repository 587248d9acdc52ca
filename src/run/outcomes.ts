import type { Failure, FulfilledBatch, Outcome, Rejection } from '../types.ts'

/** Outcomes and failures as users see them. */

/** The outcome of the item at place `i` of a batch. */
export function fulfilledOutcome<R>(
  { indices, keys, attempts }: Pick<FulfilledBatch, 'indices'> & { [K in 'keys' | 'attempts']: FulfilledBatch[K] | undefined },
  values: ArrayLike<R>,
  i: number,
  restored: boolean,
): Outcome<R> {
  const index = indices[i] as number
  return {
    index,
    key: keys?.[i] ?? String(index),
    attempts: attempts?.[i] ?? 1,
    restored,
    status: 'fulfilled',
    value: values[i] as R,
  }
}

/** What listeners and streams are told of a failure. */
export function toOutcome({ index, key, attempts, restored, status, reason, kind }: Failure): Outcome<never> {
  return { index, key, attempts, restored, status, reason, kind }
}

/** `restored`: recorded by an earlier session. `session`: the one that recorded it. */
export function toFailure<T>(rejection: Rejection<T>, restored: boolean, session: string | undefined): Failure<T> {
  const { index, key, item, kind, reason, attempts, crashes, firstFailedAt, lastFailedAt } = rejection
  return {
    index,
    key: key ?? String(index),
    attempts,
    restored,
    status: 'rejected',
    reason,
    kind,
    item,
    crashes,
    firstFailedAt,
    lastFailedAt,
    session,
  }
}
