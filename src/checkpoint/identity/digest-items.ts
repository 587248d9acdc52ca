import { unseenItem } from '../../items/keys.ts'
import { entriesOf, membersOf } from '../../members.ts'
import { SLICE_MS, turn } from '../../turn.ts'
import { createDigest } from '../../values/digest.ts'

/** Items that a digest covers in full; of more, as many, evenly spread. A million numbers take about 70 ms so. */
const MAX_DIGESTED_ITEMS = 131_072

/** Bytes, roughly, that a digest covers; SHA-256 takes 1 to 2.5 ms for a MiB. */
const MAX_DIGESTED_BYTES = 2 ** 26

/** Most items, and about how many bytes, between two looks at the clock: some tenths of a ms. */
const LOOK_ITEMS = 256
const LOOK_BYTES = 2 ** 17

/** Items looked at to guess how large they are. */
const WEIGHED_ITEMS = 256

/**
 * A digest of items, the same for equal items in the same order, made in slices between which the event loop turns. Beyond
 * MAX_DIGESTED_ITEMS or MAX_DIGESTED_BYTES it covers `sampled` of them, evenly spread, the first and the last included.
 *
 * @throws InvalidOptionError for items that only a key can tell apart.
 */
export async function digestItems(items: readonly unknown[]): Promise<{ digest: string; sampled?: number }> {
  const weighed = pick(items, WEIGHED_ITEMS)
  const mean = weighed.reduce<number>((sum, item) => sum + weigh(item), 0) / Math.max(weighed.length, 1)
  const affordable = Math.min(MAX_DIGESTED_ITEMS, Math.max(2, Math.floor(MAX_DIGESTED_BYTES / Math.max(mean, 1))))
  const digest = createDigest()
  const isSampled = items.length > affordable
  const covered = isSampled ? pick(items, affordable) : items
  const stride = Math.max(1, Math.min(LOOK_ITEMS, Math.floor(LOOK_BYTES / Math.max(mean, 1))))
  let began = performance.now()
  for (let at = 0; at < covered.length; at += stride) {
    const slice = covered.slice(at, at + stride)
    digest.update(slice)
    if (digest.unseen !== undefined) refuseUnseen(items, slice)
    if (performance.now() - began < SLICE_MS) continue
    await turn()
    began = performance.now()
  }
  return { digest: digest.digest(), ...(isSampled ? { sampled: affordable } : {}) }
}

/** @throws InvalidOptionError that names the first of `slice` that no digest can tell from another. */
function refuseUnseen(items: readonly unknown[], slice: readonly unknown[]): void {
  for (const item of slice) {
    const digest = createDigest()
    digest.update([item])
    if (digest.unseen !== undefined) throw unseenItem(items.indexOf(item), digest.unseen)
  }
}

function pick(items: readonly unknown[], count: number): readonly unknown[] {
  if (items.length <= count) return items
  return Array.from({ length: count }, (_, at) => items[Math.floor((at * (items.length - 1)) / (count - 1))])
}

/** About how many bytes a value has. */
function weigh(value: unknown, depth = 0): number {
  if (typeof value === 'string') return value.length + 8
  if (typeof value !== 'object' || value === null) return 8
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return value.byteLength + 8
  if (depth > 3) return 64
  let bytes = 16
  try {
    const parts = value instanceof Map ? entriesOf(value) : value instanceof Set ? membersOf(value) : Object.values(value)
    for (const part of pick(parts, WEIGHED_ITEMS)) bytes += weigh(part, depth + 1) * Math.max(1, parts.length / WEIGHED_ITEMS)
  } catch {
    return bytes // A getter threw; so will it when the item is sent to a worker, where it is told.
  }
  return bytes
}
