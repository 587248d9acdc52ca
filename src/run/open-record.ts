import { deriveRunId, type RunIdentity } from '../checkpoint/identity/fingerprint.ts'
import type { Session } from '../checkpoint/session/session.ts'
import { InvalidOptionError, isPawlError, RunNotFoundError } from '../errors.ts'
import { nameShard, type Shard } from '../items/shard.ts'
import { directoryOf } from '../store/file.ts'
import type { Run } from './journey.ts'

/**
 * Opens a session of the run in its store, when the options ask for a checkpoint, and has the run know of it.
 *
 * @throws InvalidOptionError when the run has no name and none can be derived, and the errors of `openSession`.
 */
export async function openRecord<T, R>(
  run: Run<T, R>,
  identity: RunIdentity,
  shard: Shard | undefined,
  isArray: boolean,
): Promise<Session | undefined> {
  const { task, options, origin, clock, emitter, drain } = run
  const { checkpoint } = options
  if (!checkpoint) return undefined
  if (options.runId === undefined && !isArray) {
    throw new InvalidOptionError('runId', 'a name for the run, since items that are not an array have no other', undefined)
  }
  const { answering, atLeisure, createHaste, openSession } = await import('../checkpoint/session/open.ts')
  const { store, ...how } = checkpoint
  const runId = options.runId ?? deriveRunId(identity)
  const haste = createHaste(drain.hastened, clock, origin.deadline)
  const toAnswer = () => answering(store, { runId, clock, haste })
  const session = await openSession({
    ...{ runId, identity, clock, haste, ...how },
    store: toAnswer(),
    leisurely: atLeisure(toAnswer(), haste), // What it waits for in vain is no reason to give up what has to be saved.
    isDerived: options.runId === undefined || (origin.derived ?? false),
    taskDigest: task.digest(),
    ...(origin.command !== undefined ? { command: origin.command } : {}),
    resume: options.resume,
    ...(shard ? { shard: nameShard(shard) } : {}),
    ...origin.claim,
    emit: emitter.emit,
    draining: drain.signal,
    fail: (error) => {
      run.unsaved = error
      drain.fail(error)
    },
  }).catch((error: unknown) => {
    // Raised where the store is one around the one that was given.
    throw isPawlError(error, 'ERR_PAWL_RUN_NOT_FOUND') ? new RunNotFoundError(runId, directoryOf(store)) : error
  })
  run.saveNow = () => void session.flush().catch(() => {}) // That it fails is told by the session itself.
  return session
}
