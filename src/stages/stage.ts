import type { Clock } from '../clock.ts'
import type { Chunk, Emit, Outcomes } from '../types.ts'

/** What every dispatch receives besides the chunk. One per run. */
export interface RunContext<T = unknown, R = unknown> {
  /** Aborts when a drain starts: from then on nothing new begins. */
  readonly draining: AbortSignal
  readonly clock: Clock
  readonly emit: Emit
  /**
   * Takes outcomes that are final before others of their chunk are, such as successes whose neighbours wait to be tried again.
   */
  settle(outcomes: Outcomes<T, R>): void
  /**
   * Takes word of items that were tried, as their histories say, have not settled, and are not in flight any more. Resolves when
   * a process that dies leaves this word.
   */
  setAside(chunk: Chunk<T>): Promise<void>
  /**
   * Runs `wait` without holding the chunk's place, so that others are dispatched meanwhile; takes a place again before it
   * resolves.
   */
  rest<V>(chunk: Chunk<T>, wait: () => Promise<V>): Promise<V>
  /**
   * Waits for what the store is to do about a chunk. Where that takes long, others have its place meanwhile, and the run takes no
   * other chunk, which would only wait as well.
   */
  lend<V>(answer: Promise<V>): Promise<V>
  /** Ends the run: drains it, and rejects it with `error`. */
  fail(error: Error): void
}

/**
 * Settles a chunk: resolves with what came of its items, less what `settle` was handed already. Once a drain has
 * started, items may be missing: they stay pending. An item that fails is an outcome; a rejection means that the run
 * cannot go on.
 */
export type Dispatch<T = unknown, R = unknown> = (chunk: Chunk<T>, context: RunContext<T, R>) => Promise<Outcomes<T, R>>

/** What came of a chunk of which nothing has settled. */
export const NOTHING: Outcomes<never, never> = { fulfilled: [], rejected: [] }

/** How many items settled. */
export function countOf({ fulfilled, rejected }: Outcomes): number {
  return fulfilled.reduce((sum, batch) => sum + batch.indices.length, rejected.length)
}

/** Wraps a dispatch with one concern. Knows neither its neighbours nor the engine below. */
export type Stage<T = unknown, R = unknown> = (next: Dispatch<T, R>) => Dispatch<T, R>

/** The first stage is the outermost: `compose([a, b], run)` is `a(b(run))`. */
export function compose<T, R>(stages: readonly Stage<T, R>[], innermost: Dispatch<T, R>): Dispatch<T, R> {
  return stages.reduceRight((next, stage) => stage(next), innermost)
}
