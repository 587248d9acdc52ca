import type { Chance } from './chance.ts'
import type { Deed } from './workers.ts'

/** What an item does, each time it starts. */
type Nature =
  | { readonly kind: 'ok' }
  /**
   * Fails, crashes, hangs or takes the process along the first `times` times it starts; for good when that is infinite. A trap
   * gives a value that crashes the worker, or hangs, when it is packed, or that the main thread cannot read; or spoils the worker,
   * so that what it answers cannot be true.
   */
  | { readonly kind: (typeof NATURES)[number]['kind']; readonly times: number }

/** An item as it truly is, whatever a run makes of it. */
export interface TrueItem {
  readonly id: number
  readonly nature: Nature
  /** How long it takes, in ms. */
  readonly time: number
  readonly value: unknown
  /** How often it was started, by all sessions together. */
  starts: number
  /** How often it took a worker along, by all sessions together. */
  crashes: number
  /** How often its process died while it ran, or waited in a worker for its turn. */
  deaths: number
}

/** Natures that a scenario has no place for: without a timeout nothing may hang. */
interface Bounds {
  readonly canHang: boolean
  readonly canAbort: boolean
}

/** Shares of natures that are not `ok`. */
const NATURES = [
  { kind: 'error', share: 0.1 },
  { kind: 'fatal', share: 0.01 },
  { kind: 'crash', share: 0.05 },
  { kind: 'hang', share: 0.04 },
  { kind: 'crashing trap', share: 0.02 },
  { kind: 'hanging trap', share: 0.02 },
  { kind: 'unreadable', share: 0.02 },
  { kind: 'abort', share: 0.015 },
  { kind: 'untrue', share: 0.02 },
] as const

export function createItems(chance: Chance, count: number, bounds: Bounds): TrueItem[] {
  const isSound = chance.is(0.25)
  const mean = chance.pick([0.2, 2, 2, 10, 30])
  const nextNature = () => (isSound ? ({ kind: 'ok' } as const) : natureOf(chance, bounds))
  return Array.from({ length: count }, (_, id) => ({
    id,
    nature: nextNature(),
    time: chance.wait(mean) * (chance.is(0.03) ? 20 : 1),
    value: valueOf(chance, id),
    starts: 0,
    crashes: 0,
    deaths: 0,
  }))
}

function natureOf(chance: Chance, { canHang, canAbort }: Bounds): Nature {
  let at = chance.next()
  for (const { kind, share } of NATURES) {
    at -= share
    if (at >= 0) continue
    const isBarred = (/^hang/.test(kind) && !canHang) || (kind === 'abort' && !canAbort)
    return isBarred ? { kind: 'ok' } : { kind, times: chance.pick([1, 1, 1, 2, 3, Number.POSITIVE_INFINITY]) }
  }
  return { kind: 'ok' }
}

/** A value that tells whose it is, and which JSON holds as well. */
function valueOf(chance: Chance, id: number): unknown {
  return chance.pick([
    id * 1000 + 7,
    `value of ${id}`,
    { id, list: [id, null, 'x'], deep: { half: id / 2 } },
    [`${id}`, chance.next()],
    chance.is(0.2) ? `${id} `.repeat(300) : { id },
  ])
}

/** The key of item `id` in keyed runs. */
export function keyOf(id: number): string {
  return `key ${id}`
}

/** The item with the key `key`. */
export function idFrom(key: string): number {
  return Number(key.slice('key '.length))
}

/** What the item does as it starts once more. */
export function deedOf(item: TrueItem): Deed {
  const { nature, time, value } = item
  if (nature.kind === 'ok' || item.starts > nature.times) return { kind: 'value', time, value }
  switch (nature.kind) {
    case 'error':
      return { kind: 'error', time, error: new TypeError(`item ${item.id} fails`) }
    case 'fatal':
      return { kind: 'error', time, error: Object.assign(new Error('never again'), { code: 'ERR_PAWL_NON_RETRYABLE' }) }
    case 'crash':
      return { kind: 'crash', time, error: item.id % 3 === 0 ? undefined : new Error(`item ${item.id} crashes`) }
    case 'hang':
      return { kind: 'hang' }
    case 'crashing trap':
      return { kind: 'value', time, value, trap: 'crash' }
    case 'hanging trap':
      return { kind: 'value', time, value, trap: 'hang' }
    case 'unreadable':
      return { kind: 'value', time, value, trap: 'unreadable' }
    case 'untrue':
      return { kind: 'value', time, value, trap: 'untrue' }
    default:
      return { kind: 'abort', time }
  }
}
