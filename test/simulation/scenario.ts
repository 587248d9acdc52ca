import type { Chance } from './chance.ts'
import { createItems, type TrueItem } from './items.ts'

/** What a history is about: a run, its items, its options, and the world it takes place in. */
export interface Scenario {
  readonly items: readonly TrueItem[]
  readonly workers: number
  readonly chunkSize: number | undefined
  readonly retry: { readonly retries: number; readonly minTimeout: number; readonly randomize: boolean; readonly budget?: number }
  readonly breaker:
    | { readonly errorThresholdPercentage: number; readonly volumeThreshold: number; readonly resetTimeout: number }
    | undefined
  readonly timeout: number | undefined
  readonly maxCrashes: number
  readonly maxFailures: number
  readonly format: 'msgpack' | 'json'
  readonly every: number
  readonly interval: number
  readonly durability: 'fsync' | 'none'
  readonly keep: number
  readonly collect: boolean
  readonly onError: 'fail' | 'warn'
  readonly retryFailed: boolean
  readonly isKeyed: boolean
  readonly source: 'array' | 'iterable' | 'asyncIterable'
  readonly shards: number
  /** Sessions work in spite of one another. */
  readonly isLeaseIgnored: boolean
  /** Sessions are on machines of their own, and the store on another. */
  readonly isRemote: boolean
  /** Whether stores can append: all, none, or some of those that are at one place. */
  readonly canGrow: boolean | 'sometimes'
  /** Mean time of half a call of the store, in ms. */
  readonly latency: number
  /** Sessions that bad things happen to, before some that are left alone. */
  readonly badSessions: number
  readonly stormy: number
  /** Share of the bad sessions beside which a second one begins. */
  readonly paired: number
  /** Share of them that are stopped for a while, and for how long, in ms. */
  readonly paused: number
  readonly pauses: readonly number[]
  /** Readers that look at the run during a bad session, on average. */
  readonly readers: number
  /** Whether a file is damaged after the bad sessions, if one ended so well that its files have to be as it left them. */
  readonly isDamaged: boolean
}

export function createScenario(chance: Chance): Scenario {
  return chance.is(0.95) ? createAny(chance) : { ...createAny(chance), ...createCrowded(chance) }
}

/**
 * Many small segments, sessions on machines of their own, and merging that leaves nothing behind: what one of them still
 * reads, or writes to, another has merged and deleted.
 */
function createCrowded(chance: Chance): Partial<Scenario> {
  const items = createItems(chance, chance.int(24, 44), { canHang: false, canAbort: false })
  return {
    items: items.map((item) => ({ ...item, nature: { kind: 'ok' } })),
    ...{ maxFailures: items.length, every: 1, interval: 5, keep: 0, durability: 'fsync', shards: 1, isKeyed: false },
    ...{ canGrow: 'sometimes', isRemote: true, isLeaseIgnored: chance.is(0.3), badSessions: 2, chunkSize: 1, stormy: 0 },
    ...{
      paired: 0.8,
      paused: 0.5,
      pauses: [40_000],
      readers: 3,
      workers: 1,
      latency: chance.pick([0.02, 1, 5]),
      format: 'msgpack',
      source: 'array',
    },
  }
}

function createAny(chance: Chance): Scenario {
  const timeout = chance.is(0.5) ? chance.int(20, 200) : undefined
  const canGrow = chance.is(0.75)
  const count = chance.is(0.92) ? chance.int(1, 12) : chance.int(12, 60)
  const isLeaseIgnored = chance.is(0.2)
  const isRemote = chance.is(0.3)
  // Who kills processes cannot be found out where the store is not told what begins, since it cannot append, or where nobody
  // can tell whether a session is at an end.
  const canAbort = canGrow && !(isLeaseIgnored && isRemote)
  const items = createItems(chance, count, { canHang: timeout !== undefined, canAbort })
  const source = chance.pick(['array', 'array', 'array', 'iterable', 'asyncIterable'] as const)
  const retries = chance.pick([0, 0, 1, 2, 3])
  return {
    items,
    workers: chance.int(1, 3),
    chunkSize: chance.is(0.4) ? undefined : chance.int(1, 8),
    retry: {
      retries,
      minTimeout: chance.pick([0, 0, 20, 1000]),
      randomize: chance.is(0.5),
      ...(chance.is(0.1) ? { budget: 0.5 } : {}),
    },
    breaker: chance.is(0.15)
      ? {
          errorThresholdPercentage: chance.pick([50, 100]),
          volumeThreshold: chance.int(1, 5),
          resetTimeout: chance.pick([50, 5000]),
        }
      : undefined,
    timeout,
    maxCrashes: chance.int(1, 3),
    maxFailures: chance.is(0.85) ? items.length : chance.int(0, 2),
    format: chance.pick(['msgpack', 'json']),
    every: chance.pick([1, 1, 2, 5, 20, 1000]),
    interval: chance.pick([5, 50, 50, 500]),
    durability: chance.is(0.9) ? 'fsync' : 'none',
    keep: chance.int(0, 2),
    collect: chance.is(0.4),
    onError: chance.is(0.9) ? 'fail' : 'warn',
    retryFailed: chance.is(0.7),
    isKeyed: chance.is(0.2),
    source,
    shards: chance.is(0.1) ? chance.int(2, 3) : 1,
    isLeaseIgnored,
    isRemote,
    canGrow,
    latency: chance.pick([0.02, 0.2, 1]),
    badSessions: chance.pick([1, 1, 1, 2, 2, 4]),
    stormy: chance.pick([0, 0, 0.3]),
    paired: 0.25,
    paused: 0.15,
    pauses: [200, 8000, 12_000, 40_000],
    readers: 0.5,
    isDamaged: chance.is(0.15),
  }
}
