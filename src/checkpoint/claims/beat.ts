import type { Clock } from '../../clock.ts'
import type { Store } from '../../store/store.ts'
import type { Claim } from './claim.ts'
import { herePlace, type Place } from './place.ts'

export interface BeatOptions {
  readonly store: Store
  readonly runId: string
  readonly writer: string
  readonly shard: string | undefined
  readonly clock: Clock
  /** Where this process says it is: for tests. */
  readonly place?: Place | undefined
}

/** Without a beat for this long, a session no longer takes the run for its own; with margin to what others wait (lease.ts). */
const STALE_MS = 10_000

/** This session's claim, as others see it. */
export interface Beat {
  /** Says that this session lives; `isHeld` once it is at work. */
  beat(isHeld: boolean): Promise<void>
  /** True when the last beat began more than STALE_MS ago. */
  isOverdue(): boolean
  /** A beat failed, or was given up: it may yet come to pass, and be there when the claim was given back. */
  readonly mayComeLate: boolean
  withdraw(): Promise<void>
  /** Says that this session is at an end. */
  end(): Promise<void>
  /** The same by an empty claim, which takes no room. */
  endSilently(): Promise<void>
}

export function createBeat({ store, runId, writer, shard, clock, place }: BeatOptions): Beat {
  const key = `${runId}/lease/${writer}`
  const claim = { writer, shard: shard ?? null, startedAt: clock.today(), ...(place ?? herePlace()) }
  const put = async (state: Pick<Claim, 'isHeld' | 'beatAt'> & { isEnded?: true }) =>
    store.put(key, Buffer.from(JSON.stringify({ ...claim, ...state })), { durable: false, replace: true })
  let beganAt = clock.now()
  let beganToday = clock.today()
  let mayComeLate = false
  return {
    get mayComeLate() {
      return mayComeLate
    },
    beat: async (isHeld) => {
      const start = clock.now()
      const today = clock.today()
      try {
        await put({ isHeld, beatAt: today })
      } catch (error) {
        mayComeLate = true
        throw error
      }
      beganAt = start
      beganToday = today
    },
    // By both clocks: the monotonic one stands still while the machine is suspended. A jump of the other costs a new segment.
    isOverdue: () => clock.now() - beganAt > STALE_MS || Math.abs(clock.today() - beganToday) > STALE_MS,
    withdraw: async () => store.delete(key),
    end: () => put({ isHeld: false, beatAt: clock.today(), isEnded: true }),
    endSilently: () => store.put(key, new Uint8Array(0), { durable: false, replace: true }),
  }
}
