import type { Session } from '../checkpoint/session/session.ts'
import { arraySource } from '../items/array-source.ts'
import { countCrashes } from '../items/chunk.ts'
import { BLOCK_ITEMS, isArrayLike, type Selection, type Source } from '../items/items.ts'
import { type ItemLimit, iterableSource } from '../items/iterable-source.ts'
import { createKeys, unseenItem } from '../items/keys.ts'
import { type Shard, shardOf } from '../items/shard.ts'
import type { ResolvedOptions } from '../options/options.ts'
import { createDigest } from '../values/digest.ts'
import { MAX_PLACES } from './result-places.ts'

/** Which items this session dispatches, and which it answers from the checkpoint. */
export interface Selected<T> {
  /** Those to be dispatched. */
  readonly source: Source<T>
  /** Items of this shard; undefined as long as nobody knows. */
  readonly total: number | undefined
  /** The index a recorded item has now; undefined when it is not among the items (yet) or not of this shard. */
  placeOf(index: number, key: string | undefined): number | undefined
  itemOf(index: number): T | undefined
  /** Of this shard. */
  isMine(index: number, key: string | undefined): boolean
  /** The keys of the items of a keyed run, in their order; of those of an iterable, that were pulled so far. */
  readonly keys: readonly string[] | undefined
  /** Sets who is told of each item of an iterable that has settled before, as it is pulled. */
  onSettled(listener: (index: number, key: string | undefined, item: T) => void): void
}

const COLLECTED: ItemLimit = {
  most: MAX_PLACES,
  which: 'of them in one run that collects its results (collect: false takes more)',
}

/** @param keys those of all items of an array; undefined: they have none, or come one by one. */
export function selectItems<T>(
  items: Iterable<T> | AsyncIterable<T>,
  keys: readonly string[] | undefined,
  session: Session | undefined,
  shard: Shard | undefined,
  { retryFailed, maxCrashes, key: keyOf, collect }: Pick<ResolvedOptions<T>, 'retryFailed' | 'maxCrashes' | 'key' | 'collect'>,
): Selected<T> {
  const array = isArrayLike<T>(items) ? items : undefined
  const isMine = (index: number, key: string | undefined) => !shard || shardOf(index, key, shard.count) === shard.index
  const restored = session?.restored
  const isKeyed = keyOf !== undefined
  const pulled: string[] | undefined = session && !array && isKeyed ? [] : undefined
  let seen = 0
  let tell: (index: number, key: string | undefined, item: T) => void = () => {}

  const isPendingStatus = (status: 'fulfilled' | 'rejected' | undefined) =>
    status === undefined ? retryFailed !== 'only' : status === 'rejected' && retryFailed !== false

  /** It has room for an item that the source did not give before, and that must not run. */
  const isBehindEnd = (block: number) => (block + 1) * BLOCK_ITEMS > (restored?.total ?? Number.POSITIVE_INFINITY)

  const selection: Selection<T> = {
    isPending: (index, key, item) => {
      pulled?.push(key as string)
      if (!isMine(index, key)) return false
      const status = restored?.statusOf(index, key)
      if (array) return isPendingStatus(status)
      seen++
      if (status !== undefined && !isPendingStatus(status)) tell(index, key, item)
      return isPendingStatus(status)
    },
    historyOf: (index, key) => restored?.historyOf(index, key),
    isSuspect: (index, key) => isMine(index, key) && (restored?.isSuspect(index, key) ?? false),
    lastSuspect: restored?.lastSuspect ?? -1,
    isLast: (index, key, history) => countCrashes(history) >= maxCrashes || (restored?.isPutOff(index, key) ?? false),
    // Items with keys may come, go and move between sessions, so there is no telling what belongs into a block.
    ...(session && !array && !isKeyed
      ? {
          ...watchSource(session),
          isKnownBlock: (block) => session.restored.sourceDigest(block) !== undefined || isBehindEnd(block),
          onEnd: (count) => session.checkEnd(count),
        }
      : {}),
  }

  // Of an array of which nothing is on record, all items are pending, and nobody has to look at them one by one.
  const isNothing = restored?.fulfilled === 0 && restored.rejected === 0 && restored.lastSuspect < 0 && !restored.hasAttempted
  const isSelective = shard !== undefined || (session !== undefined && !(array && isNothing && retryFailed !== 'only'))
  const chosen = isSelective ? selection : undefined
  const { mine, pending } = array ? countItems(array, keys, chosen, isMine) : { mine: 0, pending: 0 }
  const source = array
    ? arraySource(array, keys, chosen, pending)
    : iterableSource(items, keyOf && createKeys(keyOf), chosen, collect && !shard ? COLLECTED : undefined)
  const places = keys ? new Map(keys.map((key, index) => [key, index])) : undefined
  return {
    source,
    get total() {
      if (array) return mine
      return isSelective && source.total !== undefined ? seen : source.total
    },
    placeOf: (index, key) => {
      const place = key === undefined ? index : places?.get(key)
      const isThere = place !== undefined && (!array || place < array.length)
      return isThere && isMine(place, key) ? place : undefined
    },
    itemOf: (index) => array?.[index],
    isMine,
    keys: keys ?? pulled,
    onSettled: (listener) => {
      tell = listener
    },
  }
}

/**
 * Records the digest of each block. It is made as the items come: kept until there are 1000 of them, large ones would fill the
 * memory. Throws InvalidOptionError for an item that only a key can tell from others.
 */
function watchSource<T>(session: Session): Pick<Required<Selection<T>>, 'onItem' | 'onBlock'> {
  let digest = createDigest()
  let pulled = 0
  return {
    onItem: (item) => {
      digest.update([item])
      if (digest.unseen !== undefined) throw unseenItem(pulled, digest.unseen)
      pulled++
    },
    onBlock: (block, count) => {
      session.recordSource(block, count, digest.digest())
      digest = createDigest()
    },
  }
}

function countItems<T>(
  items: readonly T[],
  keys: readonly string[] | undefined,
  selection: Selection<T> | undefined,
  isMine: (index: number, key: string | undefined) => boolean,
): { mine: number; pending: number } {
  if (!selection) return { mine: items.length, pending: items.length }
  let mine = 0
  let pending = 0
  for (let index = 0; index < items.length; index++) {
    if (isMine(index, keys?.[index])) mine++
    if (selection.isPending(index, keys?.[index], undefined as T)) pending++
  }
  return { mine, pending }
}
