import { type ItemsHead, MAX_KEY_CHARACTERS } from '../format/frame.ts'
import { newWriter } from '../format/run-file.ts'

/** The items of a keyed run, as the last session that had to say so told them. */
export interface ItemList {
  /** Sorts behind the lists its session knew of. */
  readonly id: string
  /** In the order of the items. */
  readonly keys: readonly string[]
  /** The index of each. */
  readonly places: ReadonlyMap<string, number>
  /** The lists that they are from: it, its base, and so on. Of each, the index of the first key it has of its own. */
  readonly lists: ReadonlyMap<string, number>
}

/** Frames of lists, taken in any order and any number of times. `latest` is the last list of which nothing is missing. */
export function createItemLists(): { add(head: ItemsHead): void; latest(): ItemList | undefined } {
  const lists = new Map<string, Map<number, ItemsHead>>()
  return {
    add(head) {
      const parts = lists.get(head.list) ?? new Map<number, ItemsHead>()
      lists.set(head.list, parts.set(head.from, head))
    },
    latest() {
      const whole = new Map<string, readonly ItemsHead[]>()
      let latest: string | undefined
      // A list sorts behind its base, so it is known by then whether that is whole.
      for (const id of [...lists.keys()].sort()) {
        const parts = [...(lists.get(id)?.values() ?? [])].sort((a, b) => a.from - b.from)
        if (!isWhole(parts, whole)) continue
        whole.set(id, parts)
        latest = id
      }
      if (latest === undefined) return undefined
      const joined = join(latest, whole)
      return { id: latest, ...joined, places: new Map(joined.keys.map((key, index) => [key, index])) }
    },
  }
}

function isWhole(parts: readonly ItemsHead[], whole: ReadonlyMap<string, readonly ItemsHead[]>): boolean {
  const [first] = parts
  if (first === undefined) return false
  const base = first.base === undefined ? undefined : whole.get(first.base)?.[0]
  if (first.from > (base?.count ?? 0)) return false
  let end = first.from
  for (const { from, keys, count } of parts) {
    if (from !== end || count !== first.count) return false
    end += keys.length
  }
  return end === first.count
}

/** The keys of a whole list: of each list it is based on, those before where the next one begins. */
function join(latest: string, whole: ReadonlyMap<string, readonly ItemsHead[]>): Pick<ItemList, 'keys' | 'lists'> {
  const pieces: (readonly string[])[] = []
  const lists = new Map<string, number>()
  let end = Number.POSITIVE_INFINITY
  for (let id: string | undefined = latest; id !== undefined && end > 0; ) {
    const parts: readonly ItemsHead[] = whole.get(id) ?? []
    for (const { from, keys } of parts.toReversed()) if (from < end) pieces.push(keys.slice(0, end - from))
    lists.set(id, parts[0]?.from ?? 0)
    end = Math.min(end, parts[0]?.from ?? 0)
    id = parts[0]?.base
  }
  return { keys: pieces.reverse().flat(), lists }
}

/**
 * The frames of a list of these keys, which replaces `known`; none when it is the same. They say only what is new from the first
 * key on that differs.
 *
 * @param today milliseconds since 1970.
 */
export function writeItemList(keys: readonly string[], known: ItemList | undefined, today: number): ItemsHead[] {
  let from = 0
  if (known !== undefined) {
    while (from < keys.length && keys[from] === known.keys[from]) from++
    if (from === keys.length && from === known.keys.length) return []
  }
  // Clocks may differ: the later list is the one that knew of the other.
  const list = newWriter(today, known && [known.id])
  // Of what is known, what has some of the keys before: a list of which none is left is not needed any more.
  const [base] = [...(known?.lists ?? [])].find(([, first]) => first < from) ?? []
  const heads: ItemsHead[] = []
  for (let start = from; start < keys.length || heads.length === 0; ) {
    let end = start
    for (let characters = 0; end < keys.length && characters < MAX_KEY_CHARACTERS; end++)
      characters += (keys[end] as string).length + 1
    const some = { from: start, count: keys.length, keys: keys.slice(start, end) }
    heads.push({ kind: 'items', list, ...(start === from && base !== undefined ? { base } : {}), ...some })
    start = end
  }
  return heads
}
