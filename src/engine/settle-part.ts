import { types } from 'node:util'
import { unpackError } from '../carried-error.ts'
import { plural, SerializationError } from '../errors.ts'
import { attemptsBefore, cut } from '../items/chunk.ts'
import type { Chunk, FulfilledBatch, Rejection } from '../types.ts'
import { type Piece, refusePlace, rejectPlace } from './piece.ts'
import type { PartMessage, RejectedPlace } from './protocol.ts'

/**
 * Settles what a part says and counts it. Gives what is wrong with it when it cannot be true, and then nothing has settled: a
 * task may have put something of its own in place of a built-in, with which its thread leaves results out or mixes them up.
 */
export function settlePart(piece: Piece, part: PartMessage, today: number): string | undefined {
  const said = read(piece, part, today)
  if (typeof said === 'string') return said
  const { job } = piece
  const { tally } = job.run
  const items = part.to - part.from
  const unstarted = part.rejected?.filter((it) => it.isUnstarted).length ?? 0
  piece.settled = part.to
  tally.attempts += items - unstarted
  tally.taskTime += part.taskTime
  if (items > 0) job.settle(said.batch, said.rejections)
  return undefined
}

/** What became of the places of a part, as it says. */
interface Said {
  readonly batch: FulfilledBatch | undefined
  readonly rejections: readonly Rejection[]
}

function read(piece: Piece, part: PartMessage, today: number): Said | string {
  const { from, to, rejected = [], spoiled } = part
  if (spoiled !== undefined) return spoiled
  if (from !== piece.settled || !Number.isInteger(to) || to < from || to > piece.end)
    return `an answer about places ${from} to ${to}, where ${piece.settled} to ${piece.end} were next`
  if (!(part.taskTime >= 0 && part.taskTime < Number.POSITIVE_INFINITY)) return 'an answer without the time it took'
  try {
    if (!ascend(rejected, from, to)) return 'an answer in which items failed that it is not about'
    const values = readValues(piece, part, to - from - rejected.length)
    if (typeof values === 'string') return values
    const rejections = rejected.map((it) => toRejection(piece.chunk, it, today))
    return { batch: values && { ...toColumns(piece.chunk, part), ...values }, rejections }
  } catch (cause) {
    return `an answer that cannot be read (${(cause as Error).message})`
  }
}

/** Whether the places are some of those from `from` to `to`, in their order. */
function ascend(rejected: readonly RejectedPlace[], from: number, to: number): boolean {
  let next = from
  for (const { place } of rejected) {
    if (!(Number.isInteger(place) && place >= next && place < to)) return false
    next = place + 1
  }
  return true
}

type Values = Pick<FulfilledBatch, 'values' | 'record'>

/** The values of a part, which must be `count`; undefined when there are none, and what is wrong with them otherwise. */
function readValues(piece: Piece, { values, record }: PartMessage, count: number): Values | string | undefined {
  const { run } = piece.job
  const isPacked = run.setup.record !== undefined
  if (count === 0 && values === undefined && record === undefined) return undefined
  // By no class of this realm: what a thread sent may be of another, as where a test runner has this run in a vm.
  if (isPacked ? !types.isUint8Array(record) : !(Array.isArray(values) || types.isFloat64Array(values)))
    return `an answer without ${count === 1 ? 'the value' : 'values'} of ${plural(count, 'item')}`
  const held = record ? run.readRecord(record) : { values, count: values?.length }
  if (held.count !== undefined && held.count !== count)
    return `an answer with ${plural(held.count, 'value')} for ${plural(count, 'item')}`
  if (count === 0) return undefined
  if (!record && hasHole(values as ArrayLike<unknown>)) return 'an answer that leaves values out'
  return { ...(held.values ? { values: held.values } : {}), ...(record ? { record } : {}) }
}

/** Whether a place has no value, not even undefined. */
function hasHole(values: ArrayLike<unknown>): boolean {
  if (!Array.isArray(values) || !values.includes(undefined)) return false
  for (let at = 0; at < values.length; at++) if (!(at in values)) return true
  return false
}

/** Whose the values are. */
function toColumns(chunk: Chunk, { from, to, rejected }: PartMessage): FulfilledBatch {
  const isRejected = rejected && new Set(rejected.map((it) => it.place))
  const whole = cut(chunk, from, to)
  const stays = (_: unknown, at: number) => !isRejected?.has(from + at)
  const attempts = attemptsBefore(whole)?.map((it) => it + 1)
  return {
    indices: isRejected ? whole.indices.filter(stays) : whole.indices,
    ...(whole.keys ? { keys: isRejected ? whole.keys.filter(stays) : whole.keys } : {}),
    ...(attempts ? { attempts: isRejected ? attempts.filter(stays) : attempts } : {}),
  }
}

function toRejection(chunk: Chunk, { place, kind, error, isUnstarted }: RejectedPlace, today: number): Rejection {
  const reason =
    kind === 'serialization'
      ? new SerializationError(error.message, String(error.fields?.path ?? ''), {
          cause: error.cause && unpackError(error).cause,
          index: chunk.indices[place] as number,
        })
      : unpackError(error)
  return isUnstarted ? refusePlace(chunk, place, reason, today) : rejectPlace(chunk, place, kind, reason, today)
}
