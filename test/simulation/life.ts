import type { Outcome } from '../../src/types.ts'
import type { TrueItem } from './items.ts'
import type { Process } from './world.ts'

/** What is known of a session from outside. Times are the world's. */
export interface Life {
  readonly process: Process
  readonly shard: number | undefined
  /** The item at each index, as this session was given them. */
  readonly order: readonly TrueItem[]
  readonly hasStorms: boolean
  readonly beganAt: number
  endedAt: number
  isPaused: boolean
  isDrained: boolean
  /** Workers that were lost. */
  losses: number
  readonly starts: Map<number, { count: number; readonly before: number; isDone: boolean }>
  readonly restored: Map<number, Outcome>
  /** In the order in which they settled, which is that of the log. */
  readonly settled: Outcome[]
  /** How many of them are durable. */
  flushed: number
  flushing: number
  readonly warnings: Set<string>
  /** What it put and wrote in the store has this in its names; '' before it put a claim. */
  writer: string
}

/** What a history came to. */
export interface Told {
  readonly seed: number
  readonly violation: string | undefined
  readonly lines: readonly string[]
  readonly sessions: number
  readonly kills: number
  readonly powerCuts: number
  readonly damages: number
  readonly acknowledged: number
  readonly ends: readonly string[]
}

/** The name of a session in the store, by the claims it put. */
export function writerOf(claims: ReadonlySet<string>): string {
  const [claim = ''] = claims
  return claim.slice(claim.lastIndexOf('/') + 1)
}

/** To those who come later, what was not recorded may have been what the process died of. */
export function countDeaths({ settled, flushed, restored, order }: Life): void {
  const recorded = new Set([...settled.slice(0, flushed), ...restored.values()].map(({ index }) => index))
  order.forEach((item, index) => {
    if (!recorded.has(index)) item.deaths++
  })
}
