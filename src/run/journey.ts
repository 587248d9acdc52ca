import type { Session, SessionOptions } from '../checkpoint/session/session.ts'
import type { Clock } from '../clock.ts'
import type { Drain } from '../drain.ts'
import type { Tally } from '../engine/engine.ts'
import type { Engines } from '../engines.ts'
import type { Emitter } from '../events.ts'
import type { Source } from '../items/items.ts'
import type { ResolvedOptions } from '../options/options.ts'
import type { Planner } from '../plan/plan.ts'
import type { ResolvedTask } from '../task/resolve-task.ts'
import type { Json } from '../types.ts'
import type { Collector } from './collector.ts'
import type { Selected } from './select.ts'
import type { OutcomeList } from './stream.ts'

/** What a caller knows of a run that the options do not say. */
export interface RunOrigin<R = unknown> {
  /** Kept in the manifest, for `pawl resume`. */
  readonly command?: Json
  /** `runId` was derived by the caller. */
  readonly derived?: boolean
  /** The field `key` reads, as part of the fingerprint. */
  readonly keyLabel?: string
  /** What makes out the items, in place of a digest of each; for a list, unless it has keys. */
  readonly itemsDigest?: string
  /** The items' keys, in place of what `key` says of each. */
  readonly keys?: readonly string[]
  /** `shared` is what the executor was given: it is sent once for all such runs. */
  readonly keepsShared?: boolean
  /** A result that JSON cannot hold is a failure of its item. */
  readonly jsonResults?: boolean
  /** Takes each outcome as it settles; restored ones first. */
  readonly onOutcomes?: (outcomes: OutcomeList<R>) => void
  /**
   * Called once the record is open and the items are known, before any runs, which waits for it: from here on nothing refuses the
   * run.
   */
  readonly onOpen?: () => void | Promise<void>
  /** A promise while whoever takes the outcomes cannot take more. */
  readonly backlog?: () => Promise<void> | undefined
  /** Aborts when nobody wants the outcomes any more. */
  readonly abandoned?: AbortSignal
  /** When the process has to have ended once the run is told to end, on the clock's monotonic time, in ms. */
  readonly deadline?: number
  /** Time and chance; the machine's own when not given. Given, like `claim`, by simulations. */
  readonly clock?: Clock
  readonly claim?: Pick<SessionOptions, 'place' | 'isLeaseIgnored'>
}

/** What every part of a run needs. */
export interface Run<T, R> {
  readonly task: ResolvedTask<T, R>
  readonly options: ResolvedOptions<T>
  readonly engines: Engines
  readonly origin: RunOrigin<R>
  readonly clock: Clock
  readonly emitter: Emitter
  readonly drain: Drain
  /** When it began, on the clock's monotonic time, in ms. */
  readonly began: number
  /** Starts a flush, once there is a session to flush: the machine may go before long. */
  saveNow: () => void
  /** Why not all that settled is on record. */
  unsaved: Error | undefined
}

/** Counts kept by the engines and the retry stage. */
export type Counts = Tally & { retries: number }

/** A run on its way. */
export interface Journey<T, R> {
  readonly runId: string
  readonly session: Session | undefined
  readonly source: Source<T>
  readonly selected: Selected<T>
  readonly planner: Planner
  readonly collector: Collector<T, R>
  readonly counts: Counts
  /** Items that were to be dispatched when it set out; undefined when nobody knew. */
  readonly pending: number | undefined
}
