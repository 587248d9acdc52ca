import { type Clock, systemClock } from '../../clock.ts'
import type { Store } from '../../store/store.ts'
import { isAlive, LOOK_MS, locked, overlaps, readClaims, seemsAlive, WATCH_MS, watched } from './claim.ts'

export interface HolderOptions {
  readonly clock?: Clock
  /** Hears of each claim that has to be watched. */
  readonly onWatch?: (message: string) => void
}

/**
 * Resolves once it is sure that nobody is at work on the run, which is then the caller's to delete. A claim from elsewhere is
 * watched like by a session that begins: no clock here tells how old its last beat is, only whether there is another.
 *
 * @throws RunLockedError when a session is at work on it, or seems to be.
 */
export async function refuseHolders(store: Store, runId: string, options: HolderOptions = {}): Promise<void> {
  const { clock = systemClock, onWatch } = options
  const seen = new Map<string, { readonly beatAt: number; readonly since: number }>()
  for (;;) {
    let isClear = true
    for (const claim of await readClaims(store, runId)) {
      const isHere = isAlive(claim)
      const known = seen.get(claim.writer)
      const today = clock.today()
      const isAtWork = isHere ?? (known === undefined ? seemsAlive(claim, today) : known.beatAt !== claim.beatAt)
      if (isAtWork) throw locked(runId, claim, today)
      if (isHere === false) continue
      if (known === undefined) {
        onWatch?.(watched(runId, claim, WATCH_MS).message)
        seen.set(claim.writer, { beatAt: claim.beatAt, since: clock.now() })
        isClear = false
      } else if (clock.now() - known.since < WATCH_MS) isClear = false
    }
    if (isClear) return
    await clock.sleep(LOOK_MS)
  }
}

/**
 * One look, before work that would be in vain: raises RunLockedError when a session on this machine is at work on items that those
 * of `shard` (`K/N`, undefined for all) may have. Whoever claims the run looks again, and elsewhere.
 */
export async function refuseNeighbours(store: Store, runId: string, shard: string | undefined): Promise<void> {
  for (const claim of await readClaims(store, runId)) {
    if (claim.isHeld && isAlive(claim) === true && overlaps(claim.shard, shard ?? null))
      throw locked(runId, claim, systemClock.today())
  }
}
