import type { Session } from '../checkpoint/session/session.ts'
import { nameItem, plural, WorkerCrashError } from '../errors.ts'
import { countCrashes, historyAt } from '../items/chunk.ts'
import type { Chunk, Rejection } from '../types.ts'
import { option, worded, wording } from '../wording.ts'
import type { Stage } from './stage.ts'

/**
 * Notes in the checkpoint which items are about to run, so that a process that dies leaves word of who may have killed
 * it. What comes of them is recorded when it is final, where the run settles it.
 *
 * A suspect that has killed `maxCrashes` processes is given up here, without being run once more; each has been run alone.
 */
export function checkpoint<T, R>(session: Pick<Session, 'begin'>, maxCrashes: number): Stage<T, R> {
  return (next) => async (chunk, context) => {
    const past = chunk.alone ? historyAt(chunk, 0) : undefined
    if (past && countCrashes(past) >= maxCrashes) return { fulfilled: [], rejected: [giveUp(chunk, context.clock.today())] }
    await context.lend(session.begin(chunk)) // One that kills at once must not be faster than the word of it.
    return next(chunk, context)
  }
}

function giveUp<T>(chunk: Chunk<T>, today: number): Rejection<T> {
  const index = chunk.indices[0] as number
  const key = chunk.keys?.[0]
  const { attempts = 0, crashes = 0, firstFailedAt = today } = historyAt(chunk, 0) ?? {}
  const reason = worded(
    wording`Cannot finish item ${nameItem(index, key)}: expected the process to survive it, got ${plural(crashes, 'process', 'processes')} that ended while it ran. If they were killed from outside, run it again; to have it tried more often, raise ${option('maxCrashes')}`,
    (message) => new WorkerCrashError(message),
  )
  const item = chunk.items[0] as T
  return {
    index,
    ...(key !== undefined ? { key } : {}),
    item,
    kind: 'crash',
    reason,
    attempts,
    crashes,
    firstFailedAt,
    lastFailedAt: today,
  }
}
