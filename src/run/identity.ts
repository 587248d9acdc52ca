import { deriveRunId, type Identity } from '../checkpoint/fingerprint.ts'
import type { Session, SessionOptions } from '../checkpoint/session.ts'
import { digestOf } from '../checkpoint/values/digest.ts'
import type { Clock } from '../clock.ts'
import { InvalidOptionError, isPawlError, RunNotFoundError } from '../errors.ts'
import type { ResolvedOptions } from '../options.ts'
import type { ResolvedTask } from '../resolve-task.ts'
import { nameShard, type Shard } from '../shard.ts'
import { directoryOf } from '../store/file.ts'
import type { Emit, Json } from '../types.ts'
import { option, wordedWarning, wording } from '../wording.ts'
import type { RunOrigin } from './journey.ts'

/** What the checkpoint knows a run by. Digests are only made when there is one: without, a count will do. */
export async function identify<T>(
  task: Pick<ResolvedTask, 'identity'>,
  array: readonly T[] | undefined,
  options: ResolvedOptions<T>,
  { keyLabel, itemsDigest }: Pick<RunOrigin, 'keyLabel' | 'itemsDigest'>,
  emit: Emit,
): Promise<Identity> {
  const isKeyed = options.key !== undefined
  const base = {
    task: task.identity,
    config: options.config ?? null,
    key: keyLabel ?? (isKeyed ? 'function' : 'index'),
    seed: options.seed,
    shared: options.checkpoint && options.shared !== undefined ? digestOf([options.shared]) : null,
  }
  if (isKeyed) return { ...base, items: { kind: 'keyed' } }
  if (!array) return { ...base, items: { kind: 'iterable' } }
  if (!options.checkpoint) return { ...base, items: { kind: 'array', count: array.length } }
  if (itemsDigest !== undefined) return { ...base, items: { kind: 'array', count: array.length, digest: itemsDigest } }
  const { digestItems } = await import('../checkpoint/digest-items.ts')
  const digested = await digestItems(array)
  if (digested.sampled !== undefined) {
    const words = wording`Of the ${array.length} items, ${digested.sampled} at even distances were read to recognise them when the run is resumed: a change of others goes unnoticed. Give ${option('key')} if items may change`
    emit('warning', wordedWarning('ITEMS_SAMPLED', words))
  }
  return { ...base, items: { kind: 'array', count: array.length, ...digested } }
}

export interface OpenCheckpoint<T> {
  readonly task: Pick<ResolvedTask, 'digest'>
  readonly identity: Identity
  readonly options: ResolvedOptions<T>
  readonly shard: Shard | undefined
  readonly isArray: boolean
  readonly command: Json | undefined
  /** The caller derived `options.runId`. */
  readonly isDerived: boolean
  readonly clock: Clock
  readonly claim: Pick<SessionOptions, 'place' | 'isLeaseIgnored'> | undefined
  readonly emit: Emit
  readonly draining: AbortSignal
  /** As in Drain. */
  readonly hastened: AbortSignal
  /** When the process has to have ended, in monotonic time, in ms. */
  readonly deadline: number | undefined
  fail(error: Error): void
}

/**
 * Opens a session of the run in its store, when the options ask for a checkpoint.
 *
 * @throws InvalidOptionError when the run has no name and none can be derived, and the errors of `openSession`.
 */
export async function openCheckpoint<T>(open: OpenCheckpoint<T>): Promise<Session | undefined> {
  const { options, identity, shard } = open
  const { checkpoint } = options
  if (!checkpoint) return undefined
  if (options.runId === undefined && !open.isArray) {
    throw new InvalidOptionError('runId', 'a name for the run, since items that are not an array have no other', undefined)
  }
  const { answering, atLeisure, createHaste, openSession } = await import('../checkpoint/open.ts')
  const { store, format, compress, every, interval, durability, keep, onError } = checkpoint
  const runId = options.runId ?? deriveRunId(identity)
  const haste = createHaste(open.hastened, open.clock, open.deadline)
  const toAnswer = () => answering(store, { runId, clock: open.clock, haste })
  return openSession({
    store: toAnswer(),
    leisurely: atLeisure(toAnswer(), haste), // What it waits for in vain is no reason to give up what has to be saved.
    runId,
    isDerived: options.runId === undefined || open.isDerived,
    identity,
    taskDigest: open.task.digest(),
    ...(open.command !== undefined ? { command: open.command } : {}),
    format,
    compress,
    every,
    interval,
    durability,
    keep,
    onError,
    resume: options.resume,
    ...(shard ? { shard: nameShard(shard) } : {}),
    clock: open.clock,
    ...open.claim,
    emit: open.emit,
    draining: open.draining,
    haste,
    fail: open.fail,
  }).catch((error: unknown) => {
    // Raised where the store is one around the one that was given.
    throw isPawlError(error, 'ERR_PAWL_RUN_NOT_FOUND') ? new RunNotFoundError(runId, directoryOf(store)) : error
  })
}
