import type { Clock } from '../../clock.ts'
import { isPawlError } from '../../errors.ts'
import { codeOf, DENIED } from '../../store/errno.ts'
import type { Ask } from './each-call.ts'
import type { Haste } from './haste.ts'
import { isFull } from './patient-writes.ts'

/**
 * Waits between the tries of one call as a run is opened, in ms. More, and one whose store is not to be had says so late; fewer,
 * and a store that asks for a moment (`SlowDown`, 503) ends a session before it began.
 */
const WAITS = [100, 400, 1600]

/** What the system says that does not go away by itself within seconds. */
const FINAL = new Set([
  DENIED,
  'EACCES',
  'EPERM',
  'EROFS',
  'ENOENT',
  'ENOTDIR',
  'EISDIR',
  'EEXIST',
  'ELOOP',
  'ENAMETOOLONG',
  'EINVAL',
])

/**
 * Makes a call that may be made more than once: again while it fails with what may pass, for about 2 s. Once the run is told to
 * end, without waiting.
 */
export function createPatiently(clock: Clock, { signal }: Pick<Haste, 'signal'>): Ask {
  return async (call) => {
    for (const wait of WAITS) {
      try {
        return await call()
      } catch (error) {
        if (isPawlError(error) || FINAL.has(codeOf(error)) || isFull(error)) throw error
      }
      await clock.sleep(wait * (0.5 + clock.random() / 2), signal).catch(() => {})
    }
    return call()
  }
}
